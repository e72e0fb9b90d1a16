"""The noun `pairing`: let devices in, or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.options import next_page, page_options
from clawstate.cli.printing import one_line, style
from clawstate.cli.session import Session
from clawstate.cli.suggestions import CODES

if TYPE_CHECKING:
    from clawstate.stores.pairing import Issued, PairingRequest

_SOURCE = "command line"  # the owner's own tries are counted as well

SCOPES = click.option(
    "--scope", "scopes", multiple=True, metavar="SCOPE", help="Such as operator.read; repeatable."
)

CODE = click.argument("code", required=False, shell_complete=CODES)
ASKING = click.option(
    "--device", "device_id", metavar="D", help="The device that asks, instead of CODE."
)
OF_USER = click.option("--user", "user_id", metavar="U", help="Whose, if several ask for it.")


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
    hint = f"approve it within {_time_left(session, made)}: clawstate pairing approve {made.code}"
    session.output.emit(request_document(session, made), code, style(hint, dim=True))


@pairing.command(name="list")
@page_options
@pass_session
def list_(session: Session, *, limit: int, after: str | None) -> None:
    """Print a page of the requests that wait, the newest first."""
    found = session.state.pairing.page(limit, after)
    more, told = next_page(found.after)
    document = {"requests": [request_document(session, each) for each in found], **more}
    lines = [_line(session, each) for each in found]
    session.output.emit(document, *(lines or ["no device asks to be let in"]), *told)


@pairing.command()
@CODE
@ASKING
@OF_USER
@SCOPES
@pass_session
def approve(
    session: Session,
    /,
    code: str | None,
    *,
    device_id: str | None,
    user_id: str | None,
    scopes: tuple[str, ...],
) -> None:
    """
    Let in the device that shows CODE, or the one that asks as --device, and print its token.

    It gets what it asked for, or the scopes given here; operator.admin only if it is given here.
    The token is shown this once: what is kept only tells whether a token is the right one. A
    device that asked over the network fetches a token by itself, and none is shown.
    """
    _require_one(code, device_id, user_id)
    asked = session.state.pairing
    if device_id is not None:
        issued = asked.approve_request(device_id, user_id=user_id, scopes=scopes or None)
    else:
        issued = asked.approve(str(code), scopes=scopes or None, source=_SOURCE)
    show_issued(session, issued, f"paired {issued.device_id}")


@pairing.command()
@CODE
@ASKING
@OF_USER
@pass_session
def reject(
    session: Session, /, code: str | None, *, device_id: str | None, user_id: str | None
) -> None:
    """Turn away the device that shows CODE, or the one that asks as --device."""
    _require_one(code, device_id, user_id)
    asked = session.state.pairing
    if device_id is not None:
        gone = asked.reject_request(device_id, user_id=user_id)
    else:
        gone = asked.reject(str(code), source=_SOURCE)
    document = {"rejected": True, "userId": gone.user_id, "deviceId": gone.device_id}
    session.output.emit(document, f"rejected {gone.device_id} of {gone.user_id}")


def _require_one(code: str | None, device_id: str | None, user_id: str | None) -> None:
    if (code is None) == (device_id is None) or (user_id is not None and device_id is None):
        raise click.UsageError("name a request: CODE, or --device D, with --user U if need be")


def show_issued(session: Session, issued: Issued, done: str) -> None:
    """Print a new token, and to people that this is the only time."""
    from clawstate.wire import to_wire  # noqa: PLC0415 - see `NOUNS`

    # The one moment at which the token is shown: no form of a value holds it.
    allowed = ", ".join(issued.scopes) or "nothing"
    if issued.collects:
        line = f"{done}; it fetches its token by itself, which allows {allowed}"
        session.output.emit({**to_wire(issued), "collects": True}, line)
        return
    document = {**to_wire(issued), "token": issued.token}
    if not session.output.as_json:
        session.output.say(f"{done}; its token allows {allowed}")
        session.output.say(style("Keep the token now: it cannot be shown again.", fg="yellow"))
    session.output.emit(document, issued.token)


def request_document(session: Session, made: PairingRequest) -> dict[str, Any]:
    """Return *made* as programs want it, with the time until which it waits."""
    from clawstate.wire import to_wire  # noqa: PLC0415 - see `NOUNS`

    found: dict[str, Any] = to_wire(made, expires_at=session.state.pairing.expires_at(made))
    return found


def _line(session: Session, made: PairingRequest) -> str:
    who = f"{one_line(made.device_id)} of {one_line(made.user_id)}"
    if made.name:
        who = f"{one_line(made.name)} ({who})"
    if made.source:
        who += f" at {one_line(made.source)}"
    account = f", account {one_line(made.account_id)}" if made.account_id else ""
    wish = f", asks for {', '.join(made.scopes)}" if made.scopes else ""
    left = style(f"{_time_left(session, made)} left", dim=True)
    return f"{style(made.code, bold=True)}  {who}{account}{wish}  {left}"


def _time_left(session: Session, made: PairingRequest) -> str:
    seconds = session.state.pairing.expires_at(made) - session.state.clock()
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 120 else f"{round(minutes / 60)} h"
