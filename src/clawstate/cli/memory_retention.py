"""The verbs of `memory` by which records leave by a policy, go into the archive and come back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import pass_session
from clawstate.cli.forgetting import ask_before_forgetting
from clawstate.cli.memory import SOURCE, memory
from clawstate.cli.options import COUNT, Day, Duration, Fraction
from clawstate.cli.record_ids import emit_done, find_archived_id, find_id, find_ids, missing_error
from clawstate.cli.session import Session
from clawstate.errors import NotFoundError, StateError
from clawstate.quantities import number_of
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from clawstate.memory.retention import RetentionPolicy, RetentionReport
    from clawstate.memory.service import Memory


@memory.command(
    examples=(
        "clawstate memory retain --tag chat --older-than 90d --dry-run",
        "clawstate memory retain --importance-below 0.3 --older-than 1y --forget",
    ),
)
@click.option("--older-than", type=Duration(), help="What was made before 90d, 1y ago.")
@click.option("--importance-below", type=Fraction(), help="What is less important (0 to 1).")
@click.option("--category", help="What is of this category.")
@click.option("--tag", "-t", metavar="TAG", help="What has this tag.")
@SOURCE
@click.option("--namespace", "-n", help="Whose memory [everybody's].")
@click.option("--forget", is_flag=True, help="Forget it; without this it goes into the archive.")
@click.option(
    "--archive-for", type=Duration(), help="Forget what is longer in the archive than 90d, 1y."
)
@click.option("--dry-run", is_flag=True, help="Tell what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def retain(
    session: Session,
    /,
    *,
    forget: bool,
    archive_for: float | None,
    dry_run: bool,
    yes: bool,
    **demands: object,
) -> None:
    """
    Archive or forget the records that meet all demands, and drop what has expired.

    Without demands it does what the setting memory.retention says. The space of what is forgotten
    is given back at once. On a terminal --forget asks before, unless told not to with --yes.
    """
    from clawstate.memory.retention import RetentionPolicy, RetentionRule  # noqa: PLC0415

    rules: tuple[RetentionRule, ...] = ()
    if any(value is not None for value in demands.values()):
        action = "forget" if forget else "archive"
        rules = (RetentionRule(action=action, **demands),)  # type: ignore[arg-type]
    elif forget:
        raise click.UsageError("say what to forget; see --help")
    store = session.state.memory
    if rules or archive_for is not None:
        policy: RetentionPolicy | None = RetentionPolicy(rules=rules, archive_for=archive_for)
    else:
        policy = store.retention_policy()
    if policy is None:
        hint = "or set memory.retention.rules"
        raise click.UsageError(f"say which records are meant, {hint}; see --help")
    if forget and not dry_run and not yes and sys.stdin.isatty():
        ask_before_forgetting(len(store.retain(policy, dry_run=True).forgotten))
    done = store.retain(policy, dry_run=dry_run)
    session.output.emit(to_wire(done), *retention_lines(done))


@memory.command()
@click.argument("record_ids", metavar="ID...", nargs=-1, required=True)
@pass_session
def archive(session: Session, /, record_ids: tuple[str, ...]) -> None:
    """
    Take the records ID out of searches and lists; 'memory restore' puts them back.

    A beginning that no other id has is enough. Where one of several is not kept, the others are
    archived, it is named, and the exit code is 3.
    """
    store = session.state.memory
    ids = find_ids(record_ids, lambda text: find_id(store, text))
    kept = store.get_many(ids)
    missing = [missing_error(store, each) for each in ids if each not in kept]
    count = store.archive(list(kept)) if kept else 0
    emit_done(session, {"archived": count}, [f"archived {number_of(count, 'record')}"], missing)


@memory.command()
@click.argument("record_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--as-of", type=Day(), metavar="TIME", help="Make it what it was then instead.")
@pass_session
def restore(session: Session, /, record_ids: tuple[str, ...], *, as_of: float | None) -> None:
    """
    Put the archived records ID back as they were, or make records what they were --as-of a time.

    A beginning that no other id in the archive has is enough. Where one of several is not archived,
    the others are restored, it is named, and the exit code is 3. What a record was until now stays
    in its history.
    """
    store = session.state.memory
    if as_of is not None:
        made = [store.put_back(find_id(store, each), as_of) for each in record_ids]
        lines = [f"{each.id} is what it was" for each in made]
        session.output.emit({"records": to_wire(made)}, *lines)
        return
    ids = find_ids(record_ids, lambda text: find_archived_id(store, text))
    missing, count = list[StateError](), 0
    for each in ids:
        if store.restore([each]):
            count += 1
        else:
            missing.append(_not_restored(store, each))
    emit_done(session, {"restored": count}, [f"restored {number_of(count, 'record')}"], missing)


@memory.command(examples=("clawstate memory archived",))
@click.option("--after", metavar="ID", help="Go on behind this one.")
@click.option("--limit", "-k", type=COUNT, default=20, show_default=True, help="How many at most.")
@pass_session
def archived(session: Session, /, *, after: str | None, limit: int) -> None:
    """Print a page of what is archived, in the order of ids."""
    from clawstate.cli.records_view import version_lines  # noqa: PLC0415 - see `NOUNS`

    found = session.state.memory.archived(after=after, limit=limit)
    more = found[-1].record.id if len(found) == limit else None
    lines = [line for each in found for line in version_lines(each)]
    session.output.emit(
        {"archived": to_wire(found), "next": more}, *(lines or ["nothing is archived"])
    )


def retention_lines(done: RetentionReport) -> Iterator[str]:
    """Yield what a policy did, or would do."""
    would = "would be " if done.is_dry else ""
    yield f"{number_of(len(done.archived), 'record')} {would}archived"
    yield f"{number_of(len(done.forgotten), 'record')} {would}forgotten"
    yield f"{number_of(done.expired, 'record')} {'have' if done.is_dry else 'had'} expired"


def _not_restored(store: Memory, record_id: str) -> StateError:
    """Return why *record_id* was not put back."""
    hint = "'clawstate memory archived' shows what is there"
    if store.get(record_id) is not None:
        hint = "a record of this id is kept"
    return NotFoundError("archived memory", record_id, hint)
