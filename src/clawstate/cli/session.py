"""`Session`: what one run of the command line works with."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawstate.cli.printing import inline
from clawstate.errors import NotFoundError, UnavailableError

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
            from clawstate.encryption import ask_with  # noqa: PLC0415 - `--help` does without
            from clawstate.state import open_state, program_that_ends  # noqa: PLC0415

            self._open.enter_context(ask_with(_ask))
            self._open.enter_context(program_that_ends())
            opened = self._open.enter_context(open_state(self.state_dir, store=self.store))
            _require_directory(opened.paths.root)
            if "://" not in (self.store or ""):  # a database does without a directory
                self._require_existing(opened.paths.root)
            self._state = opened
        return self._state

    def reopen(self) -> State:
        """Return the state, opened anew."""
        from clawstate.state import open_state  # noqa: PLC0415 - loaded by now

        self._state = self._open.enter_context(open_state(self.state_dir, store=self.store))
        return self._state

    def _require_existing(self, root: Path) -> None:
        """Tell of a directory that is not there, unless the command does without."""
        if os.path.exists(root):  # noqa: PTH110 - never raises
            return
        context = click.get_current_context(silent=True)
        if context is None or getattr(context.command, "absent_ok", True):
            return
        from clawstate.files.place import require_no_dead_link  # noqa: PLC0415 - rarely needed

        require_no_dead_link(root)
        problem = "nothing is kept there yet; the first write, such as 'memory add', makes it"
        if self.state_dir is not None:
            raise NotFoundError("state directory", str(root), f"check the name: {problem}")
        self.output.warn(f"{root} does not exist: {problem}")

    def close(self) -> None:
        """Close the state if it was opened."""
        self._open.close()


def _require_directory(root: Path) -> None:
    if os.path.exists(root) and not os.path.isdir(root):  # noqa: PTH110, PTH112 - these never raise
        hint = "name another state directory"
        raise UnavailableError(str(root), "is a file, not a directory", hint)


def _ask(title: str, is_new: bool) -> str:  # noqa: FBT001 - the form of `Ask`
    if not sys.stdin.isatty():
        return ""
    asked: str = click.prompt(inline(title), hide_input=True, confirmation_prompt=is_new, err=True)
    return asked
