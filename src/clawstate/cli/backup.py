"""The noun `backup`: make, prove and restore backups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.printing import style
from clawstate.cli.session import Session
from clawstate.quantities import number_of

if TYPE_CHECKING:
    from clawstate.backup import Backup, Verification

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=(
        "clawstate backup create /tmp/clawstate.tar.gz",
        "clawstate backup verify /tmp/clawstate.tar.gz",
        "clawstate backup list",
    ),
)
def backup() -> None:
    """Make backups while others write, prove them by restoring, and restore them."""


@backup.command(examples=("clawstate backup create /tmp/clawstate.tar.gz",))
@click.argument("file", type=_FILE)
@click.option(
    "--no-secrets", is_flag=True, help="Leave out credentials, keys, and what may hold any."
)
@click.option(
    "--encrypt",
    "key",
    metavar="KEY",
    help="Encrypt it with a key from keyring, file, file:/path, or passphrase.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out paths below the state directory, such as 'workspace/*'; repeatable.",
)
@click.option("--no-verify", is_flag=True, help="Do not restore it once to prove it.")
@pass_session
def create(
    session: Session,
    /,
    file: Path,
    *,
    no_secrets: bool,
    key: str | None,
    exclude: tuple[str, ...],
    no_verify: bool,
) -> None:
    """
    Write a backup of the whole state to FILE, and prove it by restoring it once.

    All of it is as it was at one moment, whoever writes meanwhile. FILE is there whole or not at
    all, and for nobody else to read; 'tar xzf' unpacks it as well, unless it is encrypted.
    """
    from clawstate.backup import create as make  # noqa: PLC0415 - see `NOUNS`
    from clawstate.wire import to_wire  # noqa: PLC0415 - as above

    with session.output.progress("backing up", unit="bytes") as tell:
        made = make(
            session.state, file, secrets=not no_secrets, key=key, exclude=exclude, tell=tell
        )
    document = {"backup": to_wire(made), "verification": None}
    lines = [f"{made.path}  {_size(made.size)}"]
    if no_verify:
        told = f"not verified yet: clawstate backup verify {made.path}"
        session.output.emit(document, *lines, style(told, dim=True))
        return
    found = _verify(session, file, None)
    session.output.emit(document | {"verification": to_wire(found)}, *lines, *_proof(found))


@backup.command(examples=("clawstate backup verify /tmp/clawstate.tar.gz",), absent_ok=True)
@click.argument("file", type=_FILE)
@click.option(
    "--scratch", type=_FOLDER, metavar="DIR", help="Where to restore it to; by default $TMPDIR."
)
@pass_session
def verify(session: Session, /, file: Path, *, scratch: Path | None) -> None:
    """
    Restore FILE into a scratch directory, and ask that what the state was asked.

    Every byte, the rows of every table, rows and searches that were sampled, and 'doctor'.
    """
    from clawstate.wire import to_wire  # noqa: PLC0415 - see `NOUNS`

    found = _verify(session, file, scratch)
    session.output.emit(to_wire(found), *_proof(found))


@backup.command(absent_ok=True)
@click.argument("file", type=_FILE)
@click.option("--to", type=_FOLDER, required=True, metavar="DIR", help="The state directory.")
@pass_session
def restore(session: Session, /, file: Path, *, to: Path) -> None:
    """
    Put the state in FILE at DIR, in one step; what is there is kept beside it.

    Refused while somebody has the state in DIR open. Killed at any point, DIR is the old state or
    the new one, whole.
    """
    from clawstate.backup import restore as bring_back  # noqa: PLC0415 - see `NOUNS`
    from clawstate.clock import to_iso  # noqa: PLC0415 - as above
    from clawstate.wire import to_wire  # noqa: PLC0415 - as above

    with session.output.progress("restoring", unit="bytes") as tell:
        done = bring_back(file, to, tell=tell)
    files = number_of(done.files, "file")
    lines = [f"{done.path} is the state of {to_iso(done.created)} ({files}, {_size(done.size)})"]
    if done.kept is not None:
        lines.append(f"what was there is kept as {done.kept}, until you remove it")
    lines += [f"{each} lay outside of the state, and is in it now" for each in done.moved]
    session.output.emit(to_wire(done), *lines)


@backup.command(name="list", absent_ok=True)
@click.argument("folder", type=_FOLDER, required=False, metavar="[DIR]")
@pass_session
def list_(session: Session, /, folder: Path | None) -> None:
    """List the backups in DIR, by default those that were made of this state, the oldest first."""
    from clawstate.backup.listing import backups_in, backups_of  # noqa: PLC0415 - see `NOUNS`
    from clawstate.wire import to_wire  # noqa: PLC0415 - as above

    found = backups_of(session.state) if folder is None else backups_in(folder)
    session.output.emit(to_wire(found), *(_lines(found) or ["there are none"]))


def _verify(session: Session, file: Path, scratch: Path | None) -> Verification:
    from clawstate.backup import verify as prove  # noqa: PLC0415 - see `NOUNS`
    from clawstate.backup.listing import note_verified  # noqa: PLC0415 - as above

    with session.output.progress("verifying", unit="bytes") as tell:
        found = prove(file, scratch=scratch, tell=tell)
    note_verified(session.state, found)
    return found


def _proof(found: Verification) -> Iterator[str]:
    yield style("verified", fg="green") + (
        f"  {number_of(found.files, 'file')}, {number_of(found.rows, 'row')};"
        f" {found.reads:,} of {number_of(found.reads, 'read')} and {found.searches:,} of"
        f" {number_of(found.searches, 'search', 'searches')} answered as before"
    )
    for each in found.damaged:
        yield style("damaged", fg="yellow") + f"  when it was backed up already: {each}"


def _lines(found: list[Backup]) -> list[str]:
    from clawstate.clock import to_iso  # noqa: PLC0415 - see `NOUNS`

    lines = []
    for each in found:
        proof = style("not verified", fg="yellow") if each.verified is None else "verified"
        kind = " encrypted" if each.encrypted else ""
        lines.append(f"{to_iso(each.created)}  {_size(each.size):>9}  {proof}{kind}  {each.path}")
    return lines


def _size(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB"
