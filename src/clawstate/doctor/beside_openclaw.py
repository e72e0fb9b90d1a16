"""Whose the directory is, and what of ours lies where it harms an OpenClaw, or is not read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from clawstate.health import FIX, Finding, Severity
from clawstate.openclaw.description import describe
from clawstate.openclaw.owner import Era
from clawstate.state import State
from clawstate.state.engines import FILE
from clawstate.state.left_behind import left_behind
from clawstate.state.retired import move_away, retired_files
from clawstate.state.setting_guards import NO_FILES
from clawstate.state.taken_over import has_key_pair_there, sentence, taken_over

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
    yield from _passed_over(state)
    yield from _retired(state)
    left = left_behind(state.ground)
    for store in left.counts:
        place = state.paths.records_db if left.engine == "sqlite" else root
        remedy = f"run '{left.command}'"
        yield Finding("left-behind", "warning", str(place), left.sentence(store), remedy)
    yield from _taken_over(state)


def _passed_over(state: State) -> Iterator[Finding]:
    """Tell of an engine that was asked for and is not used, for it would harm the OpenClaw."""
    if state.owner.era is Era.SQLITE:
        written = state.config.view().loaded.resolved.get("state")
        if isinstance(written, dict) and written.get("store") == FILE:
            place = str(state.config.overlay_path)
            yield Finding(
                "passed-over", "warning", place, f"state.store: {NO_FILES[0]}", NO_FILES[1]
            )


def _retired(state: State) -> Iterator[Finding]:
    for each in retired_files(state.ground):
        remedy = f"{FIX} to take it over and put it out of the way"
        if not each.can_move:
            remedy = "it is left to OpenClaw; remove it if you know that clawstate wrote it"
        severity: Severity = "error" if each.can_move else "warning"
        repair = partial(move_away, state.ground, each) if each.can_move else None
        yield Finding("retired-place", severity, str(each.path), each.harm, remedy, repair=repair)


def _taken_over(state: State) -> Iterator[Finding]:
    """Tell of records that were shared in files until OpenClaw took them into SQLite."""
    if lost := taken_over(state.ground):
        message, _, remedy = sentence(state.ground, lost).partition("; ")
        yield Finding("taken-over", "warning", str(state.paths.root), message, remedy)
    if has_key_pair_there(state.ground):
        message = "the key pair of this device lies in OpenClaw's database now"
        remedy = "nothing to do: it is used from there"
        yield Finding("key-pair", "info", str(state.paths.root), message, remedy)
