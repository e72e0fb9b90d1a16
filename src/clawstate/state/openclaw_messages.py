"""Transcripts of the OpenClaw that lives in the directory, of which messages are not here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.errors import StateError
from clawstate.files.json_text import is_utf16
from clawstate.files.regular import regular_stream
from clawstate.openclaw.owner import Era
from clawstate.stores.sessions.entry import TOPIC, is_session_id, session_of_name

if TYPE_CHECKING:
    from clawstate.state.context import Context
    from clawstate.stores.transcripts import Transcripts

_TAIL = 256 << 10  # bytes in which the last whole entry is looked for
UTF16 = "is UTF-16, which no transcript is; save it as UTF-8"


@dataclass(frozen=True, slots=True)
class Waiting:
    """
    A transcript of OpenClaw at *place* that has entries of the session which are not here.

    It *has_none* of them, or the last ones are missing; a *problem* tells why it cannot be read.
    """

    root: Path
    session_id: str
    place: str
    has_none: bool
    problem: str = ""

    @property
    def command(self) -> str:
        """What takes it over."""
        return f"clawstate import openclaw {self.root}"

    @property
    def sentence(self) -> str:
        """Return what is there, and what takes it over."""
        if self.problem:
            return f"OpenClaw's transcript {self.place} {self.problem}; then '{self.command}'"
        what = "was not taken over" if self.has_none else "has later messages"
        return f"OpenClaw's transcript {self.place} {what}; '{self.command}' takes it over"


def waiting(
    context: Context, transcripts: Transcripts, session_id: str | None = None
) -> Iterator[Waiting]:
    """
    Yield the transcripts of OpenClaw that have entries which *transcripts* have not.

    Those of one session, or of all. Of each the last entry is looked for. Nothing is looked at in a
    directory of nobody's; what cannot be read is passed over, but for a file in UTF-16.
    """
    era, root = context.owner.era, context.paths.root
    if era is Era.FILES:
        yield from _in_files(context, transcripts, session_id)
    elif era is Era.SQLITE:
        for place, name, last in _rows(root, session_id):
            has_none = transcripts.info(name) is None
            if has_none or (last is not None and transcripts.get(name, last) is None):
                yield Waiting(root, name, place, has_none)


def utf16_transcripts(root: Path) -> Iterator[Path]:
    """Yield the transcripts of agents below *root* that are UTF-16."""
    for path in sorted(root.glob("agents/*/sessions/*.jsonl")):
        with suppress(StateError, OSError), regular_stream(path) as stream:
            if is_utf16(stream.read(64)):
                yield path


def _in_files(
    context: Context, transcripts: Transcripts, session_id: str | None
) -> Iterator[Waiting]:
    root = context.paths.root
    claimed = _claimed_files(context)
    for path in sorted(root.glob("agents/*/sessions/*.jsonl")):
        with suppress(StateError, OSError):
            place = str(path.relative_to(root))
            header = None if TOPIC in path.stem else _header(path)
            named = (claimed.get(path.name), header, session_of_name(path.stem))
            names = [str(each) for each in dict.fromkeys(named) if is_session_id(each)]
            if session_id is not None and session_id not in names:
                continue
            name = session_id or next(iter(names), "")
            with regular_stream(path) as stream:
                is_wide = is_utf16(stream.read(64))
            if is_wide:
                yield Waiting(root, name, place, has_none=True, problem=UTF16)
                continue
            last = _last_id(path)
            if last is None or any(transcripts.get(each, last) is not None for each in names):
                continue
            yield Waiting(root, name, place, not any(map(transcripts.count, names)))


def _claimed_files(context: Context) -> Mapping[str, str]:
    """Return the sessions that name a file of another name than their own."""
    from clawstate.state.sessions import open_sessions  # noqa: PLC0415 - rarely needed

    entries = open_sessions(context).entries()
    return {each.session_file: each.session_id for each in entries if each.session_file}


def _header(path: Path) -> object:
    """Return the session that the first line names; a copy of a file has another name than it."""
    with regular_stream(path) as stream, suppress(ValueError):
        first = json.loads(stream.readline(_TAIL).decode("utf-8-sig"))
        if isinstance(first, dict) and first.get("type") == "session":
            return first.get("id")
    return None


def _last_id(path: Path) -> str | None:
    """Return the id of the last entry of *path*; of one without ids some text that none has."""
    with regular_stream(path) as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL))
        lines = stream.read(_TAIL).splitlines()
    for line in reversed(lines):
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and found.get("type") != "session":
                return str(found["id"]) if "id" in found else None
    return None


def _rows(root: Path, session_id: str | None) -> Iterator[tuple[str, str, str | None]]:
    from clawstate.openclaw.owner import agent_places  # noqa: PLC0415 - needs SQLite
    from clawstate.openclaw.schema import Role  # noqa: PLC0415
    from clawstate.openclaw.snapshot import snapshot  # noqa: PLC0415
    from clawstate.openclaw.transcripts import Transcripts  # noqa: PLC0415

    for place in agent_places(root):
        with suppress(StateError), snapshot(place.path, Role.AGENT) as found:
            transcripts = Transcripts(found)
            there = transcripts.sessions()
            for name in there if session_id is None else {session_id} & {*there}:
                last = transcripts.last_id(name)
                if last is None and not transcripts.is_cold(name):
                    continue  # it has begun, and nothing was said
                where = f"of the session {name} in {place.path.relative_to(root)}"
                yield where, name, last
