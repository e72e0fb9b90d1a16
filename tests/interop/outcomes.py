"""Run verbs of ours in a copy of a real state, and see what becomes of both."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import library_calls
from masters import Kind, Masters
from openclaw_checks import (
    LEGACY,
    RETIRED,
    SHARED,
    Account,
    examine,
    fingerprint,
    is_any,
    misplaced,
    touched,
)
from real_state import RealState
from verbs import OWN_SETTINGS, RECIPES, Ours, VerbError

CONFIG = ("openclaw.json", "openclaw.json.bak*")
EVERYTHING = (*RECIPES, *(f"library {name}" for name in library_calls.CALLS))
NOTICED = "evaluating reload (messages.responsePrefix"  # in the log of a gateway


@dataclass(frozen=True)
class Outcome:
    """What became of a state in which verbs of ours ran."""

    before: Account
    account: Account
    wrong: list[str]
    changed: set[str]
    misplaced: set[str]
    forgotten: dict[str, set[str]]
    was_reloaded: bool
    is_beside: bool

    @property
    def harm(self) -> list[str]:
        """What is worse for OpenClaw; where it had nothing before, its doctor may tell of ours."""
        complaints = self.account.complaints - self.before.complaints if self.is_beside else ()
        return [*self.account.harm(self.before), *sorted(complaints)]

    @property
    def lost_turns(self) -> int:
        return self.account.lost_turns(self.before)

    @property
    def refusals(self) -> int:
        return self.account.refusals(self.before)


def outcome_of(
    masters: Masters, kind: Kind, names: Sequence[str], *, running: bool = False
) -> Outcome:
    """Run the verbs *names* in a fresh state of that kind, and let OpenClaw use it afterwards."""
    before = masters.untouched(kind)
    real = masters.fresh(kind)
    first = fingerprint(real.root)
    wrong: list[str] = []

    def work() -> None:
        wrong.extend(use(masters, kind, names))

    def beside_the_gateway() -> None:
        work()
        with masters.ours(kind) as ours:
            reloads.append(is_reloaded(real, ours))

    reloads: list[bool] = []
    if running:
        account = examine(real, moves_in=kind.moves_in, meanwhile=beside_the_gateway)
        return Outcome(before, account, wrong, set(), set(), {}, any(reloads), kind.is_beside)
    work()
    second, listed = fingerprint(real.root), listing(masters, kind)
    account = examine(real, moves_in=kind.moves_in)
    shared = (*CONFIG, *(() if kind.is_sqlite else SHARED))
    again, named = listing(masters, kind), left_behind(masters, kind)
    return Outcome(
        before,
        account,
        wrong,
        changed={name for name in touched(first, second) if not is_any(name, shared)},
        misplaced=misplaced(first, second, RETIRED if kind.is_sqlite else LEGACY),
        forgotten={
            name: lost
            for name, ids in listed.items()
            if name not in named and (lost := ids - again[name])
        },
        was_reloaded=False,
        is_beside=kind.is_beside,
    )


def use(masters: Masters, kind: Kind, names: Sequence[str]) -> list[str]:
    """Run these verbs and calls of ours in the live state; return what went wrong with them."""
    wrong = []
    with masters.ours(kind) as ours:
        for name in names:
            try:
                if name.startswith("library "):
                    ours.call(name.removeprefix("library "))
                else:
                    ours.called.clear()
                    RECIPES[name](ours)
                    assert any(name in " ".join(each) for each in ours.called), name
            except VerbError as error:
                wrong.append(f"{name}: {error}")
    return wrong


def listing(masters: Masters, kind: Kind) -> dict[str, set[str]]:
    """Return what our command line lists: the ids of each kind of record."""
    own = OWN_SETTINGS if kind.is_beside else {}
    with masters.ours(kind) as ours:

        def ids(member: str, key: str, *words: str) -> set[str]:
            return {str(each[key]) for each in ours(*words)[member]}

        return {
            "credentials": ids("profiles", "id", "auth", "list"),
            "sessions": ids("sessions", "key", "sessions", "list"),
            "devices": ids("devices", "deviceId", "devices", "list"),
            "pairing requests": ids("requests", "deviceId", "pairing", "list"),
            "memories": ids("records", "id", "memory", "list", "-k", "1000"),
            "settings": {
                f"{path}={ours('config', 'get', path, codes=(0, 3))}"
                for path in own
                if path != "state.store"
            },
        }


def left_behind(masters: Masters, kind: Kind) -> set[str]:
    """Return the kinds of records that are said to lie in an engine that is not used any more."""
    with masters.ours(kind) as ours:
        return set(ours("store", "status")["leftBehind"]["records"])


def is_reloaded(real: RealState, ours: Ours) -> bool:
    """Whether a running gateway notices a setting that we change for it."""
    before = real.said().count(NOTICED)
    ours("config", "set", "messages.responsePrefix", "[seen]")
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if real.said().count(NOTICED) > before:
            return True
        time.sleep(0.2)
    return False
