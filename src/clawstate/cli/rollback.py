"""The noun `rollback`: bring a database back as it was before its format was raised."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import Command, pass_session
from clawstate.cli.session import Session
from clawstate.quantities import number_of

if TYPE_CHECKING:
    from clawstate.sqlite.upgrades import KeptFormat
    from clawstate.state.upgrades import WrittenSince

_NAMES = {"memories": "memory", "messages": "message", "records": "record"}


@click.command(cls=Command, examples=("clawstate rollback --list",))
@click.option("--list", "only_list", is_flag=True, help="List what can be brought back.")
@click.option(
    "--export",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write what came since as lines of JSON, which 'memory import' takes.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def rollback(session: Session, *, only_list: bool, export: Path | None, yes: bool) -> None:
    """
    Bring back what was before the last upgrade of a database, for an older clawstate.

    Shows what was written since, which is kept beside it and can be exported. Install the older
    version before you use the state again: this one would upgrade it once more.
    """
    from clawstate.clock import to_ms  # noqa: PLC0415 - see `NOUNS`
    from clawstate.errors import NotFoundError  # noqa: PLC0415 - as above

    records = session.state.records
    found = records.upgrades()
    if only_list:
        documents = [
            _document(each) | {"atMs": to_ms(each.at), "asked": each.asked} for each in found
        ]
        session.output.emit(documents, *(map(_line, found) if found else ["there is nothing"]))
        return
    if not found:
        raise NotFoundError("upgrade", "of this state", "nothing was upgraded here")
    last = found[-1]
    since = records.written_since(last)
    for line in (_line(last), *map(_since, since)):
        session.output.say(line)
    if export is not None:
        _export(session, last, export)
    if not yes:
        if session.output.as_json or not sys.stdin.isatty():
            raise click.UsageError("this replaces a database; repeat it with --yes")
        click.confirm("bring it back?", abort=True, err=True)
    aside = records.roll_back(last)
    document = _document(last) | {"kept": str(aside)}
    session.output.emit(
        document, f"{last.database} has format {last.old} again; what was there is {aside}"
    )


def _export(session: Session, last: KeptFormat, path: Path) -> None:
    from clawstate.files.export_file import export_file  # noqa: PLC0415 - see `NOUNS`

    count = 0
    with export_file(path) as out:
        for each in session.state.records.lines_since(last):
            out.write(json.dumps(each, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
            count += 1
    session.output.say(f"wrote {number_of(count, 'line')} to {path}")


def _document(kept: KeptFormat) -> dict[str, Any]:
    return {"database": str(kept.database), "part": kept.part, "old": kept.old, "new": kept.new}


def _line(kept: KeptFormat) -> str:
    from clawstate.clock import to_iso  # noqa: PLC0415 - see `NOUNS`

    rows = number_of(kept.asked, "row")
    return (
        f"{to_iso(kept.at)}  {kept.database}  {kept.part} from format {kept.old} to {kept.new};"
        f" {rows} answered as before"
    )


def _since(found: WrittenSince) -> str:
    name = _NAMES[found.table]
    return (
        f"  since then: {number_of(found.added, f'new {name}')}, {found.changed:,} changed,"
        f" {found.removed:,} removed"
    )
