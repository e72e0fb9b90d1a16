"""The command `integrate`: tell a client of MCP how to start our server."""

from __future__ import annotations

from pathlib import Path

import click

from clawstate.cli.command import Command, pass_session
from clawstate.cli.printing import inline
from clawstate.cli.session import Session

_NAMES = ("claude-code", "codex", "openclaw", "hermes")


@click.command(
    cls=Command,
    absent_ok=True,
    examples=(
        "clawstate integrate claude-code --dry-run",
        "clawstate integrate codex",
        "clawstate integrate codex --undo",
    ),
)
@click.argument("client", type=click.Choice(_NAMES))
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--undo", is_flag=True, help="Take the entry out again.")
@click.option(
    "--project",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    metavar="DIR",
    help="The settings of a project, not of a person.",
)
@click.option("--read-only", is_flag=True, help="Let it only read.")
@pass_session
def integrate(
    session: Session,
    /,
    *,
    client: str,
    dry_run: bool,
    undo: bool,
    project: Path | None,
    read_only: bool,
) -> None:
    """
    Let CLIENT use the memory: write how it starts 'clawstate mcp serve' into its settings.

    What changes is shown. Comments and all other settings stay; the text from before is kept beside
    the file, until --undo puts it back.
    """
    from clawstate.mcp.clients.change import plan_entry, plan_undo  # noqa: PLC0415 - see `NOUNS`
    from clawstate.mcp.clients.entry import this_entry  # noqa: PLC0415
    from clawstate.mcp.clients.known import CLIENTS  # noqa: PLC0415

    chosen = CLIENTS[client]
    if undo:
        change = plan_undo(chosen, project=project)
    else:
        entry = this_entry(
            state_dir=session.state_dir,
            store=session.store,
            agent=session.agent,
            read_only=read_only,
        )
        change = plan_entry(chosen, entry, project=project)
    if change.changes and not dry_run:
        if not undo:
            from clawstate.mcp.sdk import require_sdk  # noqa: PLC0415

            require_sdk()
        change.carry_out()
    lines = change.diff()
    session.output.emit(
        {
            "client": client,
            "path": str(change.path),
            "changed": change.changes and not dry_run,
            "diff": lines,
            "backup": str(change.backup),
        },
        *map(inline, lines),
        *_remarks(client, change.changes, dry_run=dry_run, undo=undo),
    )
    if change.changes and not dry_run and not undo:
        session.output.say(f"'{chosen.check}' tells whether {chosen.title} connects")


def _remarks(client: str, changes: bool, *, dry_run: bool, undo: bool) -> list[str]:  # noqa: FBT001 - one caller
    if not changes:
        state = "there is no entry of ours" if undo else "the entry is there already"
        return [f"{client}: {state}; nothing was changed"]
    if dry_run:
        return [f"{client}: nothing was changed yet; leave out --dry-run"]
    return []
