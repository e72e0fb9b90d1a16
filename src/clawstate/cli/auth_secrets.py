"""The verbs of `auth` about secrets on disk: audit, encrypt, decrypt, rekey."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.auth import auth
from clawstate.cli.command import pass_session
from clawstate.cli.printing import inline, style
from clawstate.cli.session import Session
from clawstate.quantities import number_of

if TYPE_CHECKING:
    from clawstate.doctor.audit import Report
    from clawstate.state.encryption import Outcome

_COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}
KEY = "keyring, file, file:/path or passphrase"


@auth.command()
@pass_session
def audit(session: Session) -> None:
    """
    Find secrets in the clear, copies of them, and files that others may read.

    Every file of the state is searched for the secrets that are known. Exit code 1 if anything is
    found. No secret is printed.
    """
    from clawstate.doctor.audit import audit as examine  # noqa: PLC0415 - see `NOUNS`

    _unlock(session)
    with session.output.progress("searching", unit="bytes") as tell:
        report = examine(session.state, progress=tell)
    session.output.emit(report.document(), *_report_lines(report))
    if report.exposures:
        raise click.exceptions.Exit(1)


@auth.command(absent_ok=True)
@click.option("--key", metavar="WHERE", help=f"Where the key is kept: {KEY} [file].")
@pass_session
def encrypt(session: Session, /, *, key: str | None) -> None:
    """
    Encrypt the secrets of all agents and Matrix clients, and each that is added.

    It can be interrupted and repeated. OpenClaw cannot use what is encrypted. Without the key the
    secrets are lost: keep a copy of it, apart from the state.
    """
    encryption = session.state.encryption
    choice = key or (encryption.choice if encryption.is_on else "file")
    _tell(session, encryption.turn_on(choice), "encrypted")


@auth.command()
@pass_session
def decrypt(session: Session) -> None:
    """Write the secrets of all agents and Matrix clients in the clear again, and each added."""
    _tell(session, session.state.encryption.turn_off(), "decrypted")


@auth.command()
@click.option("--key", metavar="WHERE", help=f"Where the new key is kept: {KEY} [as it is].")
@pass_session
def rekey(session: Session, /, *, key: str | None) -> None:
    """
    Encrypt everything with a new key.

    The old key stays where it is, because older backups open with it; remove it when there are
    none.
    """
    encryption = session.state.encryption
    old = encryption.source()
    made = encryption.rekey(key)
    if old is not None and old.place and old != made.source:
        session.output.say(f"the old {old} still opens older backups; remove it when none are left")
    _tell(session, made, "encrypted")


def _unlock(session: Session) -> None:
    """Ask for a passphrase before a bar is drawn; without it the audit says what it cannot see."""
    from clawstate.errors import StateError  # noqa: PLC0415 - see `NOUNS`

    encryption = session.state.encryption
    with suppress(StateError):
        if encryption.summary().sealed:
            encryption.unlock()


def _tell(session: Session, made: Outcome, done: str) -> None:
    from clawstate.wire import to_wire  # noqa: PLC0415 - see `NOUNS`

    told = to_wire(made)
    document = {done: told.pop("changed"), **told}
    for each in made.failed:
        session.output.warn(each)
    for each in made.remains:
        session.output.warn(each)
    session.output.emit(document, *_outcome_lines(made, done))
    if made.failed:
        raise click.exceptions.Exit(1)


def _outcome_lines(made: Outcome, done: str) -> Iterator[str]:
    agents = number_of(len(made.agents), "agent")
    where = f"{agents}, {made.matrix:,} of them of Matrix clients" if made.matrix else agents
    yield f"{done} {number_of(made.changed, 'secret')} of {where}"
    if done == "encrypted" and made.source is not None:
        yield f"the key comes from the {made.source}"
        hint = "keep a copy of the key apart from this state: without it the secrets are lost"
        yield style(hint, fg="yellow")


def _report_lines(report: Report) -> Iterator[str]:
    last: Any = None
    for each in report.exposures:
        if each.file != last:
            yield style(inline(str(each.file)), bold=True)
        last = each.file
        mark = style(f"{each.told_severity:<5}", fg=_COLOURS[each.severity], bold=True)
        where = f"{each.where}: " if each.where else ""
        yield f"  {mark}  {inline(where + each.message)}"
    for note in report.notes:
        yield style(inline(f"note: {note}"), dim=True)
    searched = f"{number_of(report.searched, 'file')} searched for copies"
    count = len(report.exposures)
    if not count:
        yield style("no secret in the clear", fg="green") + f"; {searched}"
    else:
        yield f"{number_of(count, 'finding')}; {searched}"
