"""`Session`: what one run of the command line works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    @property
    def state(self) -> State:
        """Return the opened state."""
        if self._state is None:
            from clawstate.state import open_state  # noqa: PLC0415 - `--help` does without

            self._state = open_state(self.state_dir, store=self.store)
        return self._state

    def close(self) -> None:
        """Close the state if it was opened."""
        if self._state is not None:
            self._state.close()
