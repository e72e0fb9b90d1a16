"""The verbs of `memory` that count what is kept, and keep its indexes and its file in order."""

from __future__ import annotations

import click

from clawstate.cli.command import pass_session
from clawstate.cli.memory import memory
from clawstate.cli.options import Duration
from clawstate.cli.session import Session
from clawstate.quantities import number_of
from clawstate.wire import to_wire


@memory.command()
@pass_session
def stats(session: Session) -> None:
    """Print counts and sizes."""
    from clawstate.cli.printing import counts_of_memory, table_lines  # noqa: PLC0415
    from clawstate.cli.vector_notes import sentence, vector_findings  # noqa: PLC0415 - see `NOUNS`
    from clawstate.clock import from_ms, to_iso  # noqa: PLC0415
    from clawstate.config.settings import MEMORY_EMBEDDER  # noqa: PLC0415
    from clawstate.memory.embedders import OWN  # noqa: PLC0415
    from clawstate.wire.memory import statistics_form  # noqa: PLC0415

    store = session.state.memory
    counts = store.stats()
    document = statistics_form(counts)
    changed = document["changedMs"]
    del counts["changed"]  # shown last, as a date
    shown = {
        **counts_of_memory(counts),
        "changed": None if changed is None else to_iso(from_ms(changed)),
    }
    wanted = MEMORY_EMBEDDER.of(session.state.config.view())
    is_usual = str(counts["embedder"] or OWN).startswith(OWN) and wanted == MEMORY_EMBEDDER.default
    # What is usual has nothing to tell, and needs no embedder to be loaded.
    is_told = counts["waiting"] or not is_usual
    notes = map(sentence, vector_findings(store) if is_told else ())
    session.output.emit(document, *table_lines(shown), *notes)


@memory.command()
@click.option("--retain", is_flag=True, help="Apply the policy of memory.retention before.")
@pass_session
def optimize(session: Session, /, *, retain: bool) -> None:
    """
    Bring the indexes up to date; searches go on meanwhile.

    With --retain the policy of memory.retention comes first, as 'memory retain' applies it.

    The exit code is 1 if records are left without a vector; what is told says why.
    """
    from clawstate.cli.vector_notes import sentence, vector_findings  # noqa: PLC0415

    store = session.state.memory
    if retain:
        _retain(session)
    _say_what_waits(session)
    store.optimize()
    left = [each for each in vector_findings(store) if each.code != "memory-setting"]
    document = {"ok": not left, "waiting": store.stats()["waiting"]}
    # Why an embedder failed was told when it did.
    lines = [each.message if each.repair else sentence(each) for each in left]
    session.output.emit(document, *(lines or ["the indexes are up to date"]))
    if left:
        raise click.exceptions.Exit(1)


def _say_what_waits(session: Session) -> None:
    """Tell what takes long, before it does: a server that is away is asked again and again."""
    from clawstate.config.settings import MEMORY_VECTORS  # noqa: PLC0415 - see `NOUNS`

    waiting = session.state.memory.stats()["waiting"]
    if session.output.as_json or not isinstance(waiting, int) or not waiting:
        return
    if MEMORY_VECTORS.of(session.state.config.view()):
        session.output.say(f"making vectors for {number_of(waiting, 'record')} ...")


@memory.command(examples=("clawstate memory compact",))
@click.option(
    "--patience",
    type=Duration(),
    default=5.0,
    show_default="5s",
    help="How long to wait for others who read or write.",
)
@click.option("--keep-updates", is_flag=True, help="Keep what stood in records before updates.")
@pass_session
def compact(session: Session, /, *, patience: float, keep_updates: bool) -> None:
    """
    Clear the bytes of what was forgotten or changed, and give back the space.

    What stood in a record before an update goes, too, and is in its history no more.

    Searches go on meanwhile. The exit code is 1 if others kept it from its end; run it again then.
    """
    from clawstate.cli.receipts import compaction_lines  # noqa: PLC0415 - see `NOUNS`

    with session.output.progress("compacting", unit="steps") as tell:
        done = session.state.memory.compact(
            progress=lambda step, steps: tell(step, steps, ""),
            patience=patience,
            keep_updates=keep_updates,
        )
    session.output.emit(to_wire(done), *compaction_lines(done))
    if not done.complete:
        raise SystemExit(1)


def _retain(session: Session) -> None:
    from clawstate.cli.memory_retention import retention_lines  # noqa: PLC0415 - see `NOUNS`

    store = session.state.memory
    if store.retention_policy() is None:
        raise click.UsageError(
            "memory.retention.rules are not set; set them, or leave out --retain"
        )
    for line in retention_lines(store.retain()):
        session.output.say(line)
