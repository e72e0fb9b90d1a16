"""The noun `pairing`: let devices in, or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.printing import one_line, style
from clawstate.cli.session import Session
from clawstate.cli.suggestions import CODES

if TYPE_CHECKING:
    from clawstate.stores.pairing import Issued, PairingRequest

_SOURCE = "command line"  # the owner's own tries are counted as well

SCOPES = click.option(
    "--scope", "scopes", multiple=True, metavar="SCOPE", help="Such as operator.read; repeatable."
)


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=(
        "clawstate pairing request --user ada --device phone",
        "clawstate pairing list",
    ),
)
def pairing() -> None:
    """Let devices in."""


@pairing.command(absent_ok=True)
@click.option("--user", "user_id", required=True, metavar="U", help="Whose device it is.")
@click.option("--device", "device_id", required=True, metavar="D", help="Its id.")
@click.option("--account", "account_id", metavar="ID", help="The account it is for.")
@click.option("--name", help="What people call it.")
@SCOPES
@pass_session
def request(
    session: Session,
    /,
    *,
    user_id: str,
    device_id: str,
    account_id: str | None,
    name: str | None,
    scopes: tuple[str, ...],
) -> None:
    """Ask to pair a device, and print the code that approves it."""
    made = session.state.pairing.request(
        user_id=user_id,
        device_id=device_id,
        account_id=account_id,
        name=name,
        scopes=scopes or None,
    )
    code = style(made.code, bold=True)
    hint = f"approve it within {_left(session, made)}: clawstate pairing approve {made.code}"
    session.output.emit(request_document(session, made), code, style(hint, dim=True))


@pairing.command(name="list")
@pass_session
def list_(session: Session) -> None:
    """Print the requests that wait, the oldest first."""
    found = session.state.pairing.pending()
    document = {"requests": [request_document(session, each) for each in found]}
    lines = [_line(session, each) for each in found]
    session.output.emit(document, *(lines or ["no device asks to be let in"]))


@pairing.command()
@click.argument("code", shell_complete=CODES)
@SCOPES
@pass_session
def approve(session: Session, /, code: str, *, scopes: tuple[str, ...]) -> None:
    """
    Let in the device that shows CODE, and print its token.

    It gets what it asked for, or the scopes given here; operator.admin only if it is given here.
    The token is shown this once: what is kept only tells whether a token is the right one.
    """
    issued = session.state.pairing.approve(code, scopes=scopes or None, source=_SOURCE)
    show_issued(session, issued, f"paired {issued.device_id}")


@pairing.command()
@click.argument("code", shell_complete=CODES)
@pass_session
def reject(session: Session, /, code: str) -> None:
    """Turn away the device that shows CODE."""
    gone = session.state.pairing.reject(code, source=_SOURCE)
    document = {"rejected": True, "userId": gone.user_id, "deviceId": gone.device_id}
    session.output.emit(document, f"rejected {gone.device_id} of {gone.user_id}")


def show_issued(session: Session, issued: Issued, done: str) -> None:
    """Print a new token, and to people that this is the only time."""
    document = {
        "deviceId": issued.device_id,
        "role": issued.role,
        "scopes": list(issued.scopes),
        "token": issued.token,
    }
    allowed = ", ".join(issued.scopes) or "nothing"
    if not session.output.as_json:
        session.output.say(f"{done}; its token allows {allowed}")
        session.output.say(style("Keep the token now: it cannot be shown again.", fg="yellow"))
    session.output.emit(document, issued.token)


def request_document(session: Session, made: PairingRequest) -> dict[str, Any]:
    """Return *made* as programs want it; moments in milliseconds, as in the file."""
    from clawstate.clock import to_ms  # noqa: PLC0415 - see `NOUNS`
    from clawstate.stores.pairing.request import document_of  # noqa: PLC0415

    ends = to_ms(session.state.pairing.expires_at(made))
    return {**document_of(made), "expiresAt": ends}


def _line(session: Session, made: PairingRequest) -> str:
    who = f"{one_line(made.device_id)} of {one_line(made.user_id)}"
    if made.name:
        who = f"{one_line(made.name)} ({who})"
    account = f", account {one_line(made.account_id)}" if made.account_id else ""
    wish = f", asks for {', '.join(made.scopes)}" if made.scopes else ""
    left = style(f"{_left(session, made)} left", dim=True)
    return f"{style(made.code, bold=True)}  {who}{account}{wish}  {left}"


def _left(session: Session, made: PairingRequest) -> str:
    seconds = session.state.pairing.expires_at(made) - session.state.ground.clock()
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 120 else f"{round(minutes / 60)} h"
