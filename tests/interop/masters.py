"""States that real OpenClaws made, kept for a run of the tests; each test gets a copy."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from fake_model import FakeModel
from openclaw_checks import Account, examine
from openclaw_package import FILES, SQLITE, OpenClaw, Release
from real_state import RealState, copy_tree
from verbs import Ours

TURNS = 3
THEIRS = "openai:theirs"


@dataclass(frozen=True)
class Kind:
    """Whose directory it is when our verbs run, and which OpenClaw then works in it."""

    name: str
    made_by: str  # "nobody", or who made it; "upgraded" is made by the old and mended by the new
    used_by: Release

    @property
    def is_beside(self) -> bool:
        return self.made_by != "nobody"

    @property
    def is_sqlite(self) -> bool:
        return self.made_by in {"new", "upgraded"}

    @property
    def moves_in(self) -> bool:
        """Whether this OpenClaw comes into what another release kept, or nobody of them."""
        return self.made_by == "nobody" or (self.made_by == "old") != (self.used_by is FILES)

    def __str__(self) -> str:
        return self.name


KINDS = (
    Kind("nobody, then 2026.2.26", "nobody", FILES),
    Kind("nobody, then 2026.9.6", "nobody", SQLITE),
    Kind("2026.2.26", "old", FILES),
    Kind("2026.2.26, then 2026.9.6", "old", SQLITE),
    Kind("2026.9.6", "new", SQLITE),
    Kind("2026.9.6 upgraded from 2026.2.26", "upgraded", SQLITE),
)


@dataclass
class Masters:
    """Makes each state once, and copies it to one place: states have their own path in them."""

    folder: Path
    openclaws: dict[Release, OpenClaw]
    model: FakeModel
    port: int
    _accounts: dict[str, Account] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """Where a state lies while it is used."""
        return self.folder / "live" / "home"

    @property
    def other(self) -> Path:
        """The directory of an OpenClaw of the file era, to be imported from."""
        return self.folder / "old" / ".openclaw"

    def fresh(self, kind: Kind) -> RealState:
        """Return a copy of a state of that kind; the copy before it is gone."""
        self._made("old")  # before the copy, in whose place it is made
        self._made(kind.made_by)
        shutil.rmtree(self.folder / "live", ignore_errors=True)
        self.home.parent.mkdir()
        copy_tree(self.folder / kind.made_by, self.home)
        state = self._state(kind.used_by)
        if kind.made_by == "nobody":
            state.configure()
        return state

    def ours(self, kind: Kind) -> Ours:
        """Return our command line in the live state."""
        return Ours(self.home, self.other, kind.is_beside)

    def untouched(self, kind: Kind) -> Account:
        """Return what OpenClaw does with such a state when nobody else was there."""
        if kind.name not in self._accounts:
            self._accounts[kind.name] = examine(self.fresh(kind), moves_in=kind.moves_in)
        return self._accounts[kind.name]

    def _state(self, release: Release) -> RealState:
        return RealState(self.openclaws[release], self.home, self.model, self.port)

    def _made(self, how: str) -> None:
        if (self.folder / how).exists():
            return
        if how == "upgraded":
            self._made("old")
        shutil.rmtree(self.folder / "live", ignore_errors=True)
        self.home.mkdir(parents=True)
        {"nobody": _nothing, "old": _talked, "new": _talked, "upgraded": self._upgraded}[how](
            self._state(SQLITE if how in {"new", "upgraded"} else FILES)
        )
        copy_tree(self.home, self.folder / how)

    def _upgraded(self, state: RealState) -> None:
        copy_tree(self.folder / "old", self.home)
        _mended(state)
        with state.gateway():
            pass


def _nothing(_: RealState) -> None:
    pass


def _talked(state: RealState) -> None:
    state.configure()
    _add_credential(state)
    _mended(state)
    with state.gateway():
        for number in range(TURNS):
            done = state.turn(f"hello {number}, I am Ada")
            assert done.code == 0, done
    _mended(state)


def _add_credential(state: RealState) -> None:
    if state.openclaw.release is SQLITE:
        words = ("models", "auth", "paste-api-key", "--provider", "openai", "--profile-id")
        done = state.run(*words, THEIRS, stdin="sk-made-up-of-theirs\n")
        assert done.code == 0, done
        return
    # In that release only a terminal is asked for one.
    key = {"type": "api_key", "provider": "openai", "key": "sk-made-up-of-theirs"}
    agent = state.root / "agents" / "main" / "agent"
    agent.mkdir(parents=True, mode=0o700)
    (agent / "auth-profiles.json").touch(mode=0o600)
    document = {"version": 1, "profiles": {THEIRS: key}}
    (agent / "auth-profiles.json").write_text(json.dumps(document, indent=2))


def _mended(state: RealState) -> None:
    done = state.run("doctor", "--fix", "--non-interactive")
    assert done.code == 0, done
