"""
From what shall change to the text that says it: which file, which place in it, and the new text.

A value of an included file is changed in that file. One that is put together from several files
is refused, because writing the result into one of them would take the others out of use.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clawstate.config.dotted_names import reading_for_edit
from clawstate.config.includes import include_all
from clawstate.config.key_path import KeyPath, format_key_path, set_at, unset_at
from clawstate.config.loading import Loaded
from clawstate.config.patch import set_text, unset_text
from clawstate.config.path_grammar import WrittenPath
from clawstate.config.provenance import Origin, Trace
from clawstate.config.sources import Source, met
from clawstate.config.survey import INCLUDE
from clawstate.config.writing import Planned, Rewrite
from clawstate.errors import ConfigError, InvalidError, NotFoundError
from clawstate.files.json5_text import parse_document


def meant(loaded: Loaded, written: WrittenPath) -> KeyPath:
    """Return the key path that *written* means for an edit; raises `InvalidError` for several."""
    from clawstate.config.schema.root import Config  # noqa: PLC0415 - slow
    from clawstate.config.schema.shape import is_named  # noqa: PLC0415 - loaded with it

    if not written.dotted:
        return written.steps
    is_known = is_named(written.steps, Config)
    return reading_for_edit(loaded.templates, written, is_known=is_known)


def plan_set(loaded: Loaded, path: KeyPath, value: Any) -> Planned | None:
    """Return how to put *value* at *path*, or `None` if it is there already."""
    source, local = _place(loaded, path)
    text = "" if source is None else source.text
    changed = set_text(text, local, value, file=_file(loaded, source))
    if changed == text:
        return None
    templates = _templates(loaded, source, changed, set_at(loaded.templates, path, value))
    return _planned(loaded, source, changed, templates, (format_key_path(path),))


def plan_unset(loaded: Loaded, path: KeyPath) -> Planned:
    """Return how to remove what is at *path*; raises `NotFoundError` if nothing is."""
    if not path:
        raise InvalidError("key path", "names the whole configuration", "name a part of it")
    trace = loaded.provenance.at(path)
    if trace is None:
        hint = "'clawstate config show' shows what there is"
        raise NotFoundError("configuration value", format_key_path(path), hint)
    if trace.hidden:
        problem = f"would come back from {trace.hidden[0]}"
        raise ConfigError(format_key_path(path), problem, "remove it there first")
    source, local = _place(loaded, path)
    text = "" if source is None else source.text
    changed = unset_text(text, local, file=_file(loaded, source)).text
    templates = unset_at(loaded.templates, path)
    return _planned(loaded, source, changed, templates, (format_key_path(path),))


def plan_replace(loaded: Loaded, text: str, *, undoes: int | None = None) -> Planned | None:
    """Return how to make *text* the whole text of the configuration."""
    source = loaded.config.source
    if source is not None and source.text == text:
        return None
    file = loaded.path if source is None else source.path
    document = parse_document(text, path=file)
    candidate = Source(met(file) if source is None else source.file, text, document)
    templates = include_all(candidate).value
    return _planned(loaded, source, text, templates, _moved(loaded, templates), undoes=undoes)


def plan_texts(loaded: Loaded, texts: Mapping[Path, str], *, undoes: int) -> Planned | None:
    """Return how to put back the *texts* that files of the configuration had before."""
    ((file, text),) = texts.items()
    if file == loaded.path:
        return plan_replace(loaded, text, undoes=undoes)
    return _plan_file(loaded, file, text, undoes=undoes)


def _plan_file(loaded: Loaded, file: Path, text: str, *, undoes: int) -> Planned:
    """Return how to put back the *text* that the included *file* had before."""
    document = parse_document(text, path=file)
    source = next((each for each in _sources(loaded) if each.path == file), None)
    if source is None:
        hint = "include it again, or write it by hand"
        raise ConfigError(str(file), "is no part of the configuration any longer", hint)
    templates = loaded.templates
    for path in _included_at(loaded, source.file.real):
        templates = set_at(templates, path, document.value)
    return _planned(loaded, source, text, templates, (str(file),), undoes=undoes)


def _place(loaded: Loaded, path: KeyPath) -> tuple[Source | None, KeyPath]:
    known, trace = loaded.provenance.nearest(path)
    if trace is None:
        return None, path
    origins = trace.origins
    if len(known) == len(path):
        if len(origins) > 1 or len(trace.files()) > 1:
            places = " and ".join(str(origin) for origin in origins)
            problem = f"is put together from several files ({places})"
            raise ConfigError(format_key_path(path), problem, "change it in one of them")
        return origins[0].source, origins[0].path
    origin = _own(loaded, [*origins, *([trace.including] if trace.including else [])])
    return origin.source, (*origin.path, *path[len(known) :])


def _own(loaded: Loaded, origins: list[Origin]) -> Origin:
    # What is new goes into the configuration's own file, where it wins over what is included.
    own = [each for each in origins if each.source is loaded.config.source]
    return own[0] if own else origins[0]


def _planned(
    loaded: Loaded,
    source: Source | None,
    text: str,
    templates: Any,
    paths: tuple[str, ...],
    *,
    undoes: int | None = None,
) -> Planned:
    rewrite = Rewrite(_file(loaded, source), source, text, templates)
    return Planned((rewrite,), templates, paths, undoes)


def _templates(loaded: Loaded, source: Source | None, text: str, plain: Any) -> Any:
    """Return what *text* makes of the configuration: *plain*, unless it includes other files."""
    if source is None or source is not loaded.config.source or INCLUDE not in text:
        return plain
    return include_all(Source(source.file, text, parse_document(text, path=source.path))).value


def _file(loaded: Loaded, source: Source | None) -> Path:
    return loaded.path if source is None else source.path


def _sources(loaded: Loaded) -> list[Source]:
    found: dict[Path, Source] = {}
    _, root = loaded.provenance.nearest(())
    rest = [] if root is None else [root]
    while rest:
        trace = rest.pop()
        for origin in trace.origins:
            found[origin.source.file.real] = origin.source
        rest.extend((trace.children or {}).values())
    return list(found.values())


def _included_at(loaded: Loaded, file: Path) -> list[KeyPath]:
    """Return where the value of *file* alone stands in the configuration."""
    found: list[KeyPath] = []
    rest: list[tuple[KeyPath, Trace]] = []
    _, root = loaded.provenance.nearest(())
    if root is not None:
        rest.append(((), root))
    while rest:
        path, trace = rest.pop()
        own = trace.origins[0]
        if len(trace.origins) == 1 and not own.path and own.source.file.real == file:
            found.append(path)
        else:
            rest += [((*path, step), each) for step, each in (trace.children or {}).items()]
    return found


def _moved(loaded: Loaded, templates: Any) -> tuple[str, ...]:
    if not isinstance(templates, dict):
        return ()
    keys = dict.fromkeys([*loaded.templates, *templates])
    absent = object()
    moved = [key for key in keys if loaded.templates.get(key, absent) != templates.get(key, absent)]
    return tuple(format_key_path((key,)) for key in moved)
