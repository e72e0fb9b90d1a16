"""`Output`: documents for programs, lines for people, and everything else on stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from clawstate.cli.printing import STEERING, inline, render, render_line, style

Tell = Callable[[int, int, str], None]

_BEYOND_ASCII = re.compile("[^\x00-\x7e]")


class Output:
    r"""
    Where a command prints; with *as_json* exactly one document goes to stdout.

    Lines are for people: what others wrote in them cannot steer the terminal (see `render_line`).
    Documents are exact; what the encoding of stdout does not have is written as `\u20ac`.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.colour: bool | None = None
        self.warned: list[str] = []

    def emit(self, document: Any, *lines: str) -> None:
        """Print *document* as JSON, or *lines* when a person reads."""
        if self.as_json:
            self.json(json.dumps(document, ensure_ascii=False, indent=2))
            return
        for line in lines:
            _print(render_line(line, colour=self._is_coloured(sys.stdout)), sys.stdout)

    def value(self, text: str) -> None:
        """Print *text* that a script may read: exactly, but on a terminal as it may be printed."""
        _print(render(text, colour=False) if sys.stdout.isatty() else text, sys.stdout)

    def json(self, text: str) -> None:
        """Print the JSON *text*."""
        _print(safe_json(text, sys.stdout.encoding), sys.stdout)

    def say(self, line: str) -> None:
        """Print a remark that belongs to no document."""
        _print(render_line(line, colour=self._is_coloured(sys.stderr)), sys.stderr)

    def warn(self, message: str) -> None:
        """Print a warning, once however often it is given."""
        if message not in self.warned:
            self.warned.append(message)
            self.say(f"{style('warning:', fg='yellow')} {message}")

    def remark(self, error: object) -> None:
        """Print a line that tells of *error*."""
        self.say(f"{style('error:', fg='red', bold=True)} {error}")

    def fail(self, kind: str, message: str, *, before: str = "") -> None:
        """Print a failure: to stdout as a document, to stderr as a line."""
        if self.as_json:
            self.emit({"ok": False, "error": {"type": kind, "message": message}})
            return
        for line in before.splitlines():
            self.say(line)
        self.remark(message)

    @contextmanager
    def progress(self, title: str, *, unit: str = "") -> Iterator[Tell]:
        """Give a function to call with (done, total, what); it draws a bar on a terminal."""
        if self.as_json or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield lambda *_: None
            return

        with bar(title, unit=unit, colour=self._is_coloured(sys.stderr)) as tell:
            yield lambda done, total, what: tell(done, total, inline(what))

    def _is_coloured(self, stream: IO[str]) -> bool:
        return wants_colour(stream) if self.colour is None else self.colour and stream.isatty()


def safe_json(text: str, encoding: str | None) -> str:
    r"""
    Return the JSON *text*, which stays as exact, as an output of *encoding* can hold it.

    What would steer a terminal becomes `\u20ac`. So does all beyond ASCII where the encoding is not
    the UTF-8 of RFC 8259: a program reads the same whatever it takes the bytes for.
    """
    is_utf8 = (encoding or "utf-8").lower().replace("-", "").replace("_", "") in {"utf8", "cp65001"}
    return (STEERING if is_utf8 else _BEYOND_ASCII).sub(_escape, text)


def wants_colour(stream: IO[str]) -> bool:
    """
    Tell whether the environment wants colours on *stream*.

    The conventions are those of no-color.org and of bixense.com/clicolors.
    """
    given = os.environ.get
    if given("NO_COLOR") or given("CLICOLOR") == "0":
        return False
    if given("CLICOLOR_FORCE", "0") != "0" or given("FORCE_COLOR", "0") != "0":
        return True
    return stream.isatty() and given("TERM") != "dumb"


def open_missing_streams() -> None:
    """Open the null device in place of each standard stream that the caller had closed."""
    # The next file opened would take the number of a closed stream, and be printed into.
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        null = os.open(os.devnull, os.O_RDWR)
        if null != number:
            os.dup2(null, number)
            os.close(null)
        setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def escape_what_cannot_be_encoded() -> None:
    """Print characters that the encoding of stdout or stderr does not have as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _print(text: str, stream: IO[str]) -> None:
    # Whether there are colours is decided already, so click shall not decide again.
    click.echo(text, file=stream, color=True)  # noqa: TID251 - the one place


@contextmanager
def bar(title: str, *, unit: str, colour: bool | None) -> Iterator[Callable[[int, int, str], None]]:
    """Draw a bar on stderr that follows (done, total, what); *unit* "bytes" counts in MB."""
    # Drawing costs 70 ms to load, so only who draws loads it.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, no_color=colour is False)
    counted = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        counted,
        TimeRemainingColumn(),
        # Not as markup: a file may be called [red].
        TextColumn("{task.fields[what]}", style="dim", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None, what="")

        def tell(done: int, total: int, what: str = "") -> None:
            progress.update(task, completed=done, total=total, what=what)

        yield tell
