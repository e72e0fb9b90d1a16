"""`Output`: documents for programs, lines for people, and everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

Tell = Callable[[int, int, str], None]


class Output:
    """Where a command prints; with *as_json* exactly one document goes to stdout."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.colour: bool | None = None
        self._warned: set[str] = set()

    def emit(self, document: Any, *lines: str) -> None:
        """Print *document* as JSON, or *lines* when a person reads."""
        if self.as_json:
            click.echo(json.dumps(document, ensure_ascii=False, indent=2))
            return
        for line in lines:
            click.echo(line, color=self.colour)

    def say(self, line: str) -> None:
        """Print a remark that belongs to no document."""
        click.echo(line, err=True, color=self.colour)

    def warn(self, message: str) -> None:
        """Print a warning, once however often it is given."""
        if message not in self._warned:
            self._warned.add(message)
            self.say(f"{click.style('warning:', fg='yellow')} {_safe(message)}")

    def fail(self, kind: str, message: str, *, before: str = "") -> None:
        """Print a failure: to stdout as a document, to stderr as a line."""
        if self.as_json:
            failure = {"ok": False, "error": {"type": kind, "message": message}}
            click.echo(json.dumps(failure, ensure_ascii=False, indent=2))
            return
        if before:
            self.say(before)
        self.say(f"{click.style('error:', fg='red', bold=True)} {_safe(message)}")

    @contextmanager
    def progress(self, title: str, *, unit: str = "") -> Iterator[Tell]:
        """Lend a function that is told (done, total, what); it draws a bar on a terminal."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda *_: None
            return
        from clawstate.cli.bars import bar  # noqa: PLC0415 - rich costs 70 ms

        with bar(title, unit=unit, colour=self.colour) as tell:
            yield tell


def _safe(message: str) -> str:
    from clawstate.cli.printing import printable  # noqa: PLC0415 - most runs go well

    return printable(message) if sys.stderr.isatty() else message
