"""The verb of `memory` that tells why a search shows a record, or does not."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import click

from clawstate.cli.command import pass_session
from clawstate.cli.memory import memory, question_options
from clawstate.cli.options import where_of
from clawstate.cli.printing import style
from clawstate.cli.session import Session
from clawstate.quantities import number_of
from clawstate.wire import to_wire

_SHOWN = 20


@memory.command(
    examples=(
        'clawstate memory explain "when is the dentist?" ~/notes/health.md',
        "clawstate memory explain allergies ~/notes --where person=ada --json",
    ),
)
@click.argument("query")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@question_options
@pass_session
def explain(
    session: Session,
    /,
    query: str,
    *,
    names: tuple[str, ...],
    limit: int,
    tags: tuple[str, ...],
    where: Any,
    **settings: Any,
) -> None:
    """
    Tell why a search for QUERY shows a record, or does not.

    NAME is the id of a record, or a beginning that no other id has; or a file, folder or pattern
    that records come from. The options are those of the search.
    """
    from clawstate.cli.reasons_view import verdict_lines  # noqa: PLC0415 - see `NOUNS`
    from clawstate.cli.record_ids import find_id  # noqa: PLC0415 - see `NOUNS`

    asked = {"k": limit, "tags": tags, "where": where_of(where), **settings}
    store, verdicts = session.state.memory, []
    for name in names:
        found = store.explain(query, name, **asked)
        # As a path, though the file may be gone; as a beginning of an id where it is none.
        for find in (os.path.abspath, partial(find_id, store)):
            if found[0].reason == "unknown" and (other := find(name)) != name:
                again = store.explain(query, other, **asked)
                found = found if again[0].reason == "unknown" else again
        verdicts += found
    lines = [line for each in verdicts[:_SHOWN] for line in verdict_lines(each)]
    if len(verdicts) > _SHOWN:
        more = number_of(len(verdicts) - _SHOWN, "record")
        lines.append(style(f"and {more} behind these; --json tells of all", dim=True))
    session.output.emit({"verdicts": to_wire(verdicts)}, *lines)
