"""What is wrong where an OpenClaw works: files of ours that harm it, or that nobody reads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from clawstate.health import FIX, Finding, Severity
from clawstate.openclaw.description import describe
from clawstate.openclaw.owner import Era
from clawstate.state import State

_WHERE = {
    Era.FILES: "credentials and sessions are shared with it, in its files",
    Era.SQLITE: "records of ours lie in state/records.db; its own are shown, and not changed",
}


def check(state: State) -> Iterator[Finding]:
    """Look whose the directory is, for files in its way, and for records that are not read."""
    root, owner = state.paths.root, state.owner
    if owner.is_openclaw:
        found = describe(owner)
        message = f"belongs to {found.sentence}"
        yield Finding("openclaw", "info", str(root), message, _WHERE[owner.era])
        for each in found.problems:
            remedy = "what it holds cannot be shown; see the message"
            yield Finding("openclaw-database", "warning", str(root), each, remedy)
    yield from _unused_engine(state)
    yield from _retired_files(state)
    left = state.records.left_behind()
    for store in left.counts:
        place = root if left.in_files else state.paths.records_db
        remedy = f"run '{left.command}'"
        yield Finding("left-behind", "warning", str(place), left.sentence(store), remedy)
    yield from _records_taken_over(state)


def _unused_engine(state: State) -> Iterator[Finding]:
    """Tell of an engine that was asked for and is not used, for it would harm the OpenClaw."""
    if (told := state.records.passed_over()) is not None:
        place = str(state.config.overlay_path)
        yield Finding("passed-over", "warning", place, *told)


def _retired_files(state: State) -> Iterator[Finding]:
    for each in state.records.retired_files():
        remedy = f"{FIX} to take it over and put it out of the way"
        if not each.can_move:
            remedy = "it is left to OpenClaw; remove it if you know that clawstate wrote it"
        severity: Severity = "error" if each.can_move else "warning"
        repair = partial(state.records.move_away, each) if each.can_move else None
        yield Finding("retired-place", severity, str(each.path), each.harm, remedy, repair=repair)


def _records_taken_over(state: State) -> Iterator[Finding]:
    """Tell of records that were shared in files until OpenClaw took them into SQLite."""
    if lost := state.records.taken_over():
        message, _, remedy = state.records.taken_over_sentence(lost).partition("; ")
        yield Finding("taken-over", "warning", str(state.paths.root), message, remedy)
    if state.records.has_key_pair_there():
        message = "the key pair of this device lies in OpenClaw's database now"
        remedy = "nothing to do: it is used from there"
        yield Finding("key-pair", "info", str(state.paths.root), message, remedy)
