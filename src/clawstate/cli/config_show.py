"""The verb `config show`: what is set, and which defaults fill the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from clawstate.cli.command import pass_session
from clawstate.cli.config import config
from clawstate.cli.options import Day
from clawstate.cli.session import Session

_MARK = "  // default"


class _NotSet:
    """Stands where nothing is written."""


@config.command()
@click.option("--reveal", is_flag=True, help="Show secrets as well.")
@click.option("--defaults", is_flag=True, help="With --json, the defaults as well.")
@click.option("--as-of", type=Day(), metavar="TIME", help="The text of the file as it was then.")
@pass_session
def show(session: Session, *, reveal: bool, defaults: bool, as_of: float | None) -> None:
    """
    Print all settings, each default marked as one, secrets left out.

    With --json only what is set, unless --defaults. With --agent they are those that this agent
    sees.
    """
    settings, agent = session.state.config, session.agent
    if as_of is not None:
        text = settings.text(agent_id=agent, as_of=as_of)
        if not reveal:
            from clawstate.config.history import hide_literal_secrets  # noqa: PLC0415 - see `NOUNS`

            text = hide_literal_secrets(text.encode())
        session.output.emit({"text": text}, *(text.splitlines() or ["nothing was set"]))
        return
    view = settings.view() if agent is None else settings.agent_view(agent)
    if not reveal:
        value = settings.redacted(agent_id=agent)
    elif agent is None:
        value = view.loaded.value
    else:
        value = settings.resolve(agent)
    written = view.loaded.resolved
    if session.output.as_json:
        from clawstate.files.json_text import dump_pretty  # noqa: PLC0415 - see `NOUNS`

        session.output.json(dump_pretty(value if defaults else _select_written(value, written)))
    else:
        session.output.value("\n".join(_lines(value, written, "", "")))


def _select_written(value: Any, written: Any) -> Any:
    """Return what of *value* is written."""
    if not isinstance(value, dict) or not isinstance(written, dict):
        return value
    return {
        key: _select_written(each, written[key]) for key, each in value.items() if key in written
    }


def _lines(value: Any, written: Any, before: str, comma: str) -> Iterator[str]:
    """Yield *value* as JSON whose first line has *before* in front, and a mark at each default."""
    margin = " " * (len(before) - len(before.lstrip(" ")))
    if not isinstance(value, dict | list) or not value:
        mark = _MARK if written is _NotSet else ""
        yield f"{before}{json.dumps(value, ensure_ascii=False)}{comma}{mark}"
        return
    is_object = isinstance(value, dict)
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    yield f"{before}{'{' if is_object else '['}"
    items: list[tuple[Any, Any]] = [*inside]
    for number, (key, each) in enumerate(items):
        name = f"{json.dumps(key, ensure_ascii=False)}: " if is_object else ""
        below = written.get(key, _NotSet) if is_object and isinstance(written, dict) else written
        rest = "," if number + 1 < len(items) else ""
        yield from _lines(each, below, f"{margin}  {name}", rest)
    yield f"{margin}{'}' if is_object else ']'}{comma}"
