"""`MemoryEngineSuite`: the promises of `MemoryEngine` as tests of an engine."""
# ruff: noqa: E402 - pytest explains the assertions of modules that it knew before their import

from __future__ import annotations

import pytest

_LAWS = (
    *("record", "listing", "search", "import", "reembed", "version", "move", "past", "retention"),
    "duplicate",
)
pytest.register_assert_rewrite(*(f"clawstate.testing.memory_{each}_laws" for each in _LAWS))

from clawstate.testing.memory_duplicate_laws import DuplicateLaws
from clawstate.testing.memory_import_laws import ImportLaws
from clawstate.testing.memory_listing_laws import ListingLaws
from clawstate.testing.memory_map_laws import MapLaws
from clawstate.testing.memory_move_laws import MoveLaws
from clawstate.testing.memory_past_laws import PastLaws
from clawstate.testing.memory_record_laws import RecordLaws
from clawstate.testing.memory_reembed_laws import ReembedLaws
from clawstate.testing.memory_retention_laws import RetentionLaws
from clawstate.testing.memory_search_laws import SearchLaws
from clawstate.testing.memory_version_laws import VersionLaws

__all__ = ["MemoryEngineSuite"]


class MemoryEngineSuite(
    RecordLaws,
    ListingLaws,
    SearchLaws,
    ImportLaws,
    ReembedLaws,
    VersionLaws,
    MoveLaws,
    PastLaws,
    RetentionLaws,
    MapLaws,
    DuplicateLaws,
):
    """
    Every law that an engine of memory must keep; to be run by pytest.

    A subclass gives `make`, and `raw_texts`, which goes around the engine on purpose, so that an
    error in writing and one in reading cannot cancel out.

    .. code-block:: python

        class TestMyEngine(MemoryEngineSuite):
            def make(self, tmp_path, clock):
                return MyMemory(tmp_path / "memory", clock=clock)

    Laws of a `Capability` that the engine does not declare are skipped by name.
    """
