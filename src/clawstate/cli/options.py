"""What people write on the command line, as values; and the options that choose a page."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from clawstate.cli.printing import style
from clawstate.paging import MAX_HITS, PAGE

if TYPE_CHECKING:
    from clawstate.quantities import DurationUnit

_DAY = 86_400
_LONGEST = 1000 * 31_557_600
_WHERE = re.compile(r"([^=<>!~]+)(=|!=|>=|<=|>|<|~)(.*)", re.DOTALL)
_OPERATORS = {
    "=": "eq",
    "!=": "ne",
    ">=": "gte",
    "<=": "lte",
    ">": "gt",
    "<": "lt",
    "~": "contains",
}
_JOINTS = frozenset({"$and", "$or", "$not"})  # not of `filters`, which is slow to load


COUNT = click.IntRange(min=1, max=1_000_000)
"""How many are wanted; more than anybody reads is a slip."""

HITS = click.IntRange(min=1, max=MAX_HITS)
"""How many hits of a search are wanted; all are ranked before the first is shown."""


class Fraction(click.FloatRange):
    """A number from *least* to 1."""

    def __init__(self, least: float = 0) -> None:
        super().__init__(least, 1)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return *value*, which has to be a number indeed."""
        found: float = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value!r} is no number from {self.min} to 1", param, ctx)
        return found


class Engine(click.Choice[str]):
    """An engine of records, also by a name that people use for it."""

    _ALSO: Final = {"files": "file", "json": "file", "sqlite3": "sqlite", "rows": "sqlite"}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the engine that *value* names; the error of a misspelt name suggests one."""
        if "://" in str(value):
            # Not looked at here: whether it is an address is known where it is used.
            return str(value).strip()
        name = str(value).strip().lower()
        name = self._ALSO.get(name, name)
        if name not in self.choices:
            near = get_close_matches(name, self.choices, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            self.fail(f"{value!r} is not one of {', '.join(self.choices)}{meant}", param, ctx)
        return name


class Duration(click.ParamType[float]):
    """A length of time such as `90s`, `30d` or `2h`; in seconds."""

    name = "duration"
    _bare: DurationUnit = "s"  # the unit of a number without one

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds that *value* means."""
        if isinstance(value, int | float):
            return float(value)
        seconds = _seconds(str(value), self._bare)
        if seconds is None:
            self.fail(f"{value!r} is no length of time; write 90s, 15m, 2h, 30d or 1y", param, ctx)
        if seconds > _LONGEST:
            self.fail(f"{value!r} is too long; at most 1000y are possible", param, ctx)
        return seconds


class Minutes(Duration):
    """A length of time as `Duration` takes it, in which a bare number means minutes; in seconds."""

    name = "minutes"
    _bare: DurationUnit = "m"


class Moment(click.ParamType[float]):
    """
    A moment: a date or time, `today`, `yesterday`, `now`, or a length of time from now.

    A length of time reaches back, or ahead for what is *ahead*. Dates without a zone are UTC, as
    all times that are printed. In seconds since the epoch.
    """

    name = "time"

    def __init__(self, *, ahead: bool = False) -> None:
        self._sign = 1 if ahead else -1

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds since the epoch that *value* means."""
        if isinstance(value, int | float):
            return float(value)
        from clawstate.clock import from_iso, is_moment, system_clock  # noqa: PLC0415 - see `NOUNS`
        from clawstate.errors import InvalidError  # noqa: PLC0415

        text, now = str(value).strip().lower(), system_clock()
        midnight = now - now % _DAY
        named = {
            "now": now,
            "today": midnight,
            "yesterday": midnight - _DAY,
            "tomorrow": midnight + _DAY,
        }
        length = None if text.replace(".", "").isdigit() else _seconds(text, "s")
        try:
            if text in named:
                moment = named[text]
            elif length is not None:
                moment = now + self._sign * length
            else:
                moment = from_iso(str(value).strip())
        except InvalidError:
            problem = f"{value!r} is no time; write 7d, yesterday, 2026-02-27 or 2026-02-27T09:30Z"
            self.fail(problem, param, ctx)
        if not is_moment(moment):
            self.fail(f"{value!r} is not between the years 1970 and 9999", param, ctx)
        return moment


class Day(Moment):
    """A moment, as `Moment` reads it; of a day its last millisecond."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds since the epoch that *value* means."""
        moment, text = super().convert(value, param, ctx), str(value).strip().lower()
        is_day = text in {"today", "yesterday", "tomorrow"} or (
            len(text) == len("2026-02-27") and text.count("-") == 2
        )
        return moment + _DAY - 0.001 if is_day else moment


