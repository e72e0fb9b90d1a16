from __future__ import annotations

import pytest
from ledger import Ledger, Stray


def write(name, base, at):
    return {
        "write": name,
        "base": base,
        "writer": name.split(":")[0],
        "entered": at - 0.2,
        "started": at,
        "ended": at + 0.4,
    }


def test_a_single_line_loses_nothing() -> None:
    """Where each writer read what the one before it wrote, all writes survive."""
    writes = [write("ours0:1", None, 1), write("node0:1", "ours0:1", 2)]

    ledger = Ledger(writes, "node0:1")

    assert ledger.surviving == {"ours0:1", "node0:1"}
    assert ledger.losses == ()
    assert ledger.report() == "nothing lost"
    assert ledger.meetings == 1


def test_loss_is_laid_to_who_wrote_from_an_old_base() -> None:
    """A write is lost to the first later one that does not stand on it, with all on top of it."""
    writes = [
        write("ours0:1", None, 1),
        write("ours1:1", "ours0:1", 2),
        write("ours2:1", "ours1:1", 3),
        write("node0:1", "ours0:1", 4),
        write("ours0:2", "node0:1", 5),
    ]

    losses = Ledger(writes, "ours0:2").losses

    assert [(each.lost.write, each.overwriter.write) for each in losses] == [
        ("ours1:1", "node0:1"),
        ("ours2:1", "node0:1"),
    ]


@pytest.mark.parametrize(
    ("lost", "by"), [("node0", "ours0"), ("ours0", "node0"), ("node0", "node1")]
)
def test_openclaw_is_blamed_where_it_removed_a_lock(lost, by) -> None:
    """A loss is OpenClaw's own if another one removed a lock while either of the two held it."""
    writes = [write(f"{lost}:1", None, 1), write(f"{by}:1", None, 2)]
    removal = Stray("node2", 0.9, 1.1)

    innocent = Ledger(writes, f"{by}:1", [removal])
    guilty = Ledger(writes, f"{by}:1", [Stray("node2", 0.1, 0.2), Stray("node2", 1.5, 1.7)])

    assert [each.is_of_node_only for each in innocent.losses] == [True]
    assert [each.is_of_node_only for each in guilty.losses] == [False]
    assert f"{lost}:1, from base None, was overwritten 1000.0 ms later" in guilty.report()


def test_nobody_loses_a_lock_to_its_own_removal() -> None:
    """What an OpenClaw removed itself is no excuse for the write that it made."""
    writes = [write("ours0:1", None, 1), write("node0:1", None, 2)]

    (loss,) = Ledger(writes, "node0:1", [Stray("node0", 1.9, 2.0)]).losses

    assert not loss.is_of_node_only


def test_we_are_blamed_for_what_we_took_from_each_other() -> None:
    """A write of ours over another one of ours is our fault, whatever OpenClaw removed."""
    writes = [write("ours1:1", None, 1), write("ours0:1", None, 2)]

    (loss,) = Ledger(writes, "ours0:1", [Stray("node0", 0.9, 2.1)]).losses

    assert not loss.is_of_node_only


def test_renames_at_the_same_time_are_in_either_order() -> None:
    """A write may be lost to one that began a little earlier and ended later."""
    writes = [write("node0:1", None, 1.0), write("ours0:1", None, 1.1)]

    (loss,) = Ledger(writes, "node0:1").losses

    assert loss.overwriter.write == "node0:1"


def test_who_was_robbed_by_no_openclaw_was_robbed_by_us() -> None:
    """A writer whose lock is gone, and was removed by no other OpenClaw, lost it to one of us."""
    writes = [write("node0:1", None, 1) | {"locked": False}]

    explained = Ledger(writes, "node0:1", [Stray("node1", 0.9, 1.0)])
    robbed = Ledger(writes, "node0:1", [Stray("node0", 0.9, 1.0)])

    assert explained.robbed == ()
    assert [each.write for each in robbed.robbed] == ["node0:1"]
    assert robbed.report().endswith("node0:1 was robbed of its lock by one of us")


def test_a_removal_of_ones_own_is_no_excuse_unless_somebody_else_removed_it_first() -> None:
    """Its own lock may be gone when an OpenClaw comes to remove it, if another one was faster."""
    writes = [write("node0:1", None, 1) | {"locked": False}]
    own = Stray("node1", 0.9, 1.0, own=True)

    alone = Ledger(writes, "node0:1", [own])
    crossed = Ledger(writes, "node0:1", [own, Stray("node2", 0.85, 0.92)])

    assert [each.write for each in alone.robbed] == ["node0:1"]
    assert crossed.robbed == ()
