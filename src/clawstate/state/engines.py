"""The engines of records that a state can have, by name and by what they can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from clawstate.arguments import require_text
from clawstate.errors import InvalidError

if TYPE_CHECKING:
    from pathlib import Path

    from clawstate.records.contract import Backend

FILE = "file"
SQLITE = "sqlite"


class Opener(Protocol):
    """What opens the engines: the `BackendRegistry`."""

    @property
    def has_rows(self) -> bool:
        """Whether our own database is there, as far as it can be seen."""

    def files(self, root: Path, *, chosen: bool = False) -> Backend:
        """Return the engine of JSON files below *root*."""

    def rows(self) -> Backend:
        """Return the rows of our own database."""

    def chosen_rows(self) -> Backend:
        """Return these rows as the engine of the state."""

    def server(self, address: str) -> Backend:
        """Return the records in the PostgreSQL database at *address*."""

    def chosen_server(self) -> Backend:
        """Return those at the address that is chosen, as the engine of the state."""


@dataclass(frozen=True, slots=True)
class Engine:
    """
    One engine of records, as the parts of a state tell it from others: by what it can do.

    It is chosen with its *name*, or with an address whose scheme is one of its *schemes*. *words*
    say where it keeps records. *in_files*: each collection is a file at a place of its own, which
    other programs may read and write. *open* makes its backend, for collections whose files would
    lie below a directory and for the text that names it, if any: without one it is the chosen one,
    guarded against a change of `state.store`. *is_there* tells whether it may keep anything yet.
    """

    name: str
    words: str
    open: Callable[[Opener, Path, str | None], Backend]
    is_there: Callable[[Opener], bool]
    in_files: bool = False
    schemes: tuple[str, ...] = ()


def _open_files(backends: Opener, root: Path, choice: str | None) -> Backend:
    return backends.files(root, chosen=choice is None)


def _open_rows(backends: Opener, _root: Path, choice: str | None) -> Backend:
    return backends.chosen_rows() if choice is None else backends.rows()


def _open_server(backends: Opener, _root: Path, choice: str | None) -> Backend:
    return backends.chosen_server() if choice is None else backends.server(choice)


ENGINES: Final = (
    Engine(FILE, "files", _open_files, lambda _: True, in_files=True),
    Engine(SQLITE, "rows of state/records.db", _open_rows, lambda backends: backends.has_rows),
    Engine(
        "postgresql",
        "a PostgreSQL database",
        _open_server,
        lambda _: False,  # without an address nobody can look there
        schemes=("postgresql", "postgres"),
    ),
)
"""All engines of records. A new one is its package, one entry here, and its suite of laws."""


def names_of_engines() -> str:
    """Return how the engines are named, for a message."""
    return " or ".join(
        f"'{each.name}://...'" if each.schemes else f"'{each.name}'" for each in ENGINES
    )


def find_engine(choice: str) -> Engine | None:
    """Return the engine that *choice* names, or whose address it is; `None` if there is none."""
    scheme, separator, place = choice.partition("://")
    for each in ENGINES:
        if choice == each.name and not each.schemes:
            return each
        if separator and scheme in each.schemes and place and place.split() == [place]:
            return each
    return None


def engine_of(choice: str) -> Engine:
    """Return the engine that *choice* names; raises `InvalidError` that does not repeat it."""
    engine = find_engine(require_text("store", choice))
    if engine is None:
        problem = "is no engine"  # not repeated: an address holds a password
        raise InvalidError("store", problem, f"give {names_of_engines()}")
    return engine


def shown_choice(choice: str) -> str:
    """Return *choice* for a message or a command: an address without its password."""
    scheme, separator, rest = choice.partition("://")
    if not separator:
        return choice
    place, question, parameters = rest.partition("?")
    user, at, host = place.rpartition("@")
    kept = [each for each in parameters.split("&") if "password" not in each.lower()]
    shown = f"{scheme}://{user.partition(':')[0]}{at}{host}"
    return f"{shown}?{'&'.join(kept)}" if question and any(kept) else shown


def require_store(choice: str) -> str:
    """Return *choice* if it names an engine; raises `InvalidError` that does not repeat it."""
    engine_of(choice)
    return choice
