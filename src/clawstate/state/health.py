"""`Health`: what is wrong with each part of a state, and between its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from clawstate.config.settings import MEMORY_PATH
from clawstate.errors import CorruptError, InvalidError, StateError, VersionError
from clawstate.files.regular import is_empty_file, read_regular
from clawstate.health import FIX, Finding
from clawstate.memory.contract import DAMAGE
from clawstate.stores.auth.refresh_journal import ASIDE_SUFFIX, RESPONSE_SUFFIX
from clawstate.stores.transcripts.turns import DAMAGE as TRANSCRIPT_DAMAGE

if TYPE_CHECKING:
    from clawstate.files.paths import StatePaths
    from clawstate.memory.service import Memory
    from clawstate.plugins.host import Plugins
    from clawstate.state.encryption import Encryption
    from clawstate.state.places import Places
    from clawstate.stores.auth import AuthProfiles
    from clawstate.stores.sessions import Sessions
    from clawstate.stores.transcripts import Transcripts

_SEE = "see the message"
_FIX_OR_MOVE = "run 'clawstate doctor --fix', or move the file away"


class Parts(Protocol):
    """What is looked at: a `State`, of which those are not named that it is asked for by name."""

    paths: StatePaths

    @property
    def places(self) -> Places:
        """Where they lie."""

    @property
    def encryption(self) -> Encryption:
        """Whether the credentials are sealed."""

    @property
    def sessions(self) -> Sessions:
        """The sessions."""

    @property
    def transcripts(self) -> Transcripts:
        """Their messages."""

    @property
    def memory(self) -> Memory:
        """What is remembered."""

    @property
    def plugins(self) -> Plugins:
        """What plugins it runs."""

    @property
    def auth(self) -> Callable[[str], AuthProfiles]:
        """The credentials of an agent."""

    def agents(self) -> tuple[str, ...]:
        """Return the agents that may have some."""


Paths: TypeAlias = Callable[[Parts], Iterable[Path]]


class Look(Protocol):
    """A check of one part, which gives its findings."""

    def __call__(self, state: Parts, /, *, deep: bool) -> Iterator[Finding]:
        """Look at the part of *state*; only with *deep* at every page."""


class Health:
    """
    The parts of *state* that can be checked, each by the name that it has there.

    A part tells by its own `check` what is wrong with it. What no part knows alone is added here,
    such as messages without a session, and an error that keeps a part from looking is a finding.
    """

    def __init__(self, state: Parts) -> None:
        self._state = state

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts, in the order in which they are best repaired."""
        return tuple(_LOOKS)

    def check(self, part: str, *, deep: bool = True) -> Iterator[Finding]:
        """
        Give what is wrong with *part*; nothing is changed, see `Finding.repaired`.

        *deep* reads every page of a database. Raises `InvalidError` for another name.
        """
        return self._require_look(part)(self._state, deep=deep)

    def private_paths(self, part: str) -> Iterator[Path]:
        """Give the files and directories of *part* by name that nobody else may read."""
        self._require_look(part)
        return iter(_PRIVATE[part](self._state) if part in _PRIVATE else ())

    def _require_look(self, part: str) -> Look:
        if part not in _LOOKS:
            raise InvalidError("part", f"is none of {', '.join(_LOOKS)}", "name one of them")
        return _LOOKS[part]


def _encryption(state: Parts, **_: bool) -> Iterator[Finding]:
    return state.encryption.check()


def _auth(state: Parts, **_: bool) -> Iterator[Finding]:
    for agent_id in state.agents():
        path = str(state.places.auth_profiles(agent_id))
        try:
            yield from (replace(each, path=path) for each in state.auth(agent_id).check())
        except StateError as error:
            yield Finding.of(error, path, "run 'clawstate doctor --fix'")
        yield from _legacy(state, agent_id)
        yield from _answers(state, agent_id)


def _legacy(state: Parts, agent_id: str) -> Iterator[Finding]:
    files: list[Path] = [state.places.auth_cache(agent_id)]
    if agent_id == "main":
        files.append(state.paths.legacy_oauth)
    for each in files:
        if each.is_file():
            message = "credentials of an older release; they are imported with the next change"
            remedy = "run 'clawstate auth import', then remove it"
            yield Finding("legacy", "info", str(each), message, remedy)


def _answers(state: Parts, agent_id: str) -> Iterator[Finding]:
    """Yield answers of providers that no profile holds: they may be all there is of a login."""
    folder = state.places.refresh_dir(agent_id)
    for path in sorted(folder.glob(f"*/*{ASIDE_SUFFIX}")):
        message = "an answer of a provider in which no token was found, or only a part of them"
        remedy = "look for the tokens of your login in it; remove it after the next login"
        yield Finding("answer-aside", "info", str(path), message, remedy)
    for path in sorted(folder.glob(f"*/*{RESPONSE_SUFFIX}")):
        with suppress(StateError):
            if read_regular(path, limit=1 << 20).strip():
                message = "tokens of a provider that are in no profile yet"
                remedy = "they are stored with the next refresh; or remove the profile"
                yield Finding("answer-waiting", "info", str(path), message, remedy)


def _sessions(state: Parts, **_: bool) -> Iterator[Finding]:
    yield from _check_empty(state.paths.records_db)
    try:
        yield from state.sessions.check()
    except StateError as error:
        yield Finding.of(error, str(state.paths.sessions_index), _SEE)


def _session_files(state: Parts) -> Iterator[Path]:
    for folder in (state.paths.sessions_dir, *sorted(state.paths.root.glob("agents/*/sessions"))):
        if folder.is_dir() and not folder.is_symlink():
            yield folder
            yield from sorted(folder.rglob("*"))


