"""What is wrong with a configuration that was read: types, unknown keys, variables, notices."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from clawstate.config.includes import Layer
from clawstate.config.issues import Issue, Spot, check, check_agent
from clawstate.config.layers import Stacked
from clawstate.config.loading import Loaded
from clawstate.config.sources import Notice, Source
from clawstate.config.substitution import Missing
from clawstate.config.unsupported import Unsupported, find_unsupported
from clawstate.errors import ConfigError, CorruptError, StateError
from clawstate.files.paths import is_agent_id, normalise_agent_id
from clawstate.json5.parse import Place
from clawstate.json5.path_grammar import KeyPath
from clawstate.json5.places import Places
from clawstate.openclaw.accepted import Accepted

_PLACE = re.compile(r" \(line (?P<line>\d+), column (?P<column>\d+)\)")
_NAMED_PLACE = re.compile(r"(?P<file>/.*):(?P<line>\d+):(?P<column>\d+)", re.DOTALL)


def diagnose(loaded: Loaded, accepted: Accepted | None = None) -> tuple[Issue, ...]:
    """
    Return what is wrong with *loaded*, in the order of its texts as far as that is known.

    What is *accepted* by the OpenClaw of the directory is right.
    """
    places = _Places(loaded.layers)
    found = check(loaded.resolved, finder=places, accepted=accepted)
    return (*_collect_issues(loaded, found), *_shared_names(loaded.resolved, places))


def diagnose_agent(
    load: Callable[[], Loaded], accepted: Accepted | None = None
) -> tuple[Issue, ...]:
    """Return what is wrong with the file of an agent that *load* reads, also if it is broken."""
    try:
        loaded = load()
    except (CorruptError, ConfigError) as error:
        return (_issue_of_error(error),)
    finder = _Places(loaded.layers)
    return _collect_issues(loaded, check_agent(loaded.resolved, finder=finder, accepted=accepted))


def _collect_issues(loaded: Loaded, found: tuple[Issue, ...]) -> tuple[Issue, ...]:
    waiting = loaded.unresolved.paths()
    finder = _Places(loaded.layers)
    return (
        # A template is no value, so nothing can be said of its type.
        *(each for each in found if each.severity == "warning" or each.path not in waiting),
        *(
            _issue_of(each, finder.of_value(each.path))
            for each in find_unsupported(loaded.resolved)
        ),
        *(_issue_of_missing(each) for each in loaded.missing),
        *(_issue_of_notice(each) for each in loaded.notices),
    )


def _shared_names(value: Any, places: _Places) -> Iterator[Issue]:
    """Yield a warning for each agent whose name may be another one's, as OpenClaw reads names."""
    agents = value.get("agents") if isinstance(value, dict) else None
    listed = agents.get("list") if isinstance(agents, dict) else None
    # OpenClaw makes one directory of several names: credentials of two agents would mix there.
    known: dict[str, object] = {}
    for number, each in enumerate(listed if isinstance(listed, list) else ()):
        name = each.get("id") if isinstance(each, dict) else None
        if not isinstance(name, str) or not name.strip():
            continue
        plain = normalise_agent_id(name)
        path = ("agents", "list", number, "id")
        if not is_agent_id(name):
            message = f"stands for the agent {plain!r}, as other names do"
            yield _warning(path, places, message, "nothing is written for it under this name")
        elif plain in known:
            yield _warning(path, places, f"is a second agent {plain!r}", "give it another name")
        known[plain] = each


def _warning(path: KeyPath, places: _Places, message: str, hint: str) -> Issue:
    spot = places.of_value(path)
    line, column, file = (None, None, None) if spot is None else spot
    return Issue(path, message, line, column, "warning", hint, file)


class _Places:
    """The places of values in the texts of *layers*, the strongest last."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = layers
        self._stacked = Stacked(layers)
        self._known: dict[Source, Places] = {}

    def of_value(self, path: KeyPath) -> Spot | None:
        return self._spot(path, Places.of_value)

    def of_key(self, path: KeyPath) -> Spot | None:
        return self._spot(path, Places.of_key)

    def of_duplicates(self) -> Iterator[tuple[KeyPath, list[Spot | None]]]:
        for source in filter(None, (layer.source for layer in self._layers)):
            for path, places in self._of(source).of_duplicates():
                yield path, [_spot(each, source) for each in places]

    def _spot(self, path: KeyPath, look: Callable[[Places, KeyPath], Place | None]) -> Spot | None:
        known, trace = self._stacked.nearest(path)
        if trace is None:
            return None
        origin = trace.origins[0]
        place = look(self._of(origin.source), (*origin.path, *path[len(known) :]))
        return _spot(place, origin.source)

    def _of(self, source: Source) -> Places:
        if source not in self._known:
            self._known[source] = Places(source.document, source.text)
        return self._known[source]


def _spot(place: Place | None, source: Source) -> Spot | None:
    return None if place is None else Spot(place.line, place.column, source.path)


def _issue_of_error(error: StateError) -> Issue:
    named = error.path if isinstance(error, CorruptError) else str(getattr(error, "name", ""))
    problem, hint = str(getattr(error, "problem", error)), str(getattr(error, "hint", ""))
    found = _NAMED_PLACE.fullmatch(named) or _PLACE.search(problem)
    named = _NAMED_PLACE.sub(r"\g<file>", named)
    line, column = (None, None) if found is None else (int(found["line"]), int(found["column"]))
    return Issue((), _PLACE.sub("", problem), line, column, "error", hint, Path(named))


def _issue_of(each: Unsupported, spot: Spot | None) -> Issue:
    line, column, file = spot or (None, None, None)
    return Issue(each.path, each.problem, line, column, each.severity, each.hint, file)


def _issue_of_missing(missing: Missing) -> Issue:
    line, column = (None, None) if missing.origin is None else missing.origin.place
    file = None if missing.origin is None else missing.origin.source.path
    message = f"needs the variable {missing.name}, which is not set"
    hint = "it fails where it is used; set it, in .env for example"
    return Issue(missing.path, message, line, column, "error", hint, file)


def _issue_of_notice(notice: Notice) -> Issue:
    line, column = notice.place or (None, None)
    return Issue((), f"{notice.path}: {notice.text}", line, column, "warning", "", notice.path)
