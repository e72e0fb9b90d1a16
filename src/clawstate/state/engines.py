"""The engines of records that a state can have, by name and by what they can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from clawstate.arguments import require_text
from clawstate.errors import InvalidError, UnavailableError

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


@dataclass(frozen=True, slots=True)
class Engine:
    """
    One engine of records, as the parts of a state tell it from others: by what it can do.

    It is chosen with its *name*, or with an address whose scheme is one of its *schemes*. *words*
    say where it keeps records. *in_files*: each collection is a file at a place of its own, which
    other programs may read and write. *open* makes its backend, for collections whose files would
    lie below a directory, guarded against a change of `state.store` if it is the chosen one.
    *is_there* tells whether it may keep anything yet.
    """

    name: str
    words: str
    open: Callable[[Opener, Path, bool], Backend]
    is_there: Callable[[Opener], bool]
    in_files: bool = False
    schemes: tuple[str, ...] = ()
    is_missing: bool = False
    """Whether it is known by its name alone: this version does not have it."""


def _open_files(backends: Opener, root: Path, is_chosen: bool) -> Backend:  # noqa: FBT001
    return backends.files(root, chosen=is_chosen)


def _open_rows(backends: Opener, _root: Path, is_chosen: bool) -> Backend:  # noqa: FBT001
    return backends.chosen_rows() if is_chosen else backends.rows()


def _refuse(*_: object) -> Backend:
    problem = f"this version keeps records in {_join_names(lambda each: each.words)}"
    raise UnavailableError("the PostgreSQL engine", problem, f"choose {names_of_engines()}")


ENGINES: Final = (
    Engine(FILE, "files", _open_files, lambda _: True, in_files=True),
    Engine(SQLITE, "rows of state/records.db", _open_rows, lambda backends: backends.has_rows),
    Engine(
        "postgresql",
        "a PostgreSQL server",
        _refuse,
        lambda _: False,
        schemes=("postgresql", "postgres"),
        is_missing=True,
    ),
)
"""All engines of records. A new one is its package, one entry here, and its suite of laws."""


def names_of_engines() -> str:
    """Return the names of the engines that this version has, for a message."""
    return _join_names(lambda each: f"'{each.name}'")


def _join_names(name: Callable[[Engine], str]) -> str:
    return " or ".join(name(each) for each in ENGINES if not each.is_missing)


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
        schemes = [f"'{each.name}://...'" for each in ENGINES if each.schemes]
        hint = f"give {' or '.join((names_of_engines(), *schemes))}"
        raise InvalidError("store", problem, hint)
    return engine


def require_store(choice: str) -> str:
    """Return *choice* if it names an engine; raises `InvalidError` that does not repeat it."""
    engine_of(choice)
    return choice
