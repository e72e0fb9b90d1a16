"""The form that all commands share: examples, and `--json` and `--no-color` also after the name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click
from click.core import ParameterSource

from clawstate.cli.session import Session
from clawstate.errors import InvalidError

EXIT_NOT_FOUND = 3
_WRITTEN = {"metadata": "meta"}  # names of the library whose option is called otherwise
CONTEXT = {"help_option_names": ["-h", "--help"]}


class WithExamples(click.Command):
    """A command whose help ends with *examples*, which work when they are typed in their order."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, a line each, below all else."""
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for each in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{each}\n")


class Command(WithExamples):
    """
    A command that takes the global output options as its own.

    *absent_ok* says that it is of use where the state directory does not exist yet.
    """

    def __init__(self, *args: Any, absent_ok: bool = False, **kwargs: Any) -> None:
        self.absent_ok = absent_ok
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--json"],
                is_flag=True,
                expose_value=False,
                callback=_as_json,
                help="Print one JSON document.",
            )
        )
        self.params.append(
            click.Option(
                ["--no-color"],
                is_flag=True,
                expose_value=False,
                callback=_plain,
                help="Print without colours.",
            )
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what refuses the value of an option is an error of usage."""
        try:
            return super().invoke(ctx)
        except InvalidError as error:
            # Not its subclasses: they tell of what is kept, not of what was typed.
            if type(error) is InvalidError and _refuses_option(error, ctx):
                raise click.UsageError(str(error), ctx) from error
            raise


def _refuses_option(error: InvalidError, ctx: click.Context) -> bool:
    """Tell whether *error* is about an option that was given."""
    head = re.split(r"[.\[ ]", error.name, maxsplit=1)[0].lstrip("-")
    each: click.Context | None = ctx
    while each is not None:
        for option in each.command.params:
            given = option.name and each.get_parameter_source(option.name)
            if isinstance(option, click.Option) and given is ParameterSource.COMMANDLINE:
                # As they are typed, not as functions call them: `--to` is the name of an engine.
                names = {opt.lstrip("-").replace("-", "_") for opt in option.opts}
                if names & {head, head.removesuffix("s"), _WRITTEN.get(head, head)}:
                    return True
        each = each.parent
    return False


class SecretCommand(Command):
    """A command that reads a secret from stdin, and never repeats one given as an argument."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args*; those left over are refused without being shown."""
        ctx.allow_extra_args = True
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            problem = "too many arguments; the secret is read from standard input, or asked for"
            raise click.UsageError(problem, ctx)
        return rest


class Group(WithExamples, click.Group):
    """A noun with its `Command`s, of which some lie in *more* modules, loaded for those alone."""

    command_class = Command
    more: Sequence[str] = ()

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all verbs."""
        self._load_more()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the verb *cmd_name*."""
        if (found := super().get_command(ctx, cmd_name)) is not None:
            return found
        self._load_more()
        return super().get_command(ctx, cmd_name)

    def _load_more(self) -> None:
        for name in self.more:
            import_module(name)


def _as_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    if value:
        _session(ctx).output.as_json = True


def _plain(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    if value:
        _session(ctx).output.colour = False


def _session(ctx: click.Context) -> Session:
    session = ctx.find_object(Session)
    assert session is not None  # noqa: S101 - the root command is always called with one
    return session


pass_session = click.make_pass_decorator(Session)
