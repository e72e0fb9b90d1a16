"""`transcript_machine`: an engine of transcripts beside that in memory, under any calls."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clawstate.errors import StateError
from clawstate.stores.transcripts import Transcripts
from clawstate.stores.transcripts.backends.inmemory import InMemoryTranscripts
from clawstate.stores.transcripts.contract import Capability, TranscriptLog
from clawstate.testing.hooks import ManualTime
from clawstate.testing.transcript_hooks import LONG, export_lines, make_message

Factory = Callable[[Path], TranscriptLog]
"""Opens the engine under test over the state in a directory."""

_SESSIONS = st.sampled_from(["a", "b", "c"])
_IDS = st.sampled_from([f"e{number}" for number in range(12)])
_WORDS = st.lists(
    st.sampled_from(
        ["tea", "kettle", "running", "runs", "red", "the", "\u5bd2\u3044", "caf\u00e9"]
    ),
    max_size=6,
)
_ROLES = st.sampled_from(["user", "assistant"])
_LENGTHS = st.sampled_from(["", LONG])


def transcript_machine(factory: Factory, *, steps: int = 30) -> type[TranscriptMachine]:
    """
    Return a state machine that compares the engine that *factory* opens with the one in memory.

    Its `TestCase` is for pytest; *steps* is the greatest number of calls in one run, of which
    there are a fifth of the examples of the hypothesis profile.

    .. code-block:: python

        class TestMyEngine(transcript_machine(MyTranscripts).TestCase): ...
    """

    class Machine(TranscriptMachine):
        def make(self, path: Path) -> TranscriptLog:
            return factory(path)

    Machine.TestCase.settings = settings(
        max_examples=max(settings().max_examples // 5, 1), stateful_step_count=steps, deadline=None
    )
    return Machine


class TranscriptMachine(RuleBasedStateMachine):
    """The engine under test beside the reference; see `transcript_machine`."""

    def __init__(self) -> None:
        super().__init__()
        self._root = Path(tempfile.mkdtemp(prefix="clawstate-test-"))
        self._time = ManualTime()
        self._reference = Transcripts(InMemoryTranscripts(), clock=self._time)
        self._open()

    def make(self, path: Path) -> TranscriptLog:
        """Open the engine under test over the state in the directory *path*."""
        raise NotImplementedError(path)

    @rule(
        session_id=_SESSIONS,
        ids=st.lists(_IDS, min_size=1, max_size=3),
        role=_ROLES,
        words=_WORDS,
        more=_LENGTHS,
        name=st.none() | st.sampled_from(["one", "two"]),
        strict=st.booleans(),
    )
    def append(  # noqa: PLR0917 - one argument for each thing that varies
        self,
        session_id: str,
        ids: list[str],
        role: str,
        words: list[str],
        more: str,
        name: str | None,
        strict: bool,  # noqa: FBT001
    ) -> None:
        """Append a turn, which may have ids that are taken."""
        turn = [
            {
                "type": "message",
                "id": each,
                "message": make_message(role, " ".join(words), more=more),
            }
            for each in ids
        ]
        self._same(lambda store: store.append(session_id, turn, turn=name, strict=strict))

    @rule(
        session_id=_SESSIONS,
        parent=_IDS,
        leaf=st.none() | _IDS,
    )
    def append_at(self, session_id: str, parent: str, leaf: str | None) -> None:
        """Append behind an entry, if the newest one is as expected."""
        entry = {"type": "custom", "id": "x", "parentId": parent}
        self._same(lambda store: store.append(session_id, entry, expect_leaf=leaf))

    @rule(session_id=_SESSIONS, ids=st.lists(_IDS, max_size=4), number=st.integers(0, 1))
    def import_lines(self, session_id: str, ids: list[str], number: int) -> None:
        """Import lines, some of which may be there or contradict what is."""
        lines = [f'{{"type":"custom","id":"{each}","parentId":null,"n":{number}}}' for each in ids]
        self._same(lambda store: store.import_lines(session_id, lines))

    @rule(session_id=_SESSIONS, at=_IDS, new=_SESSIONS)
    def fork(self, session_id: str, at: str, new: str) -> None:
        """Fork a session."""
        self._same(lambda store: store.fork(session_id, at, new))

    @rule(session_id=_SESSIONS)
    def delete(self, session_id: str) -> None:
        """Delete a session."""
        self._same(lambda store: store.delete(session_id))

    @rule(seconds=st.integers(-5, 60))
    def wait(self, seconds: int) -> None:
        """Let time pass, or the clock be set back."""
        self._time.now += seconds

    @rule(
        session_id=_SESSIONS,
        before=st.none() | _IDS,
        after=st.none() | _IDS,
        limit=st.none() | st.integers(0, 4),
    )
    def page(
        self, session_id: str, before: str | None, after: str | None, limit: int | None
    ) -> None:
        """Read a page."""
        self._same(lambda store: _comparable(store.messages(session_id, limit, before, after)))

    @rule(
        words=_WORDS,
        quote=st.booleans(),
        session_id=st.none() | _SESSIONS,
        role=st.none() | _ROLES,
        limit=st.integers(1, 5),
    )
    def search(
        self,
        words: list[str],
        quote: bool,  # noqa: FBT001
        session_id: str | None,
        role: str | None,
        limit: int,
    ) -> None:
        """Search for words, or for what stands together."""
        text = " ".join(words)
        asked = f'"{text}"' if quote else text
        found, wanted = (
            store.search(asked, session_id, limit, role) for store in (self._store, self._reference)
        )
        assert _comparable([each.message for each in found]) == _comparable(
            [each.message for each in wanted]
        )
        for one, other in zip(found, wanted, strict=True):
            assert abs(one.score - other.score) < 1e-6, (one.score, other.score)
            assert (one.snippet, one.matches) == (other.snippet, other.matches)

    @rule(limit=st.none() | st.integers(0, 2), after=st.none() | _SESSIONS)
    def list_sessions(self, limit: int | None, after: str | None) -> None:
        """List the sessions."""
        self._same(lambda store: store.sessions(limit, after))

    @rule(rebuild=st.booleans())
    def optimize(self, rebuild: bool) -> None:  # noqa: FBT001
        """Tidy up, which changes nothing that is told."""
        self._store.optimize(rebuild=rebuild)

    @rule()
    def open_again(self) -> None:
        """Close the engine and open it over the same state."""
        if Capability.DURABLE in self._log.capabilities:
            self._store.close()
            self._open()

    @invariant()
    def is_the_same(self) -> None:
        """Every session has the same lines, and nothing is damaged."""
        sessions = self._reference.sessions()
        assert self._store.sessions() == sessions
        for each in sessions:
            wanted = export_lines(self._reference, each.session_id)
            assert export_lines(self._store, each.session_id) == wanted
        told, told_there = (
            sorted((each.code, each.message) for each in store.check())
            for store in (self._store, self._reference)
        )
        assert told == told_there

    def teardown(self) -> None:
        """Remove the state."""
        self._store.close()
        shutil.rmtree(self._root, ignore_errors=True)

    def _open(self) -> None:
        self._log = self.make(self._root)
        self._store = Transcripts(self._log, clock=self._time)

    def _same(self, call: Callable[[Transcripts], Any]) -> None:
        assert _outcome(call, self._store) == _outcome(call, self._reference)


def _outcome(call: Callable[[Transcripts], Any], store: Transcripts) -> Any:
    try:
        return call(store)
    except StateError as error:
        return type(error), str(error)


def _comparable(messages: list[Any]) -> list[Any]:
    """Return messages without their positions, which are an engine's own."""
    return [
        (each.session_id, each.id, each.parent, each.timestamp, each.entry) for each in messages
    ]
