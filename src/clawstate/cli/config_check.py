"""The verb `config validate`: what is wrong with the settings, and where."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import pass_session
from clawstate.cli.config import config
from clawstate.cli.printing import inline, style
from clawstate.cli.session import Session
from clawstate.errors import ConfigError, CorruptError, InvalidError, LimitError, NotFoundError

if TYPE_CHECKING:
    from clawstate.cli.config_excerpt import Excerpts
    from clawstate.config.issues import Issue
    from clawstate.config.service import Config
    from clawstate.json5.path_grammar import KeyPath
    from clawstate.json5.places import Places

_COLOURS = {"error": "red", "warning": "yellow"}
_PLACE = re.compile(r" \(line (\d+), column (\d+)\)")
# An oddity of an included file, or of `.env`: its place is none of this text.
_OTHER_FILE = re.compile(r"/.*: ")


@config.command(absent_ok=True)
@pass_session
def validate(session: Session) -> None:
    """
    Print what is wrong with the configuration, and where.

    That is what all agents share and the file of each agent; with --agent, only of that one. Ends
    with exit code 1 if there is an error; a warning keeps nobody from using the settings.
    """
    from clawstate.wire import to_wire  # noqa: PLC0415 - see `NOUNS`

    settings = session.state.config
    issues = _issues(settings, session.agent)
    errors = [each for each in issues if each.severity == "error"]
    warnings = [each for each in issues if each.severity == "warning"]
    document = {
        "valid": not errors,
        "issues": to_wire(errors, file=settings.path),
        "warnings": to_wire(warnings, file=settings.path),
    }
    lines = (
        []
        if session.output.as_json
        else list(issue_lines(issues, text_of(settings.path), file=settings.path))
    )
    good = f"{style('valid', fg='green')}  {inline(str(settings.path))}"
    session.output.emit(document, *(lines or [good]))
    if errors:
        raise click.exceptions.Exit(1)


def issue_lines(issues: Iterable[Issue], text: str, *, file: Path) -> Iterator[str]:
    """
    Yield the lines that show *issues* of *file*, which holds *text*: each with a caret below.

    Those of other files have their place instead, as editors and terminals open it.
    """
    from clawstate.cli.config_excerpt import Excerpts  # noqa: PLC0415 - only if there is one
    from clawstate.json5.path_grammar import format_key_path  # noqa: PLC0415 - see `NOUNS`

    excerpts, places = Excerpts(text), _places(text)
    for issue in issues:
        mark = style(issue.severity, fg=_COLOURS[issue.severity], bold=True)
        path = inline(format_key_path(issue.path)) or "the configuration"
        yield f"{mark}  {style(path, bold=True)}: {inline(issue.message)}"
        if issue.file not in {None, file}:
            yield f"      {inline(_place(issue))}"
        elif issue.file == file or _is_here(issue, places):
            yield from _mark_place(excerpts, issue.line, issue.column)
        if issue.hint:
            yield f"      {inline(issue.hint)}"


def issue_of(error: InvalidError | CorruptError, *, file: Path, text: str) -> Issue:
    """Return *error* as an issue; in the *text* of *file* with the place that it names."""
    from clawstate.config.issues import Issue  # noqa: PLC0415 - only if there is one

    named = error.path if isinstance(error, CorruptError) else error.name
    hint = "" if isinstance(error, CorruptError) else error.hint
    found = _PLACE.search(error.problem)
    if found is not None and Path(named) == file:
        message = _PLACE.sub("", error.problem)
        return Issue((), message, int(found[1]), int(found[2]), "error", hint)
    path = _key_path(named)
    places = _places(text) if path else None
    line, column = (places and places.of_value(path)) or (None, None)
    message = error.problem if path or Path(named) == file else f"{named}: {error.problem}"
    return Issue(path, message, line, column, "error", hint)


def text_of(file: Path) -> str:
    """Return the text of *file* whether it can be understood or not; empty if there is none."""
    from clawstate.config.layers import MAX_CONFIG_BYTES  # noqa: PLC0415 - see `NOUNS`
    from clawstate.files.regular import read_regular  # noqa: PLC0415

    try:
        # A link to a regular file is followed, as it is when the settings are read.
        return read_regular(file.resolve(), limit=MAX_CONFIG_BYTES).decode(errors="replace")
    except (NotFoundError, InvalidError, LimitError):
        return ""


def _issues(settings: Config, agent: str | None) -> tuple[Issue, ...]:
    try:
        return settings.issues(agent_id=agent)
    except (ConfigError, CorruptError) as error:
        return (issue_of(error, file=settings.path, text=""),)


def _key_path(name: str) -> KeyPath:
    from clawstate.json5.path_grammar import parse_key_path  # noqa: PLC0415 - see `NOUNS`

    try:
        return () if name.startswith("/") else parse_key_path(name)
    except InvalidError:
        return ()


def _places(text: str) -> Places | None:
    from clawstate.json5.parse import parse_document  # noqa: PLC0415
    from clawstate.json5.places import Places  # noqa: PLC0415 - see `NOUNS`

    try:
        return Places(parse_document(text, path=Path("text")), text)
    except CorruptError:
        return None


def _is_here(issue: Issue, places: Places | None) -> bool:
    """Tell whether the place of *issue* is one in the text of *places*, not in another file."""
    if not issue.path or places is None:
        return _OTHER_FILE.match(issue.message) is None
    known = (places.of_value(issue.path), places.of_key(issue.path))
    return (issue.line, issue.column) in known


def _place(issue: Issue) -> str:
    return ":".join(str(each) for each in (issue.file, issue.line, issue.column) if each)


def _mark_place(excerpts: Excerpts, line: int | None, column: int | None) -> Iterator[str]:
    if line is None or column is None:
        return
    number = f"{line:>5}"
    width = max(40, min(shutil.get_terminal_size().columns, 110)) - len(number) - 3
    excerpt = excerpts.at(line, column, width=width)
    if excerpt is None:
        return
    # A tab is as wide below as above, whatever the terminal makes of it.
    gap = "".join("\t" if each == "\t" else " " for each in excerpt.line[: excerpt.offset])
    yield style(f"{number} | ", dim=True) + inline(excerpt.line)
    yield style(f"{' ' * len(number)} | ", dim=True) + gap + style("^", fg="red")
