"""The noun `memory`: remember, search, look at, change and forget."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.options import (
    COUNT,
    HITS,
    C,
    Day,
    Duration,
    Fraction,
    Moment,
    Pair,
    SourceName,
    Where,
    where_of,
)
from clawstate.cli.printing import style
from clawstate.cli.session import Session
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from clawstate.memory.questions import Mode

NAMESPACE = click.option(
    "--namespace", "-n", default="default", show_default=True, help="Whose memory."
)
SINCE = click.option(
    "--since", type=Moment(), metavar="TIME", help="Made since 7d, yesterday or an ISO date."
)
UNTIL = click.option("--until", type=Moment(), metavar="TIME", help="Made before this time.")
TAGS = click.option("--tag", "-t", "tags", multiple=True, metavar="TAG", help="Repeatable.")
SOURCE = click.option(
    "--source",
    type=SourceName(),
    help="Only what comes from this file, folder, name or pattern with * and ?.",
)
WHERE = click.option(
    "--where",
    type=Where(),
    multiple=True,
    help="A demand on metadata, repeatable; or a tree of them as JSON.",
)
LIMIT = click.option(
    "--limit", "-k", type=HITS, default=10, show_default=True, help="How many hits at most."
)
MODE = click.option(
    "--mode",
    type=click.Choice(["hybrid", "words", "vector"]),
    default="hybrid",
    show_default=True,
    help="By words, by meaning, or both.",
)
MIN_SCORE = click.option(
    "--min-score", type=Fraction(), default=0.0, help="Leave out what scores less (0 to 1)."
)


AS_OF = click.option(
    "--as-of",
    type=Day(),
    metavar="TIME",
    help="Ask the memory as it was then; a day means its end.",
)


def question_options(command: C) -> C:
    """Give *command* the options of a search."""
    for option in (AS_OF, MIN_SCORE, UNTIL, SINCE, WHERE, SOURCE, TAGS, NAMESPACE, MODE, LIMIT):
        command = option(command)
    return command


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=(
        'clawstate memory add "Ada prefers green tea" --tag preference',
        'clawstate memory search "what does Ada like to drink?"',
        "clawstate memory import ~/notes",
    ),
)
def memory() -> None:
    """Remember, search and import."""


@memory.command(
    examples=(
        'clawstate memory add "Standup moves to 9:30 on Mondays" --tag work --ttl 30d',
        'clawstate memory add "Ada is allergic to peanuts" --meta person=ada',
        "date | clawstate memory add - --source clock",
    ),
    absent_ok=True,
)
@click.argument("text")
@TAGS
@NAMESPACE
@click.option("--title", metavar="NAME", help="What it is called; searches count it.")
@click.option("--source", metavar="NAME", help="Where it comes from.")
@click.option("--meta", type=Pair(), multiple=True, help="Metadata, repeatable; JSON or text.")
@click.option("--importance", type=Fraction(), default=0.7, show_default=True)
@click.option("--category", default="other", show_default=True)
@click.option("--ttl", type=Duration(), help="Forget after 90s, 15m, 2h, 30d or 1y.")
@click.option("--thread", metavar="NAME", help="The conversation or document it belongs to.")
@click.option("--position", type=int, help="The place in the thread [the next].")
@pass_session
def add(
    session: Session, /, text: str, *, tags: tuple[str, ...], meta: Any, **settings: Any
) -> None:
    """Remember TEXT ('-' reads it from stdin) and print its id."""
    made = session.state.memory.add(text_of(text), tags=tags, metadata=dict(meta), **settings)
    session.output.emit({"id": made}, made)


@memory.command(
    examples=(
        'clawstate memory search "when do we meet?" --tag work --since 7d',
        "clawstate memory search allergies --where person=ada --json",
        "clawstate memory search allergies --explain",
        "clawstate memory search standup --as-of 2026-03-01",
        """clawstate memory search budget --where '{"$or": [{"year": 2026}, {"$tags": "plan"}]}'""",
    ),
)
@click.argument("query")
@question_options
@click.option("--explain", is_flag=True, help="Tell of each hit what gave its score.")
@click.option("--no-cache", "fresh", is_flag=True, help="Ask the memory, not what it knows.")
@pass_session
def search(
    session: Session,
    /,
    query: str,
    *,
    limit: int,
    mode: Mode,
    tags: tuple[str, ...],
    where: Any,
    **settings: Any,
) -> None:
    """
    Print the records that answer QUERY, best first.

    'memory explain' tells why one that you miss did not come.
    """
    hits = session.state.memory.search(
        query, k=limit, mode=mode, tags=tags, where=where_of(where), **settings
    )
    if hits:
        from clawstate.cli.records_view import hit_lines  # noqa: PLC0415 - see `NOUNS`
    document = {"results": to_wire(hits), "mode": hits.mode}
    if hits.mode != mode:
        from clawstate.memory.meanings import BY_WORDS_ONLY  # noqa: PLC0415

        told = [each for each in session.output.warned if each.startswith(BY_WORDS_ONLY)]
        document["warning"] = told[-1] if told else f"{BY_WORDS_ONLY}: no embedder is in use"
    lines: list[str] = []
    for hit in hits:
        lines += hit_lines(hit, query)
        if hit.explanation is not None:
            from clawstate.cli.reasons_view import explanation_lines, strength_line  # noqa: PLC0415

            lines += explanation_lines(hit.explanation)
            if hit is hits[-1]:
                lines.append(strength_line(hit.explanation))
    session.output.emit(document, *(lines or ["nothing found"]))


@memory.command()
@click.argument("record_id", metavar="ID")
@AS_OF
@pass_session
def get(session: Session, /, record_id: str, *, as_of: float | None) -> None:
    """Print the record ID, which may be cut to a beginning that no other id has."""
    from clawstate.cli.record_ids import find_id  # noqa: PLC0415 - see `NOUNS`
    from clawstate.cli.records_view import full_lines  # noqa: PLC0415

    store = session.state.memory
    found = find_id(store, record_id)
    record = store.get(found, as_of=as_of) if as_of is not None else store.require(found)
    if record is None:
        from clawstate.errors import NotFoundError  # noqa: PLC0415

        hint = f"'clawstate memory history {found}' tells what it was, and when"
        raise NotFoundError("memory of that moment", found, hint)
    session.output.emit(to_wire(record), *full_lines(record))


@memory.command()
@click.argument("record_id", metavar="ID")
@click.option("--text", help="The new text; '-' reads it from stdin.")
@click.option("--tag", "-t", "tags", multiple=True, metavar="TAG", help="All tags anew.")
@click.option("--no-tags", is_flag=True, help="Take all tags away.")
@click.option("--meta", type=Pair(), multiple=True, help="Set a key; null takes it away.")
@click.option("--title", metavar="NAME")
@click.option("--source", metavar="NAME")
@click.option("--importance", type=Fraction())
@click.option("--category")
@click.option("--ttl", type=Duration(), help="Forget after this time from now.")
@pass_session
def update(
    session: Session,
    /,
    record_id: str,
    *,
    text: str | None,
    tags: tuple[str, ...],
    no_tags: bool,
    meta: Any,
    **settings: Any,
) -> None:
    """Change the record ID in place; a beginning that no other id has is enough."""
    from clawstate.cli.record_ids import find_id  # noqa: PLC0415 - see `NOUNS`
    from clawstate.cli.records_view import full_lines  # noqa: PLC0415

    store = session.state.memory
    found = find_id(store, record_id)
    changes = {name: value for name, value in settings.items() if value is not None}
    if text is not None:
        changes["text"] = text_of(text)
    if tags or no_tags:
        changes["tags"] = tags
    if meta:
        merged = {**store.require(found).metadata, **dict(meta)}
        changes["metadata"] = {key: value for key, value in merged.items() if value is not None}
    if not changes:
        raise click.UsageError("nothing to change; see --help")
    record = store.update(found, **changes)
    session.output.emit(to_wire(record), *full_lines(record))


@memory.command()
@click.argument("record_ids", metavar="ID...", nargs=-1)
@click.option(
    "--source",
    metavar="SOURCE",
    help="All that comes from this file, folder, name or pattern with * and ?.",
)
@TAGS
@WHERE
@click.option("--older-than", type=Duration(), help="What was made before 90d, 1y ago.")
@NAMESPACE
@click.option("--dry-run", is_flag=True, help="Only tell what would be forgotten.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--receipt", is_flag=True, help="Clear the bytes at once, and tell what went.")
@pass_session
def forget(
    session: Session,
    /,
    record_ids: tuple[str, ...],
    *,
    source: str | None,
    tags: tuple[str, ...],
    where: Any,
    older_than: float | None,
    namespace: str,
    dry_run: bool,
    yes: bool,
    receipt: bool,
) -> None:
    """
    Forget the records ID, all that came from a source, or all that meet some demands.

    What is demanded by tag, age or metadata is forgotten from where it is kept, also if a source is
    named; --dry-run counts it before. On a terminal it asks before, unless told not to with --yes.

    Of an ID a beginning that no other id has is enough. Where one of several is not kept, the
    others are forgotten, it is named, and the exit code is 3.
    With --receipt no byte of them is left in the files afterwards. It names each record by its id
    and the SHA-256 of its text, by which it can be checked without telling it.
    """
    demands = bool(tags or where or older_than is not None)
    if bool(record_ids) == bool(source or demands):
        raise click.UsageError("name records, or one --source, or what to demand of them")
    if receipt and (dry_run or not record_ids):
        problem = "a receipt is for records that are forgotten"
        hint = "; after --source use 'memory compact'" if source and not dry_run else ""
        raise click.UsageError(f"{problem}{hint}")
    from clawstate.cli import forgetting  # noqa: PLC0415 - see `NOUNS`

    if record_ids:
        forgetting.forget_records(session, record_ids, dry_run=dry_run, receipt=receipt)
        return
    chosen = {"tags": tags, "source": source, "where": where_of(where), "namespace": namespace}
    if demands or dry_run:
        forgetting.forget_demanded(session, chosen, older_than, dry_run=dry_run, yes=yes)
    else:
        forgetting.forget_source(session, str(source), namespace=namespace, yes=yes)


@memory.command(
    name="list",
    examples=(
        "clawstate memory list --newest",
        "clawstate memory list --since yesterday --tag work",
    ),
)
@NAMESPACE
@TAGS
@SOURCE
@WHERE
@SINCE
@UNTIL
@AS_OF
@click.option("--newest", is_flag=True, help="What was made last on top, not in the order of ids.")
@click.option("--after", metavar="NEXT", help="Go on behind the page that told this.")
@click.option("--limit", "-k", type=COUNT, default=20, show_default=True, help="How many at most.")
@pass_session
def list_(
    session: Session,
    /,
    *,
    newest: bool,
    limit: int,
    tags: tuple[str, ...],
    where: Any,
    as_of: float | None,
    **settings: Any,
) -> None:
    """
    Print a page of what is kept, in the order of ids, or the newest first.

    What was kept --as-of a time comes with the newest first.
    """
    from clawstate.cli.records_view import record_lines  # noqa: PLC0415

    chosen = {"tags": tags, "where": where_of(where), **settings}
    if newest or as_of is not None:
        page = session.state.memory.page(limit, as_of=as_of, **chosen)
        records, more = list(page), page.after
    else:
        records = session.state.memory.records(limit=limit, **chosen)
        more = records[-1].id if len(records) == limit else None
    document = {"records": to_wire(records), "next": more}
    lines = [line for record in records for line in record_lines(record)]
    if more:
        lines.append(style(f"more: --after {more}", dim=True))
    session.output.emit(document, *(lines or ["nothing is kept here"]))


def text_of(text: str) -> str:
    """Return *text*, or what stdin has where it is `-`."""
    if text != "-":
        return text
    data = sys.stdin.buffer.read()
    try:
        return data.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError as error:
        raise click.UsageError(f"stdin is not UTF-8 (byte {error.start})") from error
