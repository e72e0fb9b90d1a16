"""The verb of `memory` that gives all records vectors of another embedder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import pass_session
from clawstate.cli.memory import memory
from clawstate.cli.printing import size
from clawstate.cli.session import Session
from clawstate.memory.embedders.remote_models import PRICES_OF
from clawstate.quantities import number_of
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from clawstate.memory.replacement import Reembedding

_MANY = 100_000  # tokens that are sent without asking; they cost a cent or two
_CENT = 0.01


@memory.command(
    examples=(
        "clawstate memory reembed --dry-run",
        "clawstate memory reembed",
    ),
)
@click.option(
    "--embedder",
    type=click.Choice(["static", "wordllama", "transformer", "openai"]),
    help="Whose vectors [what was begun, else what a new state has].",
)
@click.option("--dry-run", is_flag=True, help="Tell how long it takes, and write nothing.")
@click.option("--discard", is_flag=True, help="Drop what was begun and did not come to its end.")
@click.option("--yes", is_flag=True, help="Do not ask before many texts are sent to a server.")
@pass_session
def reembed(
    session: Session, /, *, embedder: str | None, dry_run: bool, discard: bool, yes: bool
) -> None:
    """
    Give all records vectors of another embedder, then search by those.

    Searches go on meanwhile with the vectors that are there; all change in one step in the end.
    It may be cut off at any moment: run it again then, and it goes on where it was.
    Before many texts are sent to a server it tells what that costs and asks.
    """
    if discard:
        if embedder or dry_run or yes:
            raise click.UsageError("--discard stands alone")
        dropped = session.state.memory.discard_reembedding()
        gone = "what was begun is dropped; 'clawstate memory compact' gives back its space"
        line = gone if dropped else "nothing was begun"
        session.output.emit({"discarded": dropped}, line)
        return
    try:
        if not dry_run and not yes:
            _ask_before_sending(session, embedder)
        with session.output.progress("embedding", unit="records") as tell:
            done = session.state.memory.reembed(
                embedder, dry_run=dry_run, progress=lambda count, total: tell(count, total, "")
            )
    except KeyboardInterrupt:
        session.output.say("what is done is kept; run it again to go on, or with --discard")
        raise
    session.output.emit(to_wire(done), *(_plan_lines(done) if dry_run else _done_lines(done)))


def _ask_before_sending(session: Session, embedder: str | None) -> None:
    """Ask whether texts may be sent, where they are many; raises `UsageError` with nobody there."""
    if embedder not in {None, "openai"}:
        return
    plan = session.state.memory.reembed(embedder, dry_run=True)
    if plan.local is not False or plan.complete or plan.tokens <= _MANY:
        return
    for line in _plan_lines(plan, dry=False):
        session.output.say(line)
    if session.output.as_json or not sys.stdin.isatty():
        raise click.UsageError("this sends texts to a server; repeat it with --yes")
    click.confirm("send them?", abort=True, err=True)


def _plan_lines(plan: Reembedding, *, dry: bool = True) -> Iterator[str]:
    if dry:
        yield "this was a dry run: nothing is written"
    if plan.complete:
        yield _nothing_line(plan)
        return
    yield f"{number_of(plan.records, 'record')} of this memory: {_change(plan)}"
    if plan.done:
        yield f"{number_of(plan.done, 'record')} of them have a new vector already"
    texts = number_of(plan.texts, "distinct text")
    of_characters = f"of {number_of(plan.characters, 'character')}"
    yield f"to be embedded: {texts} {of_characters}, some {_time(plan.seconds)}"
    yield f"cost: {_cost(plan)}"
    yield f"space needed until it is done: {size(plan.bytes)}"


def _done_lines(done: Reembedding) -> Iterator[str]:
    if done.before == done.embedder:
        yield _nothing_line(done)
        return
    texts = number_of(done.texts, "distinct text")
    yield f"{number_of(done.records, 'record')} embedded anew: {_change(done)}"
    yield f"{texts} embedded in {_time(done.seconds)}"


def _nothing_line(done: Reembedding) -> str:
    return f"nothing to do: all vectors are of {done.embedder}"


def _change(done: Reembedding) -> str:
    numbers = number_of(done.dimensions, "number")
    return f"{done.before or 'no vectors'} -> {done.embedder}, {numbers} each"


def _cost(plan: Reembedding) -> str:
    if plan.local:
        return "none; no text leaves this machine"
    tokens = number_of(plan.tokens, "token")
    tokens = f"{number_of(plan.texts, 'text')}, some {tokens}"
    if plan.local is None:
        return f"{tokens}; this embedder does not say where it sends them"
    if plan.price is None:
        return f"{tokens} sent to the server of the embedder, whose price is not known"
    return f"{tokens} sent to the server of the embedder, {_dollars(plan.price)}"


def _dollars(price: float) -> str:
    if price < _CENT:
        return "for less than $0.01"
    told = f"by the price that is set, or that of {PRICES_OF}, which may have changed"
    return f"for about ${price:,.2f} ({told})"


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    told = [(hours, "h"), (minutes, "min"), (rest if not hours else 0, "s")]
    return " ".join(f"{count} {unit}" for count, unit in told if count)
