from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from operations import FILE, FIRST, PATIENCE, Things, changed

from clawstate.errors import StateError
from clawstate.files.lock import FileLock
from clawstate.records.last_good import copy_path, read_copy
from faults import power_cut
from faults.victim import Victim
from seeds import seed

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SEED = seed()
CUTS = 500 if FULL else 40  # of each engine on each file system
CHANGES = 60 if FULL else 12  # in a recorded run

pytestmark = [
    pytest.mark.crash,
    pytest.mark.powercut,
    pytest.mark.filterwarnings("ignore::clawstate.errors.CorruptWarning"),
]
ON_BOTH = pytest.mark.parametrize("fs", [power_cut.EXT4, power_cut.XFS], ids=lambda each: each.kind)


def verdicts(engine, fs, check, count=CUTS):
    """Return how often *check* said what of the cuts of a victim that uses *engine*."""
    reason = power_cut.available(fs)
    if reason is not None:
        pytest.skip(reason)
    with Victim(Path(__file__).with_name("cut_victim.py")) as victim:
        log = power_cut.record(victim, engine, str(CHANGES), fs=fs)
    return Counter(power_cut.replay(log, power_cut.cuts(log, count, seed=SEED), check, fs=fs))


def reboot(root):
    """Let a lock that the cut left be of another boot, as it is where a machine went down."""
    lock = root / f"{FILE}.lock"
    if lock.exists():
        raw = lock.read_bytes()
        lock.write_bytes(re.sub(rb'("bootId": ")[^"]*', rb"\g<1>another-boot", raw))
        os.utime(lock, (0, 0))


def after(count):
    """Return the records after the first *count* changes."""
    there = FIRST
    for number in range(1, count + 1):
        there = changed("put", there, number)
    return there


def acknowledged(lines):
    return max((int(line.split()[1]) for line in lines if line.startswith("ACK")), default=0)


def is_past(there):
    """Tell whether the records were like that at any time."""
    # The first ones were put one by one.
    return there in [after(n) for n in range(CHANGES + 1)] or there.items() <= FIRST.items()


def verdict_of(there, lines):
    least = acknowledged(lines)
    if there in (after(least), after(least + 1)):
        return "sound"
    return "lost" if there in [after(number) for number in range(least)] else f"torn: {there}"


def verdict_of_file(root, lines):
    """Return in one word what became of the file, of its good copy, and of the next change."""
    try:
        document = json.loads((root / FILE).read_bytes())
    except FileNotFoundError:
        return "missing"
    except ValueError:
        return "torn"
    said = verdict_of(document["items"], lines)
    if said != "sound":
        return said
    reboot(root)
    copy = read_copy(root / FILE, limit=1 << 20)
    if copy is not None and not is_past(json.loads(copy)["items"]):
        return "a copy of garbage"
    return next_change("json", root, document["items"])


def verdict_of_database(root, lines):
    """Return in one word what became of the database, and of the next change."""
    try:
        with Things("sqlite", root) as things:
            there = things.records()
    except StateError as error:
        return f"damaged: {error}"
    said = verdict_of(there, lines)
    return said if said != "sound" else next_change("sqlite", root, there)


def next_change(engine, root, there):
    with Things(engine, root) as things:
        things.do("put", 999)
        return "sound" if things.records() == changed("put", there, 999) else "stuck"


@ON_BOTH
def test_a_power_cut_loses_no_acknowledged_record_of_a_file(fs) -> None:
    """A cut at any block leaves the file whole with all acknowledged, and the next change works."""
    assert verdicts("json", fs, verdict_of_file) == {"sound": CUTS}


@ON_BOTH
def test_a_power_cut_loses_no_acknowledged_record_of_a_database(fs) -> None:
    """A cut at any block leaves a database with all acknowledged, and the next change works."""
    assert verdicts("sqlite", fs, verdict_of_database) == {"sound": CUTS}


@ON_BOTH
def test_a_good_copy_behind_a_power_cut_is_whole_or_none(fs) -> None:
    """When the file is damaged after a cut as well, a repair gives back a past state or none."""

    def check(root, lines):
        reboot(root)
        (root / FILE).write_bytes(b"{")
        with Things("json", root) as things:
            things.do("repair", 1)
            there = things.records()
        if not there and not copy_path(root / FILE).exists():
            return "sound"
        return "sound" if is_past(there) else f"garbage: {there}"

    assert verdicts("json", fs, check, CUTS // 2) == {"sound": CUTS // 2}


@ON_BOTH
def test_a_lock_from_before_a_power_cut_is_free(fs) -> None:
    """A lock that was held at the cut, with what is left of its payload, is had at once."""

    def check(root, lines):
        reboot(root)
        with FileLock(root / FILE, options=PATIENCE):
            pass
        return "left" if (root / f"{FILE}.lock").exists() else "sound"

    assert verdicts("held", fs, check, CUTS // 2) == {"sound": CUTS // 2}
