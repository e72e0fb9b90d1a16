"""The root command: global options, nouns that load when they are used, errors as one line."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import warnings
from collections.abc import Sequence

import click

from clawstate.cli.command import EXIT_NOT_FOUND, Group, WithExamples
from clawstate.cli.output import Output, escape_what_cannot_be_encoded, open_missing_streams
from clawstate.cli.session import Session
from clawstate.cli.suggestions import AGENTS, directories
from clawstate.errors import StateError, StateWarning
from clawstate.version import __version__

NOUNS = {
    "memory": ("clawstate.cli.memory", "memory", "Remember, search and import."),
    "config": ("clawstate.cli.config", "config", "Read, change and check the settings."),
    "auth": ("clawstate.cli.auth", "auth", "Keep credentials, and find secrets in the clear."),
    "sessions": ("clawstate.cli.sessions", "sessions", "See and prune conversations."),
    "transcripts": ("clawstate.cli.transcripts", "transcripts", "Keep and search messages."),
    "pairing": ("clawstate.cli.pairing", "pairing", "Let devices in."),
    "devices": ("clawstate.cli.devices", "devices", "See, rotate and revoke paired devices."),
    "matrix": ("clawstate.cli.matrix", "matrix", "See what a Matrix client keeps."),
    "dedupe": ("clawstate.cli.dedupe", "dedupe", "Tell what was handled already."),
    "import": ("clawstate.cli.imports", "imports", "Take over what another agent kept."),
    "store": ("clawstate.cli.store", "store", "See where records lie, and move them."),
    "backup": ("clawstate.cli.backup", "backup", "Make, prove and restore backups."),
    "audit": ("clawstate.cli.audit", "audit", "Prove that nobody changed what is kept."),
    "rollback": ("clawstate.cli.rollback", "rollback", "Take an upgrade of the format back."),
    "gateway": ("clawstate.cli.gateway", "gateway", "Serve the state over HTTP."),
    "plugins": ("clawstate.cli.plugins", "plugins", "See and choose plugins."),
    "mcp": ("clawstate.cli.mcp", "mcp", "Serve the memory to agents (MCP)."),
    "integrate": ("clawstate.cli.integrate", "integrate", "Let an agent use the memory."),
    "diff": ("clawstate.cli.timeline", "diff", "Show what changed since a time."),
    "status": ("clawstate.cli.status", "status", "Show what is kept, and where."),
    "watch": ("clawstate.cli.watch", "watch", "Show what moves, as it does."),
    "doctor": ("clawstate.cli.doctor", "doctor", "Find what is wrong, and mend it."),
    "completion": ("clawstate.cli.completion", "completion", "Let the Tab key complete."),
    "version": ("clawstate.cli.version", "version", "Print the version."),
}
"""Each noun's module, attribute and line of help: `--help` loads none of them."""

MORE_VERBS = {
    "memory": (
        "memory_capture",
        "memory_explain",
        "memory_files",
        "memory_history",
        "memory_reembed",
        "memory_retention",
        "memory_conflicts",
        "memory_duplicates",
        "memory_upkeep",
    ),
    "config": ("config_check", "config_edit", "config_history", "config_show"),
    "auth": ("auth_secrets",),
    "backup": ("backup_schedule",),
    "devices": ("device_pairing",),
    "sessions": ("sessions_upkeep",),
    "transcripts": ("transcripts_files",),
}
"""Modules that add verbs to a noun: loaded for those, and behind its own, which they import."""

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_CODES = {"not_found": EXIT_NOT_FOUND}
EXIT_INTERRUPTED = 130


