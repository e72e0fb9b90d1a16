"""Whatever of ours runs in the directory of a real OpenClaw, that OpenClaw is none the worse."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import pytest
from masters import KINDS, Kind, Masters
from openclaw_checks import fingerprint
from outcomes import EVERYTHING, Outcome, outcome_of, use
from verbs import READING

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
BESIDE = [kind for kind in KINDS if kind.is_beside]
FILL = ("sessions create", "transcripts append", "auth add", "memory add", "config set")

pytestmark = [pytest.mark.interop, pytest.mark.timeout(7200)]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
each_beside = pytest.mark.parametrize("kind", BESIDE, ids=str)


@pytest.fixture(scope="module")
def outcome(masters: Masters) -> Callable[[Kind], Outcome]:
    """Return what all of our verbs together lead to in a state of a kind; each is run once."""
    found: dict[str, Outcome] = {}

    def outcome(kind: Kind) -> Outcome:
        if kind.name not in found:
            found[kind.name] = outcome_of(masters, kind, EVERYTHING)
        return found[kind.name]

    return outcome


@each_kind
@pytest.mark.parametrize("filled", [False, True], ids=["untouched", "with records of ours"])
def test_what_only_reads_changes_nothing(masters, kind, filled) -> None:
    """The verbs that only read leave every byte as it is, of OpenClaw's and of ours."""
    masters.fresh(kind)
    assert not (use(masters, kind, FILL) if filled else [])
    before = fingerprint(masters.home)

    with masters.ours(kind) as ours:
        ran = [ours.run(*name.split(), *READING[name]) for name in READING]

    after = fingerprint(masters.home)
    assert not [done.err for done in ran if "Traceback" in done.err]
    assert not {name for name, _ in before.items() ^ after.items()}


@each_kind
def test_every_verb_does_its_work(outcome, kind) -> None:
    """Beside an OpenClaw each verb and method still ends well."""
    assert not outcome(kind).wrong


@each_beside
def test_what_is_openclaws_stays_as_it_is(outcome, kind) -> None:
    """Its databases, transcripts and workspace are the same byte for byte after all verbs."""
    assert not outcome(kind).changed


@each_beside
def test_nothing_is_laid_where_openclaw_takes_it_over(outcome, kind) -> None:
    """No file is new in a place where OpenClaw looks for those of its older releases."""
    assert not outcome(kind).misplaced


@each_kind
def test_openclaw_is_none_the_worse(masters, outcome, kind, tell) -> None:
    """After all of our verbs OpenClaw starts, has its history, and complains of nothing more."""
    found = outcome(kind)

    tell(
        f"{kind}: {len(EVERYTHING)} verbs and methods, {found.lost_turns} turns that lost history,"
        f" {found.refusals} refusals"
    )
    harm = found.harm
    if harm and FULL:
        harm += culprits(EVERYTHING, lambda names: outcome_of(masters, kind, names).harm)
    assert not harm, "\n".join([*harm, found.account.said[-8000:]])


@each_kind
def test_what_we_keep_outlives_openclaw(outcome, kind) -> None:
    """After OpenClaw's turns and its repair all that we kept is listed, or named as left behind."""
    assert not outcome(kind).forgotten


@each_beside
def test_a_running_openclaw_is_none_the_worse(masters, kind, tell) -> None:
    """While the verbs run beside the gateway it goes on, and what is set then it takes up."""
    if kind.moves_in or (kind.made_by == "upgraded" and not FULL):
        pytest.skip("its gateway is not the one that made it; the others say it: CLAWSTATE_FULL=1")
    found = outcome_of(masters, kind, EVERYTHING, running=True)

    tell(f"{kind}, running: {found.lost_turns} turns lost history, {found.refusals} refusals")
    assert not found.wrong
    assert not found.harm, "\n".join([*found.harm, found.account.said[-8000:]])
    assert found.was_reloaded, found.account.said[-8000:]


@pytest.mark.skipif(not FULL, reason="one verb after another takes hours: CLAWSTATE_FULL=1")
@each_kind
@pytest.mark.parametrize("name", EVERYTHING)
def test_openclaw_is_none_the_worse_for_one_verb(masters, kind, name) -> None:
    """After one verb alone OpenClaw starts, has its history, and complains of nothing more."""
    found = outcome_of(masters, kind, [name])

    assert not found.wrong
    assert not found.harm, "\n".join([*found.harm, found.account.said[-8000:]])


def culprits(names: Sequence[str], harms: Callable[[Sequence[str]], list[str]]) -> list[str]:
    """Return those of *names* that do harm by themselves, each with what it does."""
    found = harms(names)
    if not found or len(names) == 1:
        return [f"{name}: {'; '.join(found)}" for name in names if found]
    half = len(names) // 2
    halves = culprits(names[:half], harms) + culprits(names[half:], harms)
    return halves or [f"only together: {', '.join(names)}: {'; '.join(found)}"]
