"""The verbs of `backup` for backups that come by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.backup import backup
from clawstate.cli.command import pass_session
from clawstate.cli.options import Duration
from clawstate.cli.printing import style
from clawstate.cli.session import Session
from clawstate.quantities import number_of

if TYPE_CHECKING:
    from clawstate.backup.schedule import Timer
    from clawstate.state.backup_notes import Schedule

_FOLDER = click.Path(file_okay=False, path_type=Path)
_DAY = 86_400.0


@backup.command(
    examples=("clawstate backup enable --every 24h --keep 7d,4w --dry-run",), absent_ok=True
)
@click.option("--every", type=Duration(), default="24h", show_default=True, help="How often.")
@click.option(
    "--keep", default="7d,4w", show_default=True, metavar="POLICY", help="Which ones stay."
)
@click.option("--to", type=_FOLDER, metavar="DIR", help="Where to; by default ~/.local/state.")
@click.option("--encrypt", "key", metavar="KEY", help="keyring, file, file:/path, passphrase.")
@click.option("--no-secrets", is_flag=True, help="Leave out credentials and keys.")
@click.option(
    "--by",
    type=click.Choice(["systemd", "gateway"]),
    help="Who makes them; by default systemd, where that is, else the gateway.",
)
@click.option("--dry-run", is_flag=True, help="Print the units of systemd, and write nothing.")
@pass_session
def enable(
    session: Session,
    *,
    every: float,
    keep: str,
    to: Path | None,
    key: str | None,
    no_secrets: bool,
    by: str | None,
    dry_run: bool,
) -> None:
    """
    Have backups made from now on, each verified, and what POLICY does not keep removed.

    POLICY says of how many days, weeks, months, years the newest stays. The newest that was
    verified is never removed. A timer of systemd makes them, or, where there is none, the gateway
    while it runs. Without both let cron call 'clawstate backup run' each hour.
    """
    from clawstate.backup.schedule import Timer, schedule_for  # noqa: PLC0415 - see `NOUNS`
    from clawstate.wire.backups import schedule_form  # noqa: PLC0415 - as above

    state = session.state
    schedule = schedule_for(state, every=every, keep=keep, to=to, key=key, secrets=not no_secrets)
    timer = Timer(state.paths.root)
    units = timer.units(schedule)
    document: dict[str, Any] = {"schedule": schedule_form(schedule), "timer": str(timer.timer)}
    if dry_run:
        lines = [line for path, text in units.items() for line in (f"# {path}", *text.splitlines())]
        session.output.emit(document | {"units": {str(a): b for a, b in units.items()}}, *lines)
        return
    before = state.backup_notes.schedule()
    # First what is to be made, so that at no moment somebody makes what nobody knows of.
    state.backup_notes.set_schedule(schedule)
    try:
        maker, told = _appoint(timer, schedule, by)
    except BaseException:
        state.backup_notes.set_schedule(before)
        raise
    document |= {"by": maker, "timer": str(timer.timer) if maker == "systemd" else None}
    session.output.emit(document, f"backups go to {schedule.to}; {told}")


def _appoint(timer: Timer, schedule: Schedule, by: str | None) -> tuple[str, str]:
    """Return who makes the backups from now on, and a sentence about it."""
    from clawstate.errors import UnavailableError  # noqa: PLC0415 - see `NOUNS`

    gateway = "the gateway makes them while it runs ('clawstate gateway run')"
    if by == "gateway":
        timer.uninstall()
        return "gateway", gateway
    try:
        timer.install(schedule)
    except UnavailableError as error:
        if by == "systemd":
            raise
        return "gateway", f"{error.what} {error.problem}, so {gateway}"
    return "systemd", f"started {timer.timer.name}"


@backup.command(absent_ok=True)
@pass_session
def disable(session: Session) -> None:
    """Make no more backups by themselves; those that are there stay."""
    from clawstate.backup.schedule import Timer  # noqa: PLC0415 - see `NOUNS`

    notes = session.state.backup_notes
    schedule = notes.schedule()
    if schedule is not None:
        notes.set_schedule(None)
    was_installed = Timer(session.state.paths.root).uninstall()
    told = "no more backups are made by themselves"
    if schedule is None and not was_installed:
        told = "none were made by themselves"
    session.output.emit({"disabled": schedule is not None or was_installed}, told)


@backup.command(absent_ok=True)
@click.option("--now", is_flag=True, help="Also if none is due.")
@pass_session
def run(session: Session, *, now: bool) -> None:
    """Make a backup if one is due, verify it, and remove what the policy does not keep."""
    from clawstate.backup.schedule import run_due  # noqa: PLC0415 - see `NOUNS`
    from clawstate.wire import to_wire  # noqa: PLC0415 - as above

    with session.output.progress("backing up", unit="bytes") as tell:
        done = run_due(session.state, now=now, tell=tell)
    document = {
        "backup": to_wire(done.made),
        "verification": to_wire(done.proven),
        "removed": [str(each) for each in done.removed],
    }
    if done.made is None:
        session.output.emit(document, "none is due")
        return
    removed = number_of(len(done.removed), "older one")
    session.output.emit(document, f"{done.made.path} is verified; removed {removed}")


@backup.command(absent_ok=True)
@pass_session
def status(session: Session) -> None:
    """Print how old the last verified backup is, who makes them, and when the next is due."""
    from clawstate.backup.schedule import backup_status  # noqa: PLC0415 - see `NOUNS`
    from clawstate.clock import to_iso  # noqa: PLC0415 - as above
    from clawstate.quantities import age_text  # noqa: PLC0415 - as above
    from clawstate.wire import to_wire  # noqa: PLC0415 - as above

    found = backup_status(session.state)
    lines = ["no backup was verified yet"]
    if found.last is not None and found.age is not None:
        when = f"{to_iso(found.last.created)}, {age_text(found.age)} ago"
        lines = [f"last verified: {when}  {found.last.path}"]
    if found.schedule is None:
        lines.append(style("none come by themselves: clawstate backup enable", dim=True))
    else:
        maker = "systemd" if found.by_timer else "the gateway while it runs"
        often = f"every {found.schedule.every / 3600:g} h"
        place = f"to {found.schedule.to}, keeping {found.schedule.keep}, made by {maker}"
        lines += [f"{often} {place}", f"next: {to_iso(found.next or 0)}"]
    session.output.emit(to_wire(found), *lines)
