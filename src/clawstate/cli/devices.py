"""The noun `devices`: who is let in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import CONTEXT, Group, SecretCommand, pass_session
from clawstate.cli.device_ids import find_device, short_ids
from clawstate.cli.options import next_page, page_options
from clawstate.cli.pairing import SCOPES, show_issued
from clawstate.cli.printing import inline, one_line, style
from clawstate.cli.session import Session
from clawstate.cli.suggestions import DEVICES
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from clawstate.stores.devices import Device

DEVICE = click.argument("device_id", metavar="ID", shell_complete=DEVICES)
_LONGEST_TOKEN = 1 << 16  # bytes; what is longer is no token of ours


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=("clawstate devices list --all",),
)
def devices() -> None:
    """See, rotate and revoke paired devices."""


@devices.command(name="list")
@click.option("--all", "everyone", is_flag=True, help="Show revoked devices as well.")
@page_options
@pass_session
def list_(session: Session, /, *, everyone: bool, limit: int, after: str | None) -> None:
    """Print a page of the devices that are let in, the newest first, without their tokens."""
    store = session.state.devices
    found = store.page(limit, after, revoked=everyone)
    more, told = next_page(found.after)
    document = {"devices": to_wire(found.items), **more}
    hint = "no device is paired; one asks with 'clawstate pairing request'"
    if not found and not everyone and len(store.page(1, revoked=True)):
        hint = "no device is let in; --all shows those that were revoked"
    # Beside those that are shown, also those of other pages: what is shown has to name one alone.
    shown = short_ids([each.device_id for each in store.paired(revoked=True)]) if found else {}
    lines = [_line(each, shown.get(each.device_id, each.device_id)) for each in found]
    session.output.emit(document, *(lines or [hint]), *told)


@devices.command()
@DEVICE
@SCOPES
@pass_session
def rotate(session: Session, /, device_id: str, *, scopes: tuple[str, ...]) -> None:
    """
    Give the device ID another token, and print it; the old one is good no more.

    The scopes can become fewer, and never more than what was approved.
    """
    device_id = find_device(session, device_id)
    issued = session.state.devices.rotate(device_id, scopes=scopes or None)
    show_issued(session, issued, f"rotated the token of {device_id}")


@devices.command()
@DEVICE
@pass_session
def revoke(session: Session, /, device_id: str) -> None:
    """Let the device ID in no more; it may ask to be paired again."""
    device_id = find_device(session, device_id)
    done = session.state.devices.revoke(device_id)
    _require_known(session, device_id, known=done)
    line = f"revoked {device_id}" if done else f"{device_id} was revoked already"
    session.output.emit({"deviceId": device_id, "revoked": done}, line)


@devices.command(cls=SecretCommand)
@DEVICE
@SCOPES
@click.pass_context
def verify(ctx: click.Context, /, device_id: str, *, scopes: tuple[str, ...]) -> None:
    """
    Tell whether the token on standard input lets the device ID in.

    With --scope it has to allow all of these. Exit code 1 if it does not let it in.
    """
    session = ctx.ensure_object(Session)
    device_id = find_device(session, device_id)
    found = session.state.devices.verify(device_id, _token(device_id), scopes)
    if found is None:
        session.output.emit({"valid": False}, "not let in")
        ctx.exit(1)
    allowed = ", ".join(found.scopes) or "nothing"
    document = {
        "valid": True,
        "deviceId": found.device_id,
        "userId": found.user_id,
        "role": found.role,
        "scopes": list(found.scopes),
    }
    session.output.emit(document, f"let in: {found.device_id} of {found.user_id}, for {allowed}")


@devices.command()
@DEVICE
@click.argument("name")
@pass_session
def rename(session: Session, /, device_id: str, name: str) -> None:
    """Call the device ID NAME."""
    device_id = find_device(session, device_id)
    found = session.state.devices.rename(device_id, name)
    session.output.emit(to_wire(found), f"{device_id} is called {found.name}")


@devices.command()
@DEVICE
@pass_session
def remove(session: Session, /, device_id: str) -> None:
    """Forget the device ID, which is let in no more."""
    device_id = find_device(session, device_id)
    done = session.state.devices.remove(device_id)
    _require_known(session, device_id, known=done)
    session.output.emit({"deviceId": device_id, "removed": done}, f"removed {device_id}")


def _line(device: Device, shown: str) -> str:
    from clawstate.clock import to_iso  # noqa: PLC0415 - see `NOUNS`

    shown = one_line(shown)
    who = style(one_line(device.name) if device.name else shown, bold=True)
    which = f" ({shown})" if device.name else ""
    allowed = ", ".join(device.scopes) or "nothing"
    used = device.last_used_at
    seen = "never used" if used is None else f"used {to_iso(used)[:16].replace('T', ' ')}"
    gone = style("  revoked", fg="red") if device.revoked_at is not None else ""
    whose = one_line(device.user_id)
    return f"{who}{which} of {whose}  {allowed}  {style(seen, dim=True)}{gone}"


def _require_known(session: Session, device_id: str, *, known: bool) -> None:
    from clawstate.errors import NotFoundError  # noqa: PLC0415 - see `NOUNS`

    if not known and session.state.devices.get(device_id) is None:
        raise NotFoundError("paired device", device_id, "see 'clawstate devices list --all'")


def _token(device_id: str) -> str:
    if sys.stdin.isatty():
        asked: str = click.prompt(
            f"token of {inline(device_id)} (not shown)", hide_input=True, err=True
        )
        return asked
    token = sys.stdin.buffer.read(_LONGEST_TOKEN).decode("utf-8-sig", "replace").strip()
    if not token:
        raise click.UsageError("stdin is empty; the token is read from it")
    return token