def _transcripts(state: Parts, *, deep: bool) -> Iterator[Finding]:
    path = str(state.paths.memory_db)
    for each in state.places.utf16_transcripts():
        remedy = "save it as UTF-8; neither OpenClaw nor clawstate reads it"
        yield Finding("transcript-encoding", "warning", str(each), "is UTF-16", remedy)
    try:
        path = str(state.places.memory_db())
        found = state.transcripts.check(deep=deep)
    except StateError as error:
        yield from _unread_database(state, error, path)
        return
    yield from _without_session(state, path)
    yield from state.places.with_salvage(found, TRANSCRIPT_DAMAGE)


def _unread_database(state: Parts, error: StateError, path: str) -> Iterator[Finding]:
    """Give that the database *path* could not be read, and what to do."""
    # Nothing of what a newer release wrote is damaged.
    if isinstance(error, CorruptError) and not isinstance(error, VersionError):
        yield from state.places.with_salvage([Finding.of(error, path, "")], error.code)
    else:
        yield Finding.of(error, path, _SEE)


def _without_session(state: Parts, path: str) -> Iterator[Finding]:
    try:
        found = [each for each in state.sessions.ended_ids() if state.transcripts.info(each)]
    except StateError:
        return  # told where the sessions are looked at

    def collect() -> str:
        state.sessions.collect()
        return "removed"

    for each in sorted(found):
        message = f"messages of the session {each} are left, which was removed for good"
        remedy = "goes with 'clawstate sessions prune'"
        yield Finding("transcript-without-session", "info", path, message, remedy, repair=collect)


def _check_placed(state: Parts, *, part: str, **_: bool) -> Iterator[Finding]:
    """Give what a part finds whose findings name its file as below the state."""
    root = state.paths.root
    try:
        # As a whole, so that an error is told instead of a part of what it kept from being seen.
        found = tuple(getattr(state, part).check())
    except StateError as error:
        place = str(getattr(error, "path", root))
        yield Finding.of(error, place, _FIX_OR_MOVE if part in _PRIVATE_FILES else _SEE)
        return
    yield from (replace(each, path=str(root / each.path)) for each in found)


def _device_files(state: Parts, *, part: str) -> Iterator[Path]:
    files = tuple(state.paths.root / each for each in _PRIVATE_FILES[part])
    for path in files:
        yield path
        yield path.parent / ".lastgood" / path.name
    yield from dict.fromkeys(path.parent for path in files)


def _memory(state: Parts, *, deep: bool) -> Iterator[Finding]:
    yield from _check_left_behind(state)
    path = str(state.paths.memory_db)
    try:
        yield from _check_empty(state.places.memory_db())
        path = str(state.places.memory())
        yield from state.places.with_salvage(state.memory.check(deep=deep), DAMAGE)
    except StateError as error:
        yield from _unread_database(state, error, path)


def _check_empty(path: Path) -> Iterator[Finding]:
    # SQLite takes a file without a byte for a new database, whatever was in it before.
    if is_empty_file(path):
        message = "is empty (0 bytes): emptied by something, or left by a cut in its first write"
        remedy = "if it held anything, restore the newest backup; else the next write fills it"
        yield Finding("empty-database", "warning", str(path), message, remedy)


def _check_left_behind(state: Parts) -> Iterator[Finding]:
    with suppress(StateError):  # a check of the configuration reports a bad setting
        if (found := state.places.memories_elsewhere()) is not None:
            place, message, remedy = found
            yield Finding("memory-elsewhere", "warning", str(place), message, remedy)
        old, new = state.places.memory_left_behind(), state.places.memory_db()
        if old is None:
            return
        message = f"holds records that nobody reads: {MEMORY_PATH.path} names {new}"
        remedy = f"{FIX} to move it, or unset {MEMORY_PATH.path}"
        repair: Callable[[], str] | None = partial(_move_memory, state, old, new)
        if new.exists():
            remedy = (
                "both hold records: 'clawstate memory export' them from here, import them there"
            )
            repair = None
        yield Finding("memory-left-behind", "warning", str(old), message, remedy, repair=repair)


def _move_memory(state: Parts, old: Path, new: Path) -> str:
    return f"moved to {new}; the old file is kept as {state.places.move_memory(old, new)}"


_PRIVATE_FILES = {
    "identity": ("identity/device.json", "identity/device-auth.json"),
    "device_auth": ("state/identity/device-auth.json",),
    "pairing": ("state/pairing.json",),
    "devices": ("state/devices.json",),
}


def _matrix_files(state: Parts) -> Iterator[Path]:
    for folder in (state.paths.matrix_dir, state.paths.credentials_dir / "matrix"):
        if folder.is_dir() and not folder.is_symlink():
            yield folder
            yield from sorted(folder.rglob("*"))


def _plugins(state: Parts, **_: bool) -> Iterator[Finding]:
    return state.plugins.check()


_LOOKS: dict[str, Look] = {
    "encryption": _encryption,
    "auth": _auth,
    "sessions": _sessions,
    "transcripts": _transcripts,
    **{each: partial(_check_placed, part=each) for each in (*_PRIVATE_FILES, "dedupe", "matrix")},
    "memory": _memory,
    "plugins": _plugins,
}

_PRIVATE: dict[str, Paths] = {
    "sessions": _session_files,
    **{each: partial(_device_files, part=each) for each in _PRIVATE_FILES},
    "matrix": _matrix_files,
}
