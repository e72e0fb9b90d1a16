"""The noun `import`: take over what another agent kept."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.printing import style
from clawstate.cli.session import Session
from clawstate.errors import ElsewhereWarning
from clawstate.openclaw.owner import Era
from clawstate.quantities import number_of
from clawstate.wire import to_wire
from clawstate.wire.imports import escape_unprintable

if TYPE_CHECKING:
    from clawstate.importers.openclaw import Report

_COLUMNS = ("found", "new", "changed", "unchanged", "skipped", "failed")
_COLOURS = {"new": "green", "changed": "green", "skipped": "yellow", "failed": "red"}
_SEVERITIES = {"failed": "red", "skipped": "yellow", "note": "blue"}
_SHOWN = 40
_HOMES = {
    Era.SQLITE: "is the directory of this state itself: what OpenClaw keeps in its databases is"
    " copied into records of clawstate's own; nothing of OpenClaw's is changed",
    Era.FILES: "is the directory of this state itself: sessions and credentials are shared with"
    " OpenClaw in its files already, and all else is copied into records of clawstate's own;"
    " nothing of OpenClaw's is changed",
    Era.NOBODY: "is the directory of this state itself, and no OpenClaw uses it;"
    " name the directory of the OpenClaw: clawstate import openclaw DIR",
}
_NAMES = {"left-alone": "databases and directories"}
_KINDS = [
    *("config", "auth", "sessions", "transcripts", "media", "channels", "identity"),
    *("device-auth", "devices", "memory", "workspace", "dedupe", "secrets"),
]


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=("clawstate import openclaw --dry-run",),
)
def imports() -> None:
    """Take over what another agent kept."""


@imports.command(absent_ok=True)
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Write nothing, and tell what would be taken.")
@click.option(
    "--only",
    "kinds",
    metavar="KIND",
    multiple=True,
    type=click.Choice(_KINDS),
    help=f"Take this kind alone; may be repeated. One of {', '.join(_KINDS)}.",
)
@click.option("--agent", "agents", metavar="ID", multiple=True, help="Take this agent's alone.")
@click.option("--archives", is_flag=True, help="Also transcripts of reset and deleted sessions.")
@click.option(
    "--replace",
    is_flag=True,
    help="Let theirs win over sessions, credentials, devices and tokens here.",
)
@click.option("--secrets", is_flag=True, help="Also OpenClaw's store of secrets, in the clear.")
@pass_session
def openclaw(
    session: Session,
    /,
    directory: Path | None,
    *,
    dry_run: bool,
    kinds: tuple[str, ...],
    agents: tuple[str, ...],
    archives: bool,
    replace: bool,
    secrets: bool,
) -> None:
    """
    Take over what OpenClaw keeps in DIR [~/.openclaw], in files or in databases.

    DIR is only read, and OpenClaw may run. Run it again at any time: what is here already is not
    taken twice.
    """
    from clawstate.importers.openclaw import import_openclaw  # noqa: PLC0415

    chosen = agents or ((session.agent,) if session.agent else ())
    with session.output.progress("importing", unit="bytes") as tell, warnings.catch_warnings():
        # What they tell to do is done here, or by a command that is named after.
        warnings.simplefilter("ignore", ElsewhereWarning)
        report = import_openclaw(
            session.state,
            directory or _usual_directory(),
            kinds=kinds,
            agents=chosen,
            dry_run=dry_run,
            replace=replace,
            archives=archives,
            secrets=secrets,
            progress=tell,
        )
    home = _HOMES[session.state.owner.era] if report.is_home else ""
    session.output.emit(to_wire(report), *_lines(report, home))
    if report.has_failed():
        raise click.exceptions.Exit(1)


def _usual_directory() -> Path:
    from clawstate.files.paths import resolve_state_dir  # noqa: PLC0415 - `--help` does without

    # Not where this state lies, but where OpenClaw, or a release of an older name, keeps its own.
    homes = ("OPENCLAW_HOME", "HOME", "USERPROFILE")
    return resolve_state_dir({name: os.environ[name] for name in homes if name in os.environ})


def _lines(report: Report, home: str) -> Iterator[str]:
    if home:
        yield f"{escape_unprintable(report.source)} {home}"
        yield ""
    rows = [(kind, asdict(count)) for kind, count in report.kinds()]
    if not rows:
        yield f"{escape_unprintable(report.source)} holds nothing to take over"
        return
    if report.has_failed():
        yield style(_failures_line(report), fg="red")
        yield ""
    yield from _table(rows)
    yield from _remarks(report)
    yield ""
    yield _verdict(report)


def _table(rows: list[tuple[str, dict[str, int]]]) -> Iterator[str]:
    width = max(len(kind) for kind, _ in rows)
    heads = "  ".join(f"{name:>9}" for name in _COLUMNS)
    yield style(f"{'':{width}}  {heads}", dim=True)
    for kind, counts in rows:
        cells = "  ".join(_cell(name, counts[name]) for name in _COLUMNS)
        yield f"{kind:{width}}  {cells}"


def _cell(name: str, count: int) -> str:
    text = f"{count:>9,}" if count else f"{'-':>9}"
    return style(text, fg=_COLOURS.get(name)) if count else style(text, dim=True)


def _remarks(report: Report) -> Iterator[str]:
    order = list(_SEVERITIES)
    remarks = sorted(report.remarks, key=lambda each: order.index(str(each.severity)))
    if remarks:
        yield ""
    for each in remarks[:_SHOWN]:
        place = escape_unprintable(each.path) + ("" if each.line is None else f":{each.line}")
        mark = style(f"{each.severity!s:7}", fg=_SEVERITIES[str(each.severity)])
        yield f"{mark}  {place}: {escape_unprintable(each.message)}"
    if len(remarks) > _SHOWN:
        yield f"and {number_of(len(remarks) - _SHOWN, 'more remark')}; --json has all"


def _failures_line(report: Report) -> str:
    counts = ((kind, count.failed) for kind, count in report.kinds() if count.failed)
    told = ", ".join(f"{_NAMES.get(kind, kind)} {number:,}" for kind, number in counts)
    return f"not everything was taken over, see 'failed' below: {told}"


def _verdict(report: Report) -> str:
    moved = sum(count.new + count.changed for _, count in report.kinds())
    failed = sum(count.failed for _, count in report.kinds())
    source = escape_unprintable(report.source)
    if report.dry_run:
        told = f"{moved:,} would be taken over from {source}; nothing was written"
    elif moved:
        told = f"{moved:,} taken over from {source}"
    else:
        told = f"nothing new in {source}"
    return f"{told}; {failed:,} failed" if failed else told
