"""The noun `config`: read, change and check the settings."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import CONTEXT, Command, Group, pass_session
from clawstate.cli.printing import inline, style
from clawstate.cli.session import Session
from clawstate.cli.suggestions import CONFIG_PATHS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawstate.cli.output import Output
    from clawstate.config.history import Change
    from clawstate.json5.path_grammar import KeyPath

_NEGATIVE = re.compile(r"-(?:[\d.]|Infinity).*")


def _unicode(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse bytes that are no UTF-8: they could neither be written nor named in an error."""
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise click.BadParameter("is not UTF-8", ctx, param) from None
    return value


PATH = click.argument("path", callback=_unicode, shell_complete=CONFIG_PATHS)
FORCE = click.option("--force", is_flag=True, help="Write even what looks like an accident.")


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=(
        "clawstate config set gateway.port 18790",
        "clawstate config get gateway.port",
        "clawstate config diff",
        "clawstate config undo",
    ),
)
def config() -> None:
    """Read, change and check the settings."""


@config.command()
@PATH
@click.option("--reveal", is_flag=True, help="Show secrets as well.")
@pass_session
def get(session: Session, /, path: str, *, reveal: bool) -> None:
    """
    Print the value at PATH, such as gateway.port or agents.list[0].id.

    It is the value that counts, with defaults and variables. With --agent it is the one that this
    agent sees.
    """
    settings = session.state.config
    seen = settings.require if reveal else settings.redacted
    _print(session.output, seen(path, agent_id=session.agent))


class _Setting(Command):
    """Takes a negative number for a value, not for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move a negative number that follows a path behind all options."""
        for index, each in enumerate(args):
            follows = any(not before.startswith("-") for before in args[:index])
            if follows and "--" not in args and _NEGATIVE.fullmatch(each):
                args = [*args[:index], *args[index + 1 :], "--", each]
                break
        return super().parse_args(ctx, args)


@config.command(
    name="set",
    cls=_Setting,
    examples=(
        "clawstate config set agents.defaults.workspace ~/work",
        "clawstate config set gateway.auth.token --stdin < token.txt",
    ),
    absent_ok=True,
)
@PATH
@click.argument("value", required=False, callback=_unicode)
@click.option("--stdin", "piped", is_flag=True, help="Read the value from standard input.")
@click.option("--string", "as_text", is_flag=True, help="Take the value as text, whatever it is.")
@click.option("--strict-json", is_flag=True, help="Refuse a value that is not JSON5.")
@FORCE
@pass_session
def set_(
    session: Session,
    /,
    path: str,
    value: str | None,
    *,
    piped: bool,
    as_text: bool,
    strict_json: bool,
    force: bool,
) -> None:
    """
    Set PATH to VALUE, which is JSON5, or else text.

    Comments and all else in the file stay as they are. With --agent it is set for this agent alone,
    in its own file. Beside an OpenClaw, what that would refuse goes to clawstate.json.

    Give a secret with --stdin, or leave VALUE out to be asked for it: arguments stand in the
    history of the shell.
    """
    from clawstate.json5.path_grammar import parse_key_path  # noqa: PLC0415 - see `NOUNS`

    if as_text and strict_json:
        raise click.UsageError("choose --string or --strict-json")
    steps = parse_key_path(path)
    text = _ask_value(path, value, piped=piped)
    meant = text if as_text else _parse_value(text, strict=strict_json)
    if value is not None:
        _require_no_secret(steps, meant)
    settings, agent = session.state.config, session.agent
    private = {file for file in _files(session) if _is_private(file)}
    change = settings.set(path, meant, force=force, agent_id=agent)
    for file in () if change is None else map(Path, [each.file for each in change.files]):
        if file not in private and _is_private(file):
            session.output.warn(
                f"{file} holds a secret in the clear now, and was made private (0600); write"
                " ${NAME} or a secret reference to keep secrets out of it"
            )
    _tell(session, change, "set", path)
    _warn_of_unknown(session, [] if change is None else change.paths)


@config.command()
@PATH
@FORCE
@pass_session
def unset(session: Session, /, path: str, *, force: bool) -> None:
    """
    Remove what stands at PATH, with the comments on its lines.

    Objects that 'config set' had made around it and that are empty now go too. With --agent it is
    removed from the file of this agent.
    """
    change = session.state.config.unset(path, force=force, agent_id=session.agent)
    _tell(session, change, "removed", path)


@config.command(name="path", absent_ok=True)
@pass_session
def path_(session: Session) -> None:
    """
    Print where the configuration is, or would be.

    Beside an OpenClaw, a second line is clawstate.json, the file for settings that OpenClaw does
    not know; with --agent, another is the file of this agent.
    """
    place, *others = _files(session)
    settings = session.state.config
    files = [place, *(each for each in others if each != settings.overlay_path)]
    if settings.overlay_path.exists() or settings.owner.is_openclaw:
        files.insert(1, settings.overlay_path)
    document: dict[str, Any] = {"path": str(place), "exists": place.exists()}
    if len(files) > 1:
        document["files"] = [{"path": str(each), "exists": each.exists()} for each in files]
    session.output.emit(document, *(str(file) for file in files))


