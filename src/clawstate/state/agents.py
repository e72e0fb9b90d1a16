"""Which agents a state knows: those of the configuration, and those that keep something."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from clawstate.errors import StateError
from clawstate.files.paths import normalise_agent_id
from clawstate.state.ground import SQLITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawstate.state.ground import Ground

_MAIN = "main"
_KIND = "auth:"


def agents_of(ground: Ground) -> tuple[str, ...]:
    """Return the names of all agents that may have credentials, `main` first."""
    found = {*_configured(ground), *_on_disk(ground), *_in_records(ground)} - {_MAIN}
    return (_MAIN, *sorted(found))


def _configured(ground: Ground) -> Iterator[str]:
    with suppress(StateError):  # a broken configuration names nobody
        agents: Any = ground.config.get("agents.list")
        for each in agents if isinstance(agents, list) else ():
            name = each.get("id") if isinstance(each, dict) else None
            if isinstance(name, str):
                yield normalise_agent_id(name)


def _on_disk(ground: Ground) -> Iterator[str]:
    with suppress(OSError):
        for each in (ground.paths.root / "agents").iterdir():
            # Any other name is of no agent: none is written so.
            if each.is_dir() and normalise_agent_id(each.name) == each.name:
                yield each.name


def _in_records(ground: Ground) -> Iterator[str]:
    if ground.engines.choice != SQLITE or not ground.paths.records_db.exists():
        return
    from clawstate.records.sqlite_schema import MIGRATIONS  # noqa: PLC0415 - files do without
    from clawstate.sqlite import Database  # noqa: PLC0415

    database = Database(ground.paths.records_db, migrations=MIGRATIONS)
    try:
        with database.reading() as connection:
            mine = (ground.engines.tenant, f"{_KIND}*")
            sql = "SELECT DISTINCT kind FROM records WHERE tenant = ? AND kind GLOB ?"
            kinds = connection.execute(sql, mine).fetchall()
    finally:
        database.close()
    yield from (str(kind).removeprefix(_KIND) for (kind,) in kinds)
