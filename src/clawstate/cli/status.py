"""The noun `status`: what is kept, and where."""

from __future__ import annotations

import os
from typing import Any

import click

from clawstate.cli.command import Command, pass_session
from clawstate.cli.session import Session


@click.command(cls=Command, examples=("clawstate status --json",))
@pass_session
def status(session: Session) -> None:
    """
    Show what is kept, and where: sizes, counts, versions, the last durable write.

    What cannot be read says why in its place, and the exit code is 1 then; all else is counted.
    """
    from clawstate.cli.printing import counts_of_memory, table_lines  # noqa: PLC0415
    from clawstate.quantities import age_text  # noqa: PLC0415
    from clawstate.wire.status import Problem, status_of  # noqa: PLC0415 - see `NOUNS`

    state = session.state
    found = status_of(state)
    document, failed = found.document, found.failed
    top = {
        "state directory": document["stateDir"],
        **({"belongs to": document["openclaw"]["summary"]} if state.owner.is_openclaw else {}),
        "clawstate": f"{document['version']} (SQLite {document['sqlite']})",
        "last write": document["lastDurableWrite"] or "nothing is kept yet",
        **(
            {"last backup": f"{told}, verified; {age_text(_age(document))} old"}
            if (told := document.get("lastVerifiedBackup"))
            else {}
        ),
    }
    place = document["memory"]["path"]
    counts = counts_of_memory(found.memory)
    told = f"{place} (is empty; 'clawstate doctor' tells more)" if found.is_empty else place
    shown = {"memory": told, **counts} if os.path.lexists(place) and failed is None else {}
    full = {name: value for name, value in found.kept.items() if value}
    session.output.emit(document, *table_lines(_once({**top, **full, **found.left, **shown})))
    if failed is not None and not session.output.as_json:
        raise failed
    if failed is not None or any(isinstance(each, Problem) for each in found.kept.values()):
        raise click.exceptions.Exit(1)


def _age(document: dict[str, Any]) -> float:
    return float(document["lastVerifiedBackupAgeMs"]) / 1000


def _once(lines: dict[str, Any]) -> dict[str, Any]:
    """Return *lines* with a problem that several have in one line, which names them all."""
    from clawstate.wire.status import Problem  # noqa: PLC0415 - see `NOUNS`

    names: dict[str, list[str]] = {}
    for name, value in lines.items():
        if isinstance(value, Problem):
            names.setdefault(value, []).append(name)
    first = {found[0]: ", ".join(found) for found in names.values()}
    return {
        first.get(name, name): value
        for name, value in lines.items()
        if name in first or not isinstance(value, Problem)
    }
