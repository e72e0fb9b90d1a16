"""Verbs of the noun `devices`: let this one in elsewhere, and others in here."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import SecretCommand, pass_session
from clawstate.cli.devices import devices
from clawstate.cli.pairing import SCOPES
from clawstate.cli.printing import one_line, style
from clawstate.cli.session import Session

if TYPE_CHECKING:
    from clawstate.gateway.pairing_client import Paired, PairingClient

_LONGEST_LINK = 1 << 14  # bytes


@devices.command(cls=SecretCommand, absent_ok=True)
@click.option("--url", metavar="URL", help="The gateway, as its own machine tells it.")
@click.option("--invited", is_flag=True, help="Read the link of an invitation from stdin.")
@click.option("--name", metavar="NAME", help="What the owner shall see. [this machine's name]")
@SCOPES
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Certificates (PEM) to trust, instead of the system's.",
)
@click.option("--allow-http", is_flag=True, help="Plain HTTP to another machine is fine.")
@click.pass_context
def pair(
    ctx: click.Context,
    /,
    *,
    url: str | None,
    invited: bool,
    name: str | None,
    scopes: tuple[str, ...],
    ca: Path | None,
    allow_http: bool,
) -> None:
    """
    Ask the gateway of another machine to let this device in, and keep the token it gives.

    The code that is shown is approved there, with 'clawstate pairing approve'. Who has an
    invitation needs no code: 'clawstate devices invite' prints its link there.
    """
    from clawstate.gateway.pairing_client import (  # noqa: PLC0415 - see `NOUNS`
        PairingClient,
        split_invitation,
    )

    session = ctx.ensure_object(Session)
    if invited == (url is not None):
        raise click.UsageError("name the gateway with --url, or give a link with --invited")
    if invited:
        if scopes:
            raise click.UsageError("--scope is of no use here: the invitation says what it allows")
        place, secret = split_invitation(_link())
        client = PairingClient(session.state, place, ca=ca, allow_http=allow_http)
        _tell(session, client.redeem(secret, name=name))
        return
    client = PairingClient(session.state, str(url), ca=ca, allow_http=allow_http)
    _tell(session, _wait(session, client, name or _own_name(), scopes))


def _wait(session: Session, client: PairingClient, name: str, scopes: tuple[str, ...]) -> Paired:
    from clawstate.errors import LockTimeoutError  # noqa: PLC0415 - see `NOUNS`

    waiting = client.ask(name=name, scopes=scopes or None)
    code = waiting.user_code
    # On stderr where stdout is for one document: somebody has to see the code meanwhile.
    tell = session.output.say
    tell(f"this device asks to be let in with the code {style(code, bold=True)}")
    grant = "".join(f" --scope {one_line(each)}" for each in scopes)
    tell(f"approve it on the machine of the gateway: clawstate pairing approve {code}{grant}")
    until = time.monotonic() + waiting.expires_in
    while time.monotonic() < until:
        if (found := client.collect(waiting)) is not None:
            return found
        time.sleep(waiting.interval)
    hint = "ask again, and approve the code in time"
    raise LockTimeoutError("an approval", waiting.expires_in, hint)


@devices.command(absent_ok=True)
@SCOPES
@click.option("--name", metavar="NAME", help="What the device is called.")
@click.option("--url", metavar="URL", help="By which the device reaches the gateway.")
@click.option("--minutes", type=click.IntRange(1, 1440), default=10, show_default=True)
@click.option("--qr/--no-qr", "draws", default=None, help="Draw the link. [on a terminal]")
@pass_session
def invite(
    session: Session,
    /,
    *,
    scopes: tuple[str, ...],
    name: str | None,
    url: str | None,
    minutes: int,
    draws: bool | None,
) -> None:
    """
    Print a link that lets one device in, once, and as a QR code for a phone.

    Whoever has the link needs no approval. It ends with a secret: hand it to nobody else.
    """
    from clawstate.clock import to_ms  # noqa: PLC0415 - see `NOUNS`
    from clawstate.gateway.links import join_invitation  # noqa: PLC0415

    place = url or _own_url(session)
    made = session.state.device_flow.invite(
        scopes=scopes or None, name=name, lifetime=minutes * 60.0
    )
    link = join_invitation(place, made.secret)
    allowed = ", ".join(made.scopes) or "nothing"
    document = {
        "link": link,
        "scopes": list(made.scopes),
        "expiresAtMs": to_ms(made.expires_at),
    }
    hint = f"good once, within {minutes} minutes; the device may then {allowed}"
    lines = [link, style(hint, dim=True)]
    wanted = sys.stdout.isatty() if draws is None else draws
    if wanted and not session.output.as_json:
        lines = [*_draw(link), *lines]
    session.output.emit(document, *lines)


def _draw(link: str) -> list[str]:
    """Return the lines of a QR code."""
    import io  # noqa: PLC0415 - see `NOUNS`

    try:
        import segno  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        from clawstate.errors import MissingExtraError  # noqa: PLC0415

        raise MissingExtraError("gateway", "segno") from error
    drawn = io.StringIO()
    segno.make(link, error="l", micro=False).terminal(drawn, border=2, compact=True)
    return drawn.getvalue().splitlines()


def _own_url(session: Session) -> str:
    from clawstate.gateway.address import address_from  # noqa: PLC0415 - see `NOUNS`
    from clawstate.gateway.instance import Instance  # noqa: PLC0415

    state = session.state
    found = Instance(state.paths).running()
    return address_from(state.config, state.paths.root).url if found is None else found.url


def _own_name() -> str:
    import socket  # noqa: PLC0415 - see `NOUNS`

    return socket.gethostname()[:80] or "device"


def _tell(session: Session, found: Paired) -> None:
    allowed = ", ".join(found.scopes) or "nothing"
    document = {"paired": True, "name": found.name, "scopes": list(found.scopes)}
    line = f"paired with {found.name}; its token is kept here, and allows {allowed}"
    session.output.emit(document, line)


def _link() -> str:
    if sys.stdin.isatty():
        asked: str = click.prompt("link of the invitation (not shown)", hide_input=True, err=True)
        return asked
    link = sys.stdin.buffer.read(_LONGEST_LINK).decode("utf-8-sig", "replace").strip()
    if not link:
        raise click.UsageError("stdin is empty; the link is read from it")
    return link
