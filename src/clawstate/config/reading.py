"""One file of the configuration with all that it includes."""

from __future__ import annotations

from pathlib import Path

from clawstate.config.includes import Layer, include_all
from clawstate.config.provenance import Provenance
from clawstate.config.sources import met, parsed_source, read_file
from clawstate.errors import ConfigError, InvalidError, LimitError, NotFoundError
from clawstate.files.refusals import translated

MAX_CONFIG_BYTES = 5_000_000
"""No configuration that is read is larger."""


def read_layer(path: Path) -> Layer:
    """
    Return the file *path* with all that it includes; an empty layer if there is no such file.

    Raises `CorruptError` for what is not JSON5, `UnavailableError`, and `ConfigError` for all else.
    A link to nothing is an error: what it should lead to may be on a disk that is not mounted, and
    must not be taken for an empty configuration.
    """
    path = path.absolute()
    try:
        raw, file = read_file(path, limit=MAX_CONFIG_BYTES)
    except NotFoundError:
        problem, hint = "is a link to nothing", "restore what it leads to, or remove it"
        with translated(path, "was not read"):
            is_link = path.is_symlink()
        if not is_link:
            return Layer(path, None, {}, Provenance(None), (met(path),))
    except LimitError:
        problem = f"is larger than {MAX_CONFIG_BYTES} bytes"
        hint = "move what is no setting out of it"
    except InvalidError as error:
        problem, hint = error.problem, error.hint
    else:
        return include_all(parsed_source(raw, file))
    raise ConfigError(str(path), problem, hint)