class LazyGroup(WithExamples, click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command *cmd_name*."""
        if cmd_name not in NOUNS:
            return None
        module, attribute, _ = NOUNS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        if isinstance(command, Group):
            command.more = [f"clawstate.cli.{each}" for each in MORE_VERBS.get(cmd_name, ())]
        return command

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[click.shell_completion.CompletionItem[str]]:
        """Return the nouns that begin with *incomplete*, none imported, and the options."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - most runs complete none

        nouns = [
            CompletionItem(name, help=line)
            for name, (_, _, line) in NOUNS.items()
            if name.startswith(incomplete)
        ]
        return [*nouns, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or fail with the name that is most like the one given."""
        if args[0] not in NOUNS:
            from difflib import get_close_matches  # noqa: PLC0415 - for who slipped; slow to load

            if near := get_close_matches(args[0], NOUNS, n=1):
                ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table of nouns without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in NOUNS.items()])


@click.group(
    cls=LazyGroup,
    examples=(
        'clawstate memory add "Ada prefers green tea" --tag preference',
        'clawstate memory search "what does Ada like to drink?"',
        "clawstate status",
    ),
)
@click.option(
    "--state-dir",
    metavar="DIR",
    help="The state directory [$OPENCLAW_STATE_DIR].",
    shell_complete=directories,
)
@click.option(
    "--store",
    metavar="URL",
    envvar="CLAWSTATE_STORE",
    help="The engine: file, sqlite or postgresql://... [$CLAWSTATE_STORE, state.store].",
)
@click.option(
    "--agent", metavar="ID", help="The agent that is meant [main].", shell_complete=AGENTS
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--no-color", is_flag=True, help="Print without colours.")
@click.version_option(__version__, prog_name="clawstate")
@click.pass_context
def root(
    ctx: click.Context,
    *,
    state_dir: str | None,
    store: str | None,
    agent: str | None,
    as_json: bool,
    no_color: bool,
) -> None:
    """
    Keep what a personal AI agent must not lose.

    Everything lives in one directory: $OPENCLAW_STATE_DIR, else ~/.openclaw.
    """
    session: Session = ctx.obj
    session.state_dir = state_dir
    session.store = store
    session.agent = agent
    session.output.as_json = session.output.as_json or as_json
    if no_color:
        session.output.colour = False


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments* and return the exit code."""
    # One query multiplies small matrices; a second BLAS thread only makes it wait.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    open_missing_streams()
    escape_what_cannot_be_encoded()
    output = Output(as_json="--json" in arguments)
    if "--no-color" in arguments:
        output.colour = False
    session = Session(output)
    with warnings.catch_warnings():
        warnings.simplefilter("always", StateWarning)
        warnings.showwarning = lambda message, *_, **__: output.warn(str(message))
        try:
            return _invoke(arguments, session)
        finally:
            session.close()


def _invoke(arguments: Sequence[str], session: Session) -> int:
    try:
        # Not `root.main`: that ends the process with 1 when the reader of a pipe left.
        with root.make_context("clawstate", list(arguments), obj=session) as context:
            root.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (StateError, click.ClickException) as error:
        return _report_error(error, session.output)
    except (KeyboardInterrupt, click.Abort):
        session.output.fail("interrupted", "interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe left; it wants no more, not even an error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}:
            raise
        problem = f"the output cannot be written ({os.strerror(error.errno)})"
        try:
            session.output.fail("unavailable", problem)
            sys.stdout.flush()
        except OSError:  # it was stdout, which shall not fail once more at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if session.output.as_json:
                session.output.as_json = False
                session.output.fail("unavailable", problem)
        return EXIT_FAILURE
    return 0


def _report_error(error: StateError | click.ClickException, output: Output) -> int:
    if isinstance(error, StateError):
        output.fail(error.code, str(error))
        return EXIT_CODES.get(error.code, EXIT_FAILURE)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        if output.as_json:
            output.fail("usage", "a command is missing; see --help")
        else:
            for line in error.ctx.get_help().splitlines():
                output.say(line)
        return EXIT_USAGE
    if isinstance(error, click.UsageError):
        usage = "" if error.ctx is None else error.ctx.get_usage()
        output.fail("usage", _message_of(error), before=usage)
        return EXIT_USAGE
    output.fail("failure", _message_of(error))
    return error.exit_code


def _message_of(error: click.ClickException) -> str:
    """Return what *error* says in one line; click lists choices in lines of their own."""
    return " ".join(map(str.strip, error.format_message().splitlines()))
