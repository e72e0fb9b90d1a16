"""
What is wrong with a configuration, and where.

The schema is loaded with the first check: reading a value needs none of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from clawstate.config.own_settings import OWN
from clawstate.health import Severity
from clawstate.interrupts import load_modules
from clawstate.json5.parse import Node, Place
from clawstate.json5.path_grammar import KeyPath, format_key_path
from clawstate.openclaw.accepted import Accepted, Problem, Refusal
from clawstate.quantities import number_of

if TYPE_CHECKING:
    from clawstate.config.schema.mistakes import Mistake


MOST_SUGGESTIONS = 100
"""No more unknown keys are compared with the known ones: that takes long."""

OF_THE_STATE: tuple[KeyPath, ...] = (
    *(("state",), ("pairing",), ("caches",), ("locks",), ("meta",)),
    *(("agents", "list"), ("agents", "entries")),
)
"""What a state has once, whatever its agents."""

_MAYBE_NEWER = "a newer OpenClaw may know it"
_REFUSED = {
    Problem.UNKNOWN: "unknown key",
    Problem.VALUE: "is no value for OpenClaw {version}",
    Problem.MISSING: "is missing for OpenClaw {version}",
}
_FORBIDDEN = frozenset({"__proto__", "prototype", "constructor"})


@dataclass(frozen=True)
class Issue:
    """
    One thing that is wrong with the value at *path*.

    *line* and *column* count from 1 and are `None` if the text is not known; for a value that the
    text does not hold they are those of the nearest value around it. *file* is where that text
    stands, if it is known: the configuration, the overlay beside it, what they include, the file of
    an agent. An error makes the configuration invalid, a warning does not, and no issue is an
    `info`. The *hint* says what to do, and may be empty. No issue repeats a value: it may be a
    secret.
    """

    path: KeyPath
    message: str
    line: int | None
    column: int | None
    severity: Severity
    hint: str
    file: Path | None = None

    def __str__(self) -> str:
        place = "" if self.line is None else f" (line {self.line}, column {self.column})"
        hint = f"; {self.hint}" if self.hint else ""
        return f"{format_key_path(self.path) or 'the configuration'}{place}: {self.message}{hint}"


class Finder(Protocol):
    """Whatever knows where a value stands."""

    def of_value(self, path: KeyPath) -> Place | Spot | None:
        """Return where the value at *path* begins, or the nearest value around it."""

    def of_key(self, path: KeyPath) -> Place | Spot | None:
        """Return where the key at *path* begins, or the nearest value around it."""

    def of_duplicates(self) -> Iterable[tuple[KeyPath, Sequence[Place | Spot | None]]]:
        """Return each key that an object has more than once, with all its places."""


class Spot(NamedTuple):
    """A place in one of several files."""

    line: int
    column: int
    file: Path


def check(
    value: Any,
    *,
    document: Node | None = None,
    text: str | None = None,
    finder: Finder | None = None,
    accepted: Accepted | None = None,
) -> tuple[Issue, ...]:
    """
    Return what is wrong with the configuration *value*, in the order of its text, if known.

    *value* is what the text means after its includes and variables were put in; *document* is the
    tree of the *text* that it comes from, or *finder* knows the places in several. Known keys must
    have their types; unknown and old keys, keys that are written twice, and words of OpenClaw's
    that are none of those known are warnings; names that mislead JavaScript programs, and two
    agents that share an `agentDir`, are errors. Keys and
    choices that are *accepted* by the OpenClaw of the directory are neither unknown nor wrong.
    """
    load_modules("clawstate.json5.places")
    from clawstate.json5.places import Places  # noqa: PLC0415 - loaded with the first check

    places: Finder = Places(document, text) if finder is None else finder
    theirs = None if accepted is None else _Theirs(accepted.refusals(value), accepted.version)
    found = [
        *_forbidden(value, places),
        *_mistakes(value, places, theirs),
        *_shared_directories(value, places),
        *_old_and_unknown(value, places, theirs),
        *_duplicates(places),
    ]
    return tuple(sorted(found, key=_order))


def check_agent(
    value: Any, *, finder: Finder | None = None, accepted: Accepted | None = None
) -> tuple[Issue, ...]:
    """
    Return what is wrong with *value*, the file of one agent; as `check`, with *finder* for places.

    What is one for the whole state cannot be overridden for an agent: that is an error too.
    """
    load_modules("clawstate.json5.places")
    from clawstate.json5.places import Places  # noqa: PLC0415 - loaded with the first check

    places: Finder = Places(None, None) if finder is None else finder
    found = [*check(value, finder=places, accepted=accepted), *_of_the_state(value, places)]
    return tuple(sorted(found, key=_order))


@dataclass(frozen=True, slots=True)
class _Theirs:
    """What the OpenClaw *version* of the directory refuses; the rest it accepts."""

    refusals: tuple[Refusal, ...]
    version: str

    def accepts(self, path: KeyPath) -> bool:
        """Tell whether what is at *path* is known to it, whatever it refuses further below."""
        return all(each.path != path[: len(each.path)] for each in self.refusals)

    def below(self, path: KeyPath) -> Iterator[Refusal]:
        """Yield what it refuses below *path*."""
        yield from (each for each in self.refusals if each.path[: len(path)] == path)


def _of_the_state(value: Any, places: Finder) -> Iterator[Issue]:
    for path in OF_THE_STATE:
        below = value
        for step in path:
            below = below.get(step) if isinstance(below, dict) else None
        if below is not None:
            message = "is one for all agents, and not read here"
            hint = "set it for all of them, without an agent"
            yield _issue(path, message, places.of_key(path), hint, severity="error")


def _order(issue: Issue) -> tuple[str, int, int]:
    return str(issue.file or ""), issue.line or 0, issue.column or 0


def _issue(
    path: KeyPath,
    message: str,
    place: Place | Spot | None,
    hint: str = "",
    *,
    severity: Severity,
) -> Issue:
    line, column = (None, None) if place is None else (place.line, place.column)
    file = place.file if isinstance(place, Spot) else None
    return Issue(path, message, line, column, severity, hint, file)


def _mistakes(value: Any, places: Finder, theirs: _Theirs | None) -> Iterator[Issue]:
    load_modules("clawstate.config.schema.root")
    from pydantic import ValidationError  # noqa: PLC0415 - slow

    from clawstate.config.schema.mistakes import (  # noqa: PLC0415 - loaded with it
        advice,
        mistakes_of,
        sentence,
    )
    from clawstate.config.schema.root import Config  # noqa: PLC0415 - slow

    try:
        Config.model_validate(value)
    except ValidationError as error:
        mistakes = mistakes_of(value, error.errors(include_url=False))
    else:
        return
    for each in mistakes:
        if _is_listed(each) and theirs is not None and theirs.accepts(each.path):
            continue
        place = places.of_key(each.path) if each.is_key else places.of_value(each.path)
        # A newer OpenClaw may know it, as it may know another key; what only we read it cannot.
        is_open = each.is_choice and not any(each.path[: len(own)] == own for own in OWN)
        hint = advice(each) or (_MAYBE_NEWER if is_open else "")
        severity: Severity = "warning" if is_open else "error"
        yield _issue(each.path, sentence(each), place, hint, severity=severity)


def _is_listed(mistake: Mistake) -> bool:
    """Tell whether it is of a kind that a schema lists; of the form of texts it says nothing."""
    is_tag = mistake.path[-1:] == ("source",) and isinstance(mistake.found, str)
    is_plain = isinstance(mistake.found, bool | int | float)
    return mistake.is_missing or mistake.is_choice or is_tag or is_plain


def _forbidden(value: Any, places: Finder) -> Iterator[Issue]:
    waiting: list[tuple[KeyPath, Any]] = [((), value)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, list):
            waiting += [
                ((*path, index), each)
                for index, each in enumerate(item)
                if isinstance(each, dict | list)
            ]
        if not isinstance(item, dict):
            continue
        waiting += [((*path, key), each) for key, each in item.items()]
        for key in sorted(_FORBIDDEN & item.keys()):
            place = places.of_key((*path, key))
            message = "this name is refused, it misleads JavaScript programs"
            yield _issue((*path, key), message, place, "choose another", severity="error")


def _shared_directories(value: Any, places: Finder) -> Iterator[Issue]:
    seen: dict[Path, int] = {}
    agents = value.get("agents") if isinstance(value, dict) else None
    listed = agents.get("list") if isinstance(agents, dict) else None
    for index, agent in enumerate(listed if isinstance(listed, list) else []):
        directory = agent.get("agentDir") if isinstance(agent, dict) else None
        if not isinstance(directory, str) or not directory:
            continue
        first = seen.setdefault(_resolve(directory), index)
        if first != index:
            path: KeyPath = ("agents", "list", index, "agentDir")
            message = f"agents.list[{first}] has the same directory"
            hint = "give each agent its own, or they overwrite each other's credentials"
            yield _issue(path, message, places.of_value(path), hint, severity="error")


def _resolve(directory: str) -> Path:
    try:
        return Path(directory).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):
        return Path(directory)


def _old_and_unknown(value: Any, places: Finder, theirs: _Theirs | None) -> Iterator[Issue]:
    load_modules("clawstate.config.schema.root")
    from clawstate.config.schema.root import Config  # noqa: PLC0415 - slow
    from clawstate.config.schema.shape import unknown_keys  # noqa: PLC0415 - slow

    moved = moved_keys(value)
    for path, place in moved.items():
        if theirs is not None and theirs.accepts(path):
            continue
        message, hint = "this key is from an older OpenClaw", f"move it to {place}"
        yield _issue(path, message, places.of_key(path), hint, severity="warning")
    old = {path[:1] for path in moved if path[0] == "routing"} | moved.keys()
    unknown = [each for each in unknown_keys(value, Config) if each.path not in old]
    for index, (path, known) in enumerate(unknown):
        if theirs is not None and theirs.accepts(path):
            yield from _refusals_below(theirs, path, places)
        elif path[-1] not in _FORBIDDEN:
            hint = _suggestion(str(path[-1]), known) if index < MOST_SUGGESTIONS else ""
            yield _issue(path, "unknown key", places.of_key(path), hint, severity="warning")


def _refusals_below(theirs: _Theirs, path: KeyPath, places: Finder) -> Iterator[Issue]:
    """Yield what OpenClaw refuses below the key at *path*, of which it knows more than we do."""
    for each in theirs.below(path):
        message = _REFUSED[each.problem].format(version=theirs.version)
        yield _issue(each.path, message, places.of_key(each.path), severity="warning")


def _suggestion(key: str, known: tuple[str, ...]) -> str:
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(key.lower(), by_lower, 1, 0.7)
    return f"did you mean {by_lower[close[0]]!r}?" if close else ""


def _duplicates(places: Finder) -> Iterator[Issue]:
    for path, found in places.of_duplicates():
        lines = " and ".join(dict.fromkeys(str(place.line) for place in found if place))
        where = f" (line {lines})" if lines else ""
        message = f"is written {number_of(len(found), 'time')}{where}, the last one counts"
        yield _issue(path, message, found[-1], "remove the others", severity="warning")


_CHANNELS = ("whatsapp", "telegram", "discord", "slack", "signal", "imessage", "msteams", "irc")
_ROUTING = {
    "agentToAgent": "tools.agentToAgent",
    "agents": "agents.list",
    "allowFrom": "channels.whatsapp.allowFrom",
    "bindings": "bindings",
    "defaultAgentId": 'agents.list, as "default": true',
    "groupChat": "messages.groupChat, and the groups of each channel",
    "queue": "messages.queue",
    "transcribeAudio": "tools.media.audio.models",
}
_MOVED: dict[KeyPath, str] = {
    **{(name,): f"channels.{name}" for name in _CHANNELS},
    **{("routing", key): place for key, place in _ROUTING.items()},
    ("routing",): "agents, bindings, channels, messages and tools",
    ("agent",): "agents.defaults",
    ("memorySearch",): "agents.defaults.memorySearch",
    ("heartbeat",): "agents.defaults.heartbeat",
    ("identity",): "agents.list, as the identity of an agent",
    ("tools", "bash"): "tools.exec",
    ("gateway", "token"): "gateway.auth.token",
    ("messages", "tts", "enabled"): 'messages.tts.auto, as "always" or "off"',
}


def moved_keys(value: Any) -> dict[KeyPath, str]:
    """Return the paths of old keys in the configuration *value*, and where each belongs now."""
    found = {path: place for path, place in _MOVED.items() if _is_at(value, path)}
    if any(path[:1] == ("routing",) and len(path) > 1 for path in found):
        del found["routing",]
    return found


def _is_at(value: Any, path: KeyPath) -> bool:
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return True