def _seconds(text: str, bare: DurationUnit) -> float | None:
    """Return the seconds of a length of time, in the grammar that the configuration has, too."""
    from clawstate.errors import InvalidError  # noqa: PLC0415
    from clawstate.quantities import duration_seconds  # noqa: PLC0415 - see `NOUNS`

    try:
        return duration_seconds(text, unit=bare)
    except InvalidError:
        return None


class Size(click.ParamType[int]):
    """A number of bytes such as `500kb` or `10mb`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes that *value* means."""
        from clawstate.errors import InvalidError  # noqa: PLC0415
        from clawstate.quantities import size_bytes  # noqa: PLC0415 - see `NOUNS`

        try:
            return size_bytes(value)
        except InvalidError:
            self.fail(f"{value!r} is no size; write 500kb, 10mb or 1gb", param, ctx)


class Pair(click.ParamType[tuple[str, Any]]):
    """`KEY=VALUE`; the value is JSON where it can be read as that, else text."""

    name = "KEY=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Return the key and the value."""
        key, equals, text = str(value).partition("=")
        if not equals or not key.strip():
            self.fail(f"{value!r} is not of the form KEY=VALUE", param, ctx)
        return key.strip(), plain_or_json(text)


class Where(click.ParamType[tuple[str, str, Any]]):
    """
    `KEY=VALUE`, also with `!=`, `>=`, `<=`, `>`, `<`, and `~` for a list that contains it.

    Or a JSON object, the `where` of a search: it comes as the operator `$and`.
    """

    name = "KEY=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str, Any]:
        """Return the key, the operator's name and the value."""
        if str(value).lstrip().startswith("{"):
            tree = plain_or_json(str(value))
            if not isinstance(tree, dict):
                self.fail(f"{value!r} is no JSON object", param, ctx)
            return "", "$and", tree
        match = _WHERE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is not of the form KEY=VALUE, KEY>=VALUE or {{...}}", param, ctx)
        if (key := match[1].strip()) in _JOINTS:
            problem = f"{key} joins demands; write it as JSON: {{{json.dumps(key)}: [{{...}}]}}"
            self.fail(problem, param, ctx)
        return key, _OPERATORS[match[2]], plain_or_json(match[3])


class SourceName(click.ParamType[str]):
    """Where records come from; a path is made absolute, as imports note it."""

    name = "source"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,  # noqa: ARG002 - click's signature
        ctx: click.Context | None,  # noqa: ARG002
    ) -> str:
        """Return the name, or the absolute path of what exists, or of a pattern in a folder."""
        folder = os.path.dirname(value)  # noqa: PTH120
        is_path = os.path.exists(value) or ("*" in value and os.path.isdir(folder))  # noqa: PTH110, PTH112
        return os.path.abspath(value) if is_path else str(value)  # noqa: PTH100


def where_of(conditions: Iterable[tuple[str, str, Any]]) -> dict[str, Any]:
    """Return the conditions as the `where` of a search; a list for `=` means one of its items."""
    where: dict[str, Any] = {}
    for key, operator, value in conditions:
        if operator == "$and":
            where.setdefault("$and", []).append(value)
            continue
        name = "in" if operator == "eq" and isinstance(value, list) else operator
        where.setdefault(key, {})[name] = value
    return where


def plain_or_json(text: str) -> Any:
    """Return *text* read as JSON where that works, else *text*."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


C = TypeVar("C", bound=Callable[..., Any])

LIMIT = click.option(
    "--limit", "-k", type=COUNT, default=PAGE, show_default=True, help="How many at most."
)
AFTER = click.option("--after", metavar="CURSOR", help="The page behind the one that told this.")


def page_options(command: C) -> C:
    """Give *command* the options `--limit` and `--after`."""
    return LIMIT(AFTER(command))


def next_page(after: str | None) -> tuple[dict[str, Any], list[str]]:
    """Return what tells programs and people how to get the page *after* (`None`: the last)."""
    # No member at all on the last page: documents of before, without pages, are the same.
    if after is None:
        return {}, []
    return {"next": after}, [style(f"more: --after {after}", dim=True)]
