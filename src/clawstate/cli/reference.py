"""The reference of the command line, rendered from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator

import click

from clawstate.cli.main import EXIT_CODES, EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_USAGE, root

_WIDTH = 88

_TOP = """\
# Command line

Written by `make docs` from the commands' own help; a test compares the two.

`--json` may stand before the noun or after the verb. Then stdout holds exactly one JSON
document, and everything else goes to stderr. A failure is
`{"ok": false, "error": {"type": ..., "message": ...}}`.
"""


def reference_text() -> str:
    """Return the help of every command as one Markdown page, in the order of `--help`."""
    sections = [_TOP, _exit_codes(), *map(_section, _contexts())]
    return "\n".join(sections)


def _exit_codes() -> str:
    meanings = {
        0: "it worked",
        EXIT_FAILURE: "it failed, or there are findings",
        EXIT_USAGE: "the command line cannot be understood, or an option cannot have its value",
        EXIT_CODES["not_found"]: "what was asked for is not there",
        EXIT_INTERRUPTED: "interrupted",
    }
    rows = [f"| {code} | {meaning} |" for code, meaning in meanings.items()]
    return "\n".join(["| exit code | meaning |", "|---|---|", *rows, ""])


def _contexts() -> Iterator[click.Context]:
    return _below(root, "clawstate", None)


def _below(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[click.Context]:
    settings = {**command.context_settings, "terminal_width": _WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            child = command.get_command(context, each)
            if child is not None and not child.hidden:
                yield from _below(child, each, context)


def _section(context: click.Context) -> str:
    depth = "#" * min(2 + context.command_path.count(" "), 4)
    title = f"{depth} `{context.command_path}`"
    return f"{title}\n\n```text\n{context.get_help().rstrip()}\n```\n"


if __name__ == "__main__":
    click.echo(reference_text(), nl=False)  # noqa: TID251 - our own text
