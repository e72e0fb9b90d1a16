"""The ways of `memory forget`: by ids, by a source, by demands, and with a receipt."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from clawstate.cli.receipts import receipt_lines
from clawstate.cli.record_ids import emit_done, end_with, find_id, find_ids, missing_error
from clawstate.cli.records_view import record_lines
from clawstate.cli.session import Session
from clawstate.errors import NotFoundError, StateError
from clawstate.quantities import number_of
from clawstate.wire import to_wire


def forget_records(session: Session, given: Sequence[str], *, dry_run: bool, receipt: bool) -> None:
    """Forget the records *given* by their ids, or show which those are."""
    memory = session.state.memory
    ids = find_ids(given, lambda text: find_id(memory, text))
    if dry_run:
        _show_records(session, ids)
        return
    done = memory.forget(ids, compact=receipt)
    missing = [missing_error(memory, each) for each in done.missing]
    count = len(done.records)
    if receipt and count:
        session.output.emit(to_wire(done), *receipt_lines(done))
        end_with(session, missing)
        return
    emit_done(session, {"forgotten": count}, [f"forgot {number_of(count, 'record')}"], missing)


def forget_demanded(
    session: Session,
    chosen: Mapping[str, Any],
    older_than: float | None,
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    """Forget, or in a dry run count, what is *chosen* and *older_than* so many seconds."""
    memory = session.state.memory
    until = None if older_than is None else max(memory.now() - older_than, 0.0)
    if not dry_run and not yes and sys.stdin.isatty():
        ask_before_forgetting(memory.forget_matching(**chosen, until=until, dry_run=True))
    count = memory.forget_matching(**chosen, until=until, dry_run=dry_run)
    told = "would forget" if dry_run else "forgot"
    line = f"{told} {number_of(count, 'record')}"
    session.output.emit({"forgotten": count, "dryRun": dry_run}, line)


def forget_source(session: Session, source: str, *, namespace: str, yes: bool) -> None:
    """Forget all that comes from *source*, a path as it is or made absolute."""
    memory = session.state.memory
    names = {source, os.path.abspath(source)}  # noqa: PTH100 - the file may be gone
    if not yes and sys.stdin.isatty():
        ask_before_forgetting(
            sum(
                memory.forget_matching(source=each, namespace=namespace, dry_run=True)
                for each in names
            )
        )
    forgotten = sum(memory.forget_source(each, namespace=namespace) for each in names)
    if not forgotten:
        raise NotFoundError("memory", source, "'clawstate memory list' shows what is kept")
    session.output.emit({"forgotten": forgotten}, f"forgot {number_of(forgotten, 'record')}")


def ask_before_forgetting(count: int) -> None:
    """Ask on the terminal whether *count* records are to be forgotten; nobody is asked for none."""
    if count:
        click.confirm(f"forget {number_of(count, 'record')} for good?", abort=True, err=True)


def _show_records(session: Session, ids: Sequence[str]) -> None:
    memory = session.state.memory
    kept = memory.get_many(ids)
    past = {each for each in ids if each not in kept and each in memory.find_ids(each, limit=1)}
    missing: list[StateError] = [
        missing_error(memory, each) for each in ids if each not in kept and each not in past
    ]
    there = [each for each in ids if each in kept or each in past]
    lines = [f"would forget {number_of(len(there), 'record')}"]
    for each in there:
        lines += record_lines(kept[each]) if each in kept else [each]
    document = {"forgotten": len(there), "ids": there, "dryRun": True}
    if missing and not there:
        raise missing[0]
    emit_done(session, document, lines, missing)
