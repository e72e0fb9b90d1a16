"""What people write on the command line, as values."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from typing import Any

import click

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w|y)?")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_557_600}
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


class Duration(click.ParamType[float]):
    """A length of time such as `90s`, `30d` or `2h`; in seconds."""

    name = "duration"
    _bare = "s"  # the unit of a number without one

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds that *value* means."""
        if isinstance(value, int | float):
            return float(value)
        match = _DURATION.fullmatch(str(value).strip().lower())
        if match is None:
            self.fail(f"{value!r} is no length of time; write 90s, 15m, 2h, 30d or 1y", param, ctx)
        return float(match[1]) * _SECONDS[match[2] or self._bare]


class Minutes(Duration):
    """A length of time as `Duration` takes it, in which a bare number means minutes; in seconds."""

    name = "minutes"
    _bare = "m"


class Size(click.ParamType[int]):
    """A number of bytes such as `500kb` or `10mb`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes that *value* means."""
        from clawstate.config.schema.quantities import size_bytes  # noqa: PLC0415 - see `NOUNS`
        from clawstate.errors import InvalidError  # noqa: PLC0415

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
    """`KEY=VALUE`, also with `!=`, `>=`, `<=`, `>`, `<`, and `~` for a list that contains it."""

    name = "KEY=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str, Any]:
        """Return the key, the operator's name and the value."""
        match = _WHERE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is not of the form KEY=VALUE or KEY>=VALUE", param, ctx)
        return match[1].strip(), _OPERATORS[match[2]], plain_or_json(match[3])


class SourceName(click.ParamType[str]):
    """Where records come from; a path is made absolute, as imports note it."""

    name = "source"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,  # noqa: ARG002 - click's signature
        ctx: click.Context | None,  # noqa: ARG002
    ) -> str:
        """Return the name, or the absolute path of a file that exists."""
        return os.path.abspath(value) if os.path.exists(value) else str(value)  # noqa: PTH100, PTH110


def where_of(conditions: Iterable[tuple[str, str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the conditions as the `where` of a search; a list for `=` means one of its items."""
    where: dict[str, dict[str, Any]] = {}
    for key, operator, value in conditions:
        name = "in" if operator == "eq" and isinstance(value, list) else operator
        where.setdefault(key, {})[name] = value
    return where


def plain_or_json(text: str) -> Any:
    """Return *text* read as JSON where that works, else *text*."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
