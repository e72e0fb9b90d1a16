"""Verbs of `memory`: capture what was said, look at what waits, recall for a model."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import pass_session
from clawstate.cli.memory import memory, text_of
from clawstate.cli.options import next_page, page_options
from clawstate.cli.printing import inline
from clawstate.cli.record_ids import emit_done, find_ids, find_item_id, waiting_ids
from clawstate.cli.session import Session
from clawstate.cli.suggestions import NAMESPACES
from clawstate.errors import InvalidError, NotFoundError, StateError
from clawstate.quantities import number_of
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clawstate.memory.capture.values import Captured, InboxItem

_NAMESPACE = click.option(
    "--namespace",
    "-n",
    metavar="NS",
    default="default",
    show_default=True,
    shell_complete=NAMESPACES,
    help="The memory that is meant.",
)


_WHY = {
    "agent": "said by the agent",
    "duplicate": "said elsewhere already",
    "empty": "without text",
    "inbox-full": "for which the inbox is full",
    "known": "seen before",
    "markup": "of lists or tables",
    "no-role": "without a role",
    "no-rule": "without anything to remember",
    "question": "asking something",
    "secret": "with a secret",
    "system": "from a program",
    "too-long": "too long",
    "too-short": "too short",
}
"""Why texts were passed over, as people read it behind their number."""


@memory.command(
    absent_ok=True,
    examples=(
        """echo '{"role": "user", "content": "I prefer tea"}' | clawstate memory capture""",
        "clawstate memory inbox",
    ),
)
@click.option("--session", "conversation", metavar="KEY", default="", help="Where it was said.")
@click.option("--who", metavar="NAME", default="owner", show_default=True, help="The owner's name.")
@click.option(
    "--origin",
    type=click.Choice(["owner", "agent", "untrusted"]),
    help="Whose words they are [by their roles].",
)
@_NAMESPACE
@click.option(
    "--max-chars",
    type=click.IntRange(100, 10_000),
    default=500,
    show_default=True,
    help="Longer texts are taken by sentences.",
)
@pass_session
def capture(session: Session, /, *, conversation: str, **settings: Any) -> None:
    """
    Remember what is worth it of the messages on stdin, one JSON object a line.

    Each has "role" and "content", and if there are "id", "sender" and "origin". What looks like an
    instruction, or comes from somebody else, waits in the inbox.
    """
    messages = list(_messages(text_of("-")))
    try:
        found = session.state.memory.capture(
            [each for _, each in messages], session=conversation, **settings
        )
    except InvalidError as error:
        raise _at_line(error, [number for number, _ in messages]) from error
    session.output.emit(to_wire(found), *_captured_lines(found))


@memory.command()
@page_options
@pass_session
def inbox(session: Session, /, *, limit: int, after: str | None) -> None:
    """Print what was captured and waits for a person, the newest first."""
    page = session.state.memory.inbox(limit, after)
    more, told = next_page(page.after)
    lines = [line for each in page for line in _item_lines(each)]
    document = {"items": to_wire(page.items), **more}
    session.output.emit(document, *(lines or ["nothing waits"]), *told)


@memory.command()
@click.argument("item_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--text", help="Remember this in the place of the only item.")
@pass_session
def accept(session: Session, /, item_ids: tuple[str, ...], *, text: str | None) -> None:
    """
    Remember items of the inbox, and print the ids of the records.

    A beginning that no other id in the inbox has is enough. Where one of several does not wait, the
    others are remembered, it is named, and the exit code is 3.
    """
    store = session.state.memory
    ids = find_ids(item_ids, lambda each: find_item_id(store, each))
    if text is not None and len(ids) > 1:
        raise click.UsageError("--text is for one item")
    made, missing = list[str](), list[StateError]()
    for each in ids:
        try:
            made.append(store.accept(each, text=text))
        except NotFoundError as error:
            missing.append(error)
    document: dict[str, Any] = {"id": made[0]} if len(ids) == len(made) == 1 else {"ids": made}
    emit_done(session, document, made, missing)


@memory.command()
@click.argument("item_ids", metavar="ID...", nargs=-1, required=True)
@pass_session
def reject(session: Session, /, item_ids: tuple[str, ...]) -> None:
    """
    Forget items of the inbox, and never take them again.

    A beginning that no other id in the inbox has is enough. Where one of several does not wait, the
    others are rejected, it is named, and the exit code is 3.
    """
    store = session.state.memory
    ids = find_ids(item_ids, lambda each: find_item_id(store, each))
    waiting = set(waiting_ids(store))
    there = [each for each in ids if each in waiting]
    hint = "'clawstate memory inbox' shows what waits"
    missing = [NotFoundError("item", each, hint) for each in ids if each not in waiting]
    count = store.reject(there) if there else 0
    emit_done(session, {"rejected": count}, [f"rejected {number_of(count, 'item')}"], missing)


@memory.command(
    examples=('clawstate memory recall "what does Ada drink?" --budget 200',),
)
@click.argument("query")
@click.option(
    "--budget",
    "budget_tokens",
    type=click.IntRange(min=1),
    default=1_000,
    show_default=True,
    help="The most tokens that it may have.",
)
@_NAMESPACE
@pass_session
def recall(session: Session, /, query: str, **settings: Any) -> None:
    """Print what is remembered about QUERY as a block for the context of a model."""
    found = session.state.memory.recall(query, **settings)
    nothing = "nothing is remembered"
    if found.left_out and not found.text:
        nothing = f"{number_of(found.left_out, 'record')} found, and none fits; raise --budget"
    session.output.emit(to_wire(found), *(found.text.splitlines() or [nothing]))


def _messages(text: str) -> Iterator[tuple[int, Any]]:
    """Yield the messages of *text*, each with the number of its line from 1."""
    # Not `splitlines`, which ends a line at characters that JSON may hold in a string.
    for number, line in enumerate(text.split("\n"), start=1):
        plain = line.strip().lstrip("\ufeff")  # also within: files are joined with theirs
        if not plain:
            continue
        try:
            message = json.loads(plain)
        except (ValueError, RecursionError):
            raise InvalidError(f"line {number}", "is no JSON", "give one object a line") from None
        if not isinstance(message, dict):
            raise InvalidError(f"line {number}", "is no JSON object")
        yield number, message


def _at_line(error: InvalidError, lines: Sequence[int]) -> InvalidError:
    """Return *error* with the line in the place of the number of a message."""
    found = re.match(r"messages\[(\d+)\]\.?", error.name)
    if found is None:
        return error
    member = error.name[found.end() :]
    place = f"line {lines[int(found[1])]}"
    return InvalidError(f"{place}, {member}" if member else place, error.problem, error.hint)


def _captured_lines(found: Captured) -> Iterator[str]:
    yield f"remembered {number_of(len(found.records), 'text')}"
    if found.inbox:
        yield f"{number_of(len(found.inbox), 'text')} for you to look at: clawstate memory inbox"
    if found.skipped:
        told = ", ".join(f"{count:,} {_WHY[reason]}" for reason, count in found.skipped.items())
        yield f"passed over: {told}"


def _item_lines(item: InboxItem) -> Iterator[str]:
    told = item.provenance
    where = f", {told.session}" if told.session else ""
    yield inline(f"{item.id}  {item.reason}  said by {told.who} ({told.origin}{where})")
    yield inline(f"      {item.text}")
