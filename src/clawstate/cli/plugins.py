"""The noun `plugins`: see which there are, and choose which run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.printing import inline
from clawstate.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawstate.plugins.contract import PluginInfo


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=("clawstate plugins list", "clawstate plugins enable memory-core"),
)
def plugins() -> None:
    """
    See which plugins there are, and choose which run.

    They are folders in extensions/ of the state directory, or named by plugins.load.paths,
    installed packages, and those that come with clawstate. Exactly one plugin for memory runs.
    """


@plugins.command("list", absent_ok=True)
@pass_session
def list_(session: Session) -> None:
    """Print each plugin, whether it runs, and why; none is loaded."""
    from clawstate.wire import to_wire  # noqa: PLC0415 - see `NOUNS`

    found = session.state.plugins.list()
    lines = [line for each in found for line in _lines(each)]
    session.output.emit({"plugins": to_wire(found)}, *lines)


@plugins.command()
@click.argument("plugin_id", metavar="ID")
@pass_session
def enable(session: Session, /, plugin_id: str) -> None:
    """
    Let the plugin ID run from the next start on.

    A plugin for memory takes the place of the other one.
    """
    _print(session, session.state.plugins.enable(plugin_id))


@plugins.command()
@click.argument("plugin_id", metavar="ID")
@pass_session
def disable(session: Session, /, plugin_id: str) -> None:
    """Let the plugin ID not run from the next start on."""
    _print(session, session.state.plugins.disable(plugin_id))


def _print(session: Session, info: PluginInfo) -> None:
    from clawstate.wire import to_wire  # noqa: PLC0415 - see `NOUNS`

    session.output.emit(to_wire(info), *_lines(info))


def _lines(info: PluginInfo) -> Iterator[str]:
    version = f" {info.version}" if info.version else ""
    kind = f", {info.kind}" if info.kind else ""
    yield inline(f"{info.status:<9} {info.id}{version} ({info.origin}{kind}): {info.reason}")
    if info.description:
        yield inline(f"{'':<9} {info.description}")