@config.command(absent_ok=True)
@pass_session
def schema(session: Session) -> None:
    """
    Print the JSON Schema of the configuration.

    Save it, and name the file in the configuration's "$schema": then editors complete keys, explain
    them, and mark mistakes while you write.
    """
    from clawstate.config.schema.root import json_schema  # noqa: PLC0415 - slow

    _print(session.output, json_schema())


def _print(output: Output, value: Any) -> None:
    from clawstate.files.json_text import dump_pretty  # noqa: PLC0415 - see `NOUNS`

    if output.as_json:
        output.json(dump_pretty(value))
    else:
        output.value(value if isinstance(value, str) else dump_pretty(value))


def _files(session: Session) -> list[Path]:
    """Return the files of the configuration, there or not, the weakest first."""
    settings, agent = session.state.config, session.agent
    own = [] if agent is None else [session.state.paths.agent_config(agent)]
    return [settings.path, settings.overlay_path, *own]


def _ask_value(path: str, value: str | None, *, piped: bool) -> str:
    if value is not None:
        if piped:
            raise click.UsageError("give VALUE or --stdin, not both")
        return value
    if sys.stdin.isatty():
        asked: str = click.prompt(f"value of {inline(path)} (not shown)", hide_input=True, err=True)
        return asked
    if not piped:
        raise click.UsageError("VALUE is missing; --stdin reads it from standard input")
    data = sys.stdin.buffer.read()
    try:
        return data.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"stdin is not UTF-8 (byte {error.start})") from None


def _parse_value(text: str, *, strict: bool) -> Any:
    from clawstate.errors import CorruptError  # noqa: PLC0415 - see `NOUNS`
    from clawstate.json5.parse import parse_json5  # noqa: PLC0415

    try:
        return parse_json5(text, path=Path("VALUE"))
    except CorruptError as error:
        if strict:
            raise click.UsageError(f"VALUE {error.problem}") from None
    return text


def _is_private(file: Path) -> bool:
    return file.exists() and not file.stat().st_mode & 0o077


def _require_no_secret(steps: KeyPath, value: Any) -> None:
    """Refuse a secret among the arguments: they stand in the history and the list of processes."""
    from clawstate.json5.path_grammar import format_key_path  # noqa: PLC0415 - see `NOUNS`
    from clawstate.secrets.redaction import literal_secrets  # noqa: PLC0415

    for step in reversed(steps):
        value = {step: value} if isinstance(step, str) else [value]
    if literal_secrets(value):
        raise click.UsageError(
            f"a secret for {format_key_path(steps)} must not be an argument: the history of your"
            " shell keeps those. Nothing was changed. Leave VALUE out to be asked, pipe it into"
            " --stdin, or write ${NAME} or a secret reference"
        )


def _warn_of_unknown(session: Session, paths: Sequence[str]) -> None:
    """Say what `validate` says of a key that was set, or of what is below it: nobody knows it."""
    from clawstate.errors import StateError  # noqa: PLC0415
    from clawstate.json5.path_grammar import format_key_path, parse_key_path  # noqa: PLC0415 - see `NOUNS`

    with suppress(StateError):  # what is wrong with the rest is told by `validate`
        steps = {parse_key_path(path) for path in paths}
        for each in session.state.config.issues(agent_id=session.agent):
            if each.severity == "warning" and any(_touch(path, each.path) for path in steps):
                name = format_key_path(each.path)
                session.output.warn(f"{name}: {each.message}{each.hint and '; '}{each.hint}")


def _touch(path: KeyPath, other: KeyPath) -> bool:
    """Tell whether one of two key paths is, or lies below, the other."""
    size = min(len(path), len(other))
    return size > 0 and path[:size] == other[:size]


def undo_hint(session: Session, change: Change) -> str:
    """Return how to take *change* back."""
    agent = "" if session.agent is None else f"--agent {session.agent} "
    undo = f"(change {change.number}; 'clawstate {agent}config undo' reverts it)"
    return style(undo, dim=True)


def files_told(session: Session, change: Change) -> str:
    """Return in which files *change* is, unless it is where everybody would look."""
    settings, files = session.state.config, [each.file for each in change.files]
    if files == [str(settings.path)] and not settings.overlay_path.exists():
        return ""
    return f" in {' and '.join(files)}"


def _why_there(session: Session, change: Change) -> str:
    """Return why a setting went to the file of our own, if it did beside an OpenClaw."""
    from clawstate.openclaw.description import describe  # noqa: PLC0415 - only beside one

    settings = session.state.config
    files = [each.file for each in change.files]
    if str(settings.overlay_path) not in files or not settings.owner.is_openclaw:
        return ""
    names = settings.path.name, settings.overlay_path.name
    return (
        f": {describe(settings.owner).name} would refuse it in {names[0]}, so it is in {names[1]}"
    )


def _tell(session: Session, change: Change | None, done: str, path: str) -> None:
    from clawstate.wire import to_wire  # noqa: PLC0415 - see `NOUNS`

    line = f"{path} has this value already"
    if change is not None:
        why = _why_there(session, change) if done == "set" else ""
        line = f"{done} {path}{files_told(session, change)}{why}  {undo_hint(session, change)}"
    session.output.emit({"changed": change is not None, "change": to_wire(change)}, line)
