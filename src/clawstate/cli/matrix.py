"""The noun `matrix`: what a Matrix client keeps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import CONTEXT, Group, SecretCommand
from clawstate.cli.printing import inline, one_line
from clawstate.cli.session import Session
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from clawstate.state.matrix import MatrixStorage

_LONGEST_TOKEN = 1 << 16  # bytes


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=("clawstate matrix paths --homeserver https://h.org --user @bot:h.org < token.txt",),
)
def matrix() -> None:
    """See what a Matrix client keeps, and where."""


@matrix.command(cls=SecretCommand)
@click.option("--homeserver", metavar="URL", help="The server [that of the credential].")
@click.option("--user", "user_id", metavar="ID", help="The user, as in @bot:example.org.")
@click.option("--account", "account_id", metavar="NAME", help="The account of this program.")
@click.pass_context
def paths(
    ctx: click.Context,
    /,
    *,
    homeserver: str | None,
    user_id: str | None,
    account_id: str | None,
) -> None:
    """
    Print where the storage of a login lies; nothing is made.

    The access token is read from standard input. Without --homeserver and --user the credential
    that is kept for the account counts, and nothing is read.
    """
    session = ctx.ensure_object(Session)
    if (homeserver is None) != (user_id is None):
        raise click.UsageError("--homeserver and --user belong together")
    token = None if user_id is None else _token(user_id)
    opened = session.state.matrix(
        homeserver=homeserver, user_id=user_id, access_token=token, account_id=account_id
    )
    found = opened.paths
    document = {**to_wire(found), "exists": found.root.is_dir()}
    session.output.emit(document, *_lines(opened))


def _lines(opened: MatrixStorage) -> list[str]:
    return [
        f"storage  {one_line(str(opened.storage_path))}",
        f"keys     {one_line(str(opened.crypto_path))}",
    ]


def _token(user_id: str) -> str:
    if sys.stdin.isatty():
        title = f"access token of {inline(user_id)} (not shown)"
        asked: str = click.prompt(title, hide_input=True, err=True)
        return asked
    token = sys.stdin.buffer.read(_LONGEST_TOKEN).decode("utf-8-sig", "replace").strip()
    if not token:
        raise click.UsageError("stdin is empty; the access token is read from it")
    return token
