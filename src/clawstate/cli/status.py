"""The noun `status`: what is kept, and where."""

from __future__ import annotations

import click

from clawstate.cli.command import Command, pass_session
from clawstate.cli.session import Session
from clawstate.clock import from_ms, to_iso
from clawstate.version import __version__


@click.command(cls=Command)
@pass_session
def status(session: Session) -> None:
    """Show what is kept, and where: sizes, counts, versions, the last durable write."""
    import apsw  # noqa: PLC0415 - see `NOUNS`

    from clawstate.cli.tables import aligned  # noqa: PLC0415

    state = session.state
    exists = state.paths.memory_db.exists()
    memory = state.memory.stats()
    changed = memory.pop("changed")
    document = {
        "stateDir": str(state.paths.root),
        "exists": state.paths.root.exists(),
        "version": __version__,
        "sqlite": apsw.sqlite_lib_version(),
        "lastDurableWrite": None if changed is None else to_iso(from_ms(float(str(changed)))),
        "memory": {"engine": "sqlite", "path": str(state.paths.memory_db), **memory},
    }
    top = {
        "state directory": document["stateDir"],
        "clawstate": f"{__version__} (SQLite {document['sqlite']})",
        "last write": document["lastDurableWrite"] or "nothing is kept yet",
    }
    shown = {"memory": str(state.paths.memory_db), **memory} if exists else {}
    session.output.emit(document, *aligned(top), *aligned(shown))
