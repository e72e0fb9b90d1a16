"""The noun `completion`: nouns, verbs, options and names for the Tab key of a shell."""

from __future__ import annotations

from collections.abc import Iterator

import click
from click.shell_completion import CompletionItem, ShellComplete

from clawstate.cli.command import Command, pass_session
from clawstate.cli.completion_scripts import SCRIPTS
from clawstate.cli.printing import inline
from clawstate.cli.session import Session
from clawstate.errors import StateError

_LONGEST = 80  # characters of an explanation beside a word


@click.command(
    cls=Command,
    examples=(
        'eval "$(clawstate completion bash)"',
        'eval "$(clawstate completion zsh)"',
        "clawstate completion fish | source",
    ),
)
@click.option("--answer", is_flag=True, hidden=True, help="Print what can follow the WORDS.")
@click.argument("words", metavar="bash|zsh|fish", nargs=-1, type=click.UNPROCESSED)
@pass_session
def completion(session: Session, /, words: tuple[str, ...], *, answer: bool) -> None:
    """
    Print a script that lets the Tab key of a shell complete clawstate.

    It completes nouns, verbs and options, and names that are kept: keys of the configuration and of
    sessions, ids of profiles and devices, codes.

    Put the first example into ~/.bashrc, the second into ~/.zshrc, or the third into
    ~/.config/fish/config.fish.
    """
    if answer:
        for item in _answers(session, words):
            explained = inline(item.help or "")[:_LONGEST]
            session.output.value(f"{item.type}\t{item.value}\t{explained}")
        return
    if len(words) != 1 or words[0] not in SCRIPTS:
        raise click.UsageError("name one shell: bash, zsh or fish")
    session.output.emit({"script": SCRIPTS[words[0]]}, SCRIPTS[words[0]].removesuffix("\n"))


def _answers(session: Session, words: tuple[str, ...]) -> Iterator[CompletionItem[str]]:
    """Yield what may take the place of the last of *words*; nothing if that cannot be told."""
    from clawstate.cli.main import root  # noqa: PLC0415 - that is the command above this one

    shell = ShellComplete(root, {"obj": session}, "clawstate", "")
    *before, current = words or ("",)
    try:
        yield from shell.get_completions(before, current)
    except (click.ClickException, StateError, OSError):
        return
