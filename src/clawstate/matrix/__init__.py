"""
A client of matrix-nio whose position and keys lie in a state: `open_client`, `log_in`.

It needs `pip install 'clawstate[matrix]'`, which is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from clawstate.errors import MissingExtraError

if TYPE_CHECKING:
    from clawstate.matrix.client import MatrixClient
    from clawstate.matrix.opening import log_in, open_client

__all__ = ["MatrixClient", "log_in", "open_client"]

_HOMES = {"MatrixClient": "client", "log_in": "opening", "open_client": "opening"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        # One second, which nobody pays who only looks where a storage lies.
        module = import_module(f"clawstate.matrix.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"nio", "vodozemac", "peewee"}:
            raise
        raise MissingExtraError("matrix", "matrix-nio with its encryption") from error
    return getattr(module, name)
