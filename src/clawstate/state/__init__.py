"""One opened state directory: the only place where its parts are wired together."""

from clawstate.state.ending import program_that_ends
from clawstate.state.opened import State, open_state

__all__ = ["State", "open_state", "program_that_ends"]
