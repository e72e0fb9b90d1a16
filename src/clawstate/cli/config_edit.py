"""The verb `config edit`: the whole text in an editor, saved only when it is sound."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import pass_session
from clawstate.cli.config import FORCE, config, undo_hint
from clawstate.cli.session import Session
from clawstate.config.layers import MAX_CONFIG_BYTES
from clawstate.errors import (
    ConflictError,
    CorruptError,
    InvalidError,
    LimitError,
    NotFoundError,
    StateError,
    UnavailableError,
)
from clawstate.files.regular import read_regular

if TYPE_CHECKING:
    from clawstate.cli.output import Output
    from clawstate.config.history import Change
    from clawstate.config.issues import Issue

_FALLBACKS = ("sensible-editor", "nano", "vi")
_EMPTY = "{\n}\n"

_Save = Callable[[str], "Change | None"]
"""Saves a text, or tells why not."""


@config.command(absent_ok=True)
@click.option("--own", is_flag=True, help="Open clawstate.json instead.")
@FORCE
@pass_session
def edit(session: Session, *, own: bool, force: bool) -> None:
    """
    Open the configuration in $VISUAL or $EDITOR, and save it if it is sound.

    The editor gets a private copy. What is wrong is shown, and you can edit again; a copy that is
    not saved is kept and named. With --agent it is the file of this agent; with --own it is the one
    for settings that OpenClaw does not know, where those are moved that you type elsewhere.
    """
    from clawstate.cli.config_check import text_of  # noqa: PLC0415 - see `NOUNS`
    from clawstate.wire import to_wire  # noqa: PLC0415

    settings, agent = session.state.config, session.agent
    if own and agent is not None:
        raise click.UsageError("choose --own or --agent")
    shared = settings.overlay_path if own else settings.path
    file = shared if agent is None else session.state.paths.agent_config(agent)
    command = _editor()
    before = text_of(file)
    save = partial(settings.replace, expected=before, force=force, agent_id=agent, own=own)
    again = f"{'' if agent is None else f'--agent {agent} '}config edit{' --own' if own else ''}"
    with _private_copy(file.name, before or _EMPTY, session.output) as copy:
        lent = _Edit(copy, file, before, again)
        change = _edit_until_saved(save, session.output, command, lent)
    line = "nothing was changed"
    if change is not None:
        files = " and ".join(each.file for each in change.files)
        line = f"saved {files}  {undo_hint(session, change)}"
    session.output.emit({"changed": change is not None, "change": to_wire(change)}, line)


@dataclass(frozen=True, slots=True)
class _Edit:
    """The *copy* that is edited, of a *file* with the text *before*; *again* is the command."""

    copy: Path
    file: Path
    before: str
    again: str

    def hint(self) -> str:
        """Return how to go on with a copy that cannot be saved."""
        put = shlex.quote(f"cp {shlex.quote(str(self.copy))}")
        return f"nothing was saved; mend {self.copy}, then run VISUAL={put} clawstate {self.again}"


def _edit_until_saved(
    save: _Save, output: Output, command: list[str], edit: _Edit
) -> Change | None:
    """Return the change that was saved; asks for another try as long as it cannot be."""
    while True:
        _run(command, edit.copy, output)
        raw = _read(edit.copy)
        if raw == (edit.before or _EMPTY).encode():
            return None
        try:
            return _save_text(save, raw, edit)
        except (InvalidError, CorruptError) as error:
            from clawstate.cli.config_check import issue_lines, issue_of  # noqa: PLC0415 - if broken

            text = raw.decode(errors="replace")
            issue = issue_of(error, file=edit.file, text=text)
            for line in issue_lines([issue], text, file=edit.file):
                output.say(line)
            if not sys.stdin.isatty() or not click.confirm("edit again?", default=True, err=True):
                raise _refusal(error, issue, edit) from None


def _refusal(error: InvalidError | CorruptError, issue: Issue, edit: _Edit) -> StateError:
    """Return *error* as one of the copy, which is where it can be mended."""
    from clawstate.json5.path_grammar import format_key_path  # noqa: PLC0415 - see `NOUNS`

    place = "" if issue.line is None else f" (line {issue.line}, column {issue.column})"
    name = f"{format_key_path(issue.path)}: " if issue.path else ""
    kept = f"{issue.hint}; {edit.hint()}" if issue.hint else edit.hint()
    return type(error)(str(edit.copy), f"{name}{issue.message}{place}", kept)


def _read(copy: Path) -> bytes:
    try:
        return read_regular(copy, limit=MAX_CONFIG_BYTES)
    except (NotFoundError, UnavailableError):
        problem = "left no file to read"
    except InvalidError as error:
        problem = f"left no file to read: its copy {error.problem}"
    except LimitError as error:
        problem = f"left too long a text: {error}"
    raise UnavailableError("editor", problem, "nothing was changed; see $VISUAL and $EDITOR")


def _save_text(save: _Save, raw: bytes, edit: _Edit) -> Change | None:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        column = len(raw[: error.start].rpartition(b"\n")[2].decode(errors="replace")) + 1
        problem = f"is not UTF-8 (line {line}, column {column})"
        raise InvalidError(str(edit.file), problem, "save it in that encoding") from None
    if not text.strip():
        raise InvalidError(str(edit.file), "is empty", "the smallest configuration is {}")
    try:
        return save(text)
    except ConflictError as error:
        hint = "nothing was overwritten; carry your edit over by hand"
        raise ConflictError(error.kind, error.key, hint) from None


def _editor() -> list[str]:
    chosen = os.environ.get("VISUAL", "").strip() or os.environ.get("EDITOR", "").strip()
    try:
        words = shlex.split(chosen)
    except ValueError as error:
        raise UnavailableError("editor", f"cannot be understood: {error}", "see $VISUAL") from None
    found = words or [each for each in _FALLBACKS if shutil.which(each)][:1]
    if not found:
        raise UnavailableError("editor", "none is installed", "set VISUAL or EDITOR")
    return found


@contextmanager
def _private_copy(name: str, text: str, output: Output) -> Iterator[Path]:
    """Give a private file with *text*; it is kept if what was typed would be lost."""
    import tempfile  # noqa: PLC0415 - no other verb of `config` needs it

    folder = Path(tempfile.mkdtemp(prefix="clawstate-edit-"))
    copy = folder / name
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(copy, flags, 0o600), "wb") as file:
        file.write(text.encode())
    is_saved = False
    try:
        yield copy
        is_saved = True
    finally:
        if is_saved or not _is_worth_keeping(copy, text):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            output.say(f"your edit is kept in {copy}")


def _is_worth_keeping(copy: Path, text: str) -> bool:
    try:
        return read_regular(copy, limit=MAX_CONFIG_BYTES) != text.encode()
    except StateError:
        return copy.is_file() and not copy.is_symlink()


def _run(command: list[str], copy: Path, output: Output) -> None:
    import subprocess  # noqa: PLC0415 - no other verb of `config` needs it

    try:
        with _deaf_to_interrupts():
            # With --json what an editor prints is not the document.
            done = subprocess.run(  # noqa: S603 - the user's own command
                [*command, str(copy)], check=False, stdout=2 if output.as_json else None
            )
    except OSError as error:
        problem = f"cannot be started ({os.strerror(error.errno or 0)})"
        raise UnavailableError(command[0], problem, "set VISUAL or EDITOR") from None
    if done.returncode:
        hint = "nothing was saved"
        raise UnavailableError(command[0], f"ended with exit code {done.returncode}", hint)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    # A terminal sends Ctrl-C to all of its programs, and to the editor it is just a key. A handler
    # of our own, unlike SIG_IGN, is not inherited by the editor.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
