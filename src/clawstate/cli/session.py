"""`Session`: what one run of the command line works with."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from clawstate.cli.output import Output
    from clawstate.state import State


class Session:
    """The state that was asked for, opened when first used, and the output."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.state_dir: str | None = None
        self.store: str | None = None
        self.agent: str | None = None
        self._state: State | None = None
        self._open = ExitStack()

    @property
    def state(self) -> State:
        """Return the opened state."""
        if self._state is None:
            from clawstate.sealing import asking  # noqa: PLC0415 - `--help` does without
            from clawstate.state import open_state  # noqa: PLC0415

            self._open.enter_context(asking(_ask))
            self._state = self._open.enter_context(open_state(self.state_dir, store=self.store))
        return self._state

    def close(self) -> None:
        """Close the state if it was opened."""
        self._open.close()


def _ask(title: str, is_new: bool) -> str:  # noqa: FBT001 - the form of `Ask`
    if not sys.stdin.isatty():
        return ""
    asked: str = click.prompt(title, hide_input=True, confirmation_prompt=is_new, err=True)
    return asked
