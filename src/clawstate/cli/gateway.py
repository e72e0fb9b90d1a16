"""The noun `gateway`: serve the state over HTTP."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.printing import style
from clawstate.cli.session import Session

if TYPE_CHECKING:
    from clawstate.gateway.instance import Running
    from clawstate.gateway.unit import Unit

_PORT = click.IntRange(0, 65_535)
_OURS = "this one has a token of its own, in state/gateway-token, and pairs devices"


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=(
        "clawstate gateway status || true    # 1 when none runs",
        "clawstate gateway install --dry-run",
    ),
)
def gateway() -> None:
    """
    Serve the state over HTTP, to pages, phones and other programs.

    It takes the extra: pip install 'clawstate[gateway]'.
    """


@gateway.command(absent_ok=True)
@click.option("--host", metavar="NAME", help="Where to listen [gateway.host].")
@click.option(
    "--port", type=_PORT, metavar="N", help="The TCP port, 0 for any that is free [gateway.port]."
)
@click.option(
    "--log",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Append a line of JSON for each request; '-' is stderr.",
)
@pass_session
def run(session: Session, *, host: str | None, port: int | None, log: str | None) -> None:
    """
    Serve the state until interrupted, and print a link that lets its first reader in.

    The link is good once, within ten minutes; 'gateway open' makes another. Programs on this
    machine use the token that is kept in state/gateway-token.
    """
    from clawstate.gateway.address import address_from, unfollowed_settings  # noqa: PLC0415 - see `NOUNS`

    state = session.state
    if given := unfollowed_settings(state.config):
        session.output.warn(f"{', '.join(given)}: these are for OpenClaw's gateway; {_OURS}")
    address = address_from(state.config, state.paths.root, host=host, port=port)
    try:
        from clawstate.gateway.journal import Journal, open_log  # noqa: PLC0415 - as above
        from clawstate.gateway.serving import serve  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        from clawstate.errors import MissingExtraError  # noqa: PLC0415

        raise MissingExtraError("gateway", str(error.name)) from error

    def ready(url: str, link: str) -> None:
        document = {"url": url, "link": link, "pid": os.getpid()}
        told = style("(the link is good once; Ctrl-C stops the gateway)", dim=True)
        session.output.emit(document, f"listening at {url}", f"open {link}", told)

    with ExitStack() as opened:
        out = sys.stderr
        if log not in {None, "-"}:
            out = opened.enter_context(open_log(Path(str(log))))
        journal = Journal(state.clock, out, everything=log is not None)
        serve(state, address, journal, ready=ready, reopen=session.reopen)


@gateway.command(absent_ok=True)
@pass_session
def status(session: Session) -> None:
    """Print whether a gateway serves the state, and where."""
    found = _running(session)
    unit = _unit(session)
    document: dict[str, Any] = {"running": found is not None}
    document["unit"] = str(unit.path) if unit.is_installed else None
    if found is None:
        line = "no gateway serves this state; start it with 'clawstate gateway run'"
        session.output.emit({**document, "url": None, "pid": None}, line)
        raise click.exceptions.Exit(1)
    document |= {"url": found.url, "pid": found.pid}
    session.output.emit(document, f"running at {found.url} (process {found.pid})")


@gateway.command(absent_ok=True)
@click.option("--dry-run", is_flag=True, help="Print the unit, and write nothing.")
@pass_session
def install(session: Session, *, dry_run: bool) -> None:
    """Let systemd run the gateway of this state from login to logout (a user unit)."""
    unit = _unit(session)
    document = {"unit": unit.name, "path": str(unit.path), "text": unit.text}
    if dry_run:
        session.output.emit(document, f"# {unit.path}", *unit.text.splitlines())
        return
    unit.install()
    hint = style("(to keep it running without a login: loginctl enable-linger)", dim=True)
    session.output.emit(document, f"installed and started {unit.name}", hint)


@gateway.command(absent_ok=True)
@pass_session
def uninstall(session: Session) -> None:
    """Stop the user unit of this state, and remove it."""
    from clawstate.errors import NotFoundError  # noqa: PLC0415 - see `NOUNS`

    unit = _unit(session)
    if not unit.uninstall():
        raise NotFoundError("unit", unit.name, "'clawstate gateway install' makes it")
    session.output.emit({"unit": unit.name, "removed": True}, f"removed {unit.name}")


@gateway.command(name="open", absent_ok=True)
@click.option("--print", "only_print", is_flag=True, help="Print the link, and open no browser.")
@pass_session
def open_(session: Session, *, only_print: bool) -> None:
    """Open the pages of the gateway that runs, with a link that is good once."""
    from clawstate.errors import NotFoundError  # noqa: PLC0415 - see `NOUNS`
    from clawstate.gateway.client import new_link, write_redirect  # noqa: PLC0415

    found = _running(session)
    if found is None:
        raise NotFoundError(
            "gateway of", str(session.state.paths.root), "run 'clawstate gateway run'"
        )
    link = new_link(found.url, session.state.paths)
    session.output.emit({"url": found.url, "link": link}, link)
    if not only_print and not session.output.as_json:
        import webbrowser  # noqa: PLC0415 - rarely needed

        # Whoever is on this machine can read the arguments of a program, so the browser is given
        # a file that its owner alone can read, and that leads on.
        webbrowser.open(write_redirect(session.state.paths, link).as_uri())


def _unit(session: Session) -> Unit:
    from clawstate.gateway.unit import Unit  # noqa: PLC0415 - see `NOUNS`

    return Unit(session.state.paths.root)


def _running(session: Session) -> Running | None:
    from clawstate.gateway.instance import Instance  # noqa: PLC0415 - see `NOUNS`

    return Instance(session.state.paths).running()
