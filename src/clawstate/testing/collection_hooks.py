"""What the laws of collections need of the engine under test: how to make it, and go around it."""
# ruff: noqa: ARG002 - the arguments of a hook are for those who give it

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pytest

from clawstate.errors import CorruptError, CorruptWarning
from clawstate.records.contract import Backend, Collection, CollectionSpec, Json
from clawstate.records.layouts import ListLayout, MapLayout
from clawstate.testing.hooks import skip_undeclared

NOTES: Final = CollectionSpec("notes", PurePosixPath("suite/notes.json"), MapLayout())
"""A whole document from key to value."""

OTHERS: Final = CollectionSpec(
    "others", PurePosixPath("suite/others.json"), MapLayout("others", version=1)
)
"""A section of a document with a version."""

ITEMS: Final = CollectionSpec("items", PurePosixPath("suite/items.json"), ListLayout("items", "id"))
"""A list of objects that hold their keys."""

RANKED: Final = CollectionSpec(
    "ranked", PurePosixPath("suite/ranked.json"), MapLayout(), order="at"
)
"""Values with a number by which the latest come first."""


class CollectionHooks:
    """What a suite is told by its subclass, and the fixtures that it makes of that."""

    def make(self, tmp_path: Path) -> Backend:
        """
        Return the engine under test over a state below *tmp_path*: the same for the same path.

        Another process calls it as well when the engine declares `Capability.SHARED`, so the class
        must be importable by its name.
        """
        raise NotImplementedError(tmp_path)

    def reopen(self, backend: Backend, tmp_path: Path) -> Backend:
        """Close *backend* and return another one over the same state."""
        backend.close()
        return self.make(tmp_path)

    def place(self, tmp_path: Path) -> str:
        """Return what errors and findings name the state by: a path, or an address."""
        return str(tmp_path)

    asks_again = 0
    """How often `version` may move without a change of ours, as others use the same server."""

    def raw_read(self, tmp_path: Path, spec: CollectionSpec) -> dict[str, Json]:
        """Return the records of *spec* as they lie on disk, without using the engine."""
        pytest.skip(f"raw_read is not given: {spec.kind} is not read around the engine")

    def raw_write(self, tmp_path: Path, spec: CollectionSpec, text: str) -> None:
        """Put *text* in the place of the file of *spec*, without using the engine."""
        pytest.skip(f"raw_write is not given: {spec.kind} is not written around the engine")

    def raw_text(self, tmp_path: Path, spec: CollectionSpec) -> str:
        """Return the text of the file of *spec*, without using the engine."""
        pytest.skip(f"raw_text is not given: {spec.kind} is not read around the engine")

    def raw_damage(self, tmp_path: Path, spec: CollectionSpec, key: str) -> None:
        """Make the record of *key* unreadable on disk, without using the engine."""
        pytest.skip(f"raw_damage is not given: {spec.kind} and {key!r} stay whole")

    @staticmethod
    def complains(read: Callable[[], Any]) -> bool:
        """Tell whether *read* raises `CorruptError`, or goes on with a `CorruptWarning`."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                read()
            except CorruptError:
                return True
        return any(issubclass(each.category, CorruptWarning) for each in caught)

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[Backend]:
        """Give the engine under test over an empty state."""
        backend = self.make(tmp_path)
        yield backend
        backend.close()

    @pytest.fixture
    def notes(self, backend: Backend) -> Collection:
        """Give an empty collection."""
        return backend.collection(NOTES)

    @pytest.fixture(autouse=True)
    def _require_capability(self, request: pytest.FixtureRequest, backend: Backend) -> None:
        skip_undeclared(request, backend)
