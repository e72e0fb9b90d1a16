"""Which files a configuration may include, and how they are read."""

from __future__ import annotations

import os
from pathlib import Path

from clawstate.config.provenance import Origin
from clawstate.config.sources import FileRead, read_unlinked
from clawstate.errors import (
    ConfigError,
    InvalidError,
    LimitError,
    NotFoundError,
    UnavailableError,
)

MAX_INCLUDE_BYTES = 2 << 20
"""No included file is larger."""

_SHOWN = 200  # characters of a path in an error

Chain = tuple[Origin, ...]
"""The names of files in `$include` that led to a file, its own last."""


def include_error(chain: Chain, problem: str, hint: str) -> ConfigError:
    """Return the error about the last `$include` of *chain*, which it tells the way to."""
    way = f" ({format_chain(chain[:-1])})" if chain[:-1] else ""
    return ConfigError(str(chain[-1]), f"$include {problem}{way}", hint)


def format_chain(chain: Chain) -> str:
    """Return the includes of *chain*, the nearest first."""
    return ", ".join(f"included at {origin}" for origin in reversed(chain))


class Containment:
    """The directory that no include may leave, by its name or by a link."""

    def __init__(self, directory: Path) -> None:
        self._directory = Path(os.path.normpath(directory.absolute()))
        self._real = Path(os.path.realpath(directory))

    def resolve(self, chain: Chain) -> tuple[Path, Path]:
        """
        Return the path that the end of *chain* names, and the file behind it, without links.

        Raises `ConfigError` if either is outside.
        """
        origin = chain[-1]
        named = origin.node.value
        path = Path(os.path.normpath(origin.source.path.parent / named))
        hint = f"move the file into {self._directory}"
        if not path.is_relative_to(self._directory):
            raise include_error(chain, f"of {_quote_path(path)} leaves {self._directory}", hint)
        try:
            real = Path(os.path.realpath(path))
        except (OSError, ValueError):
            real = None
        if real is None:
            raise include_error(
                chain, f"of {_quote_path(path)} is not a path", "write the path of a file"
            )
        if not real.is_relative_to(self._real):
            raise include_error(
                chain, f"of {_quote_path(path)} leaves {self._directory} by a link", hint
            )
        return path, real

    def read(self, chain: Chain, path: Path, real: Path) -> tuple[bytes, FileRead]:
        """
        Return the content of *real*, which `resolve` gave, and what was met.

        What was checked is what is opened, and a link that took its place is not followed. Raises
        `ConfigError` for anything but a regular file of one name and at most `MAX_INCLUDE_BYTES`.
        """
        try:
            raw, file, names = read_unlinked(path, real, limit=MAX_INCLUDE_BYTES)
        except (NotFoundError, InvalidError, LimitError, UnavailableError) as error:
            problem, hint = _problem(error)
        else:
            if names == 1:
                return raw, file
            problem, hint = "is a hard link, as which any file could be read", "copy the file"
        raise include_error(chain, f"of {_quote_path(path)}: {problem}", hint)


def _problem(
    error: NotFoundError | InvalidError | LimitError | UnavailableError,
) -> tuple[str, str]:
    if isinstance(error, NotFoundError):
        return "there is no such file", "create it, or remove the $include"
    if isinstance(error, LimitError):
        return f"is larger than {MAX_INCLUDE_BYTES:,} bytes", "split the file"
    return error.problem, error.hint


def _quote_path(path: Path) -> str:
    text = str(path)
    return ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
