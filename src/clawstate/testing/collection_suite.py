"""`CollectionSuite`: the promises of `clawstate.records.contract` as tests of an engine."""
# ruff: noqa: E402 - pytest explains the assertions of modules that it knew before their import

from __future__ import annotations

import pytest

_LAWS = ("record", "part", "value", "view", "order", "sharing", "disk", "lease", "health")
pytest.register_assert_rewrite(*(f"clawstate.testing.collection_{each}_laws" for each in _LAWS))

from clawstate.testing.collection_disk_laws import DiskLaws
from clawstate.testing.collection_health_laws import HealthLaws
from clawstate.testing.collection_hooks import ITEMS, NOTES, OTHERS, RANKED
from clawstate.testing.collection_lease_laws import LeaseLaws
from clawstate.testing.collection_order_laws import OrderLaws
from clawstate.testing.collection_part_laws import PartLaws
from clawstate.testing.collection_record_laws import RecordLaws
from clawstate.testing.collection_sharing_laws import SharingLaws
from clawstate.testing.collection_value_laws import ValueLaws
from clawstate.testing.collection_view_laws import ViewLaws

__all__ = ["ITEMS", "NOTES", "OTHERS", "RANKED", "CollectionSuite"]


class CollectionSuite(
    RecordLaws,
    PartLaws,
    ValueLaws,
    ViewLaws,
    OrderLaws,
    SharingLaws,
    DiskLaws,
    LeaseLaws,
    HealthLaws,
):
    """
    Every law that an engine of records must keep; to be run by pytest.

    A subclass gives `make`, and what else of `CollectionHooks` it can: `reopen` when opening again
    needs more than `make`, and the `raw_` methods, which go around the engine on purpose, so that
    an error in writing and one in reading cannot cancel out.

    .. code-block:: python

        class TestMyEngine(CollectionSuite):
            def make(self, tmp_path):
                return MyBackend(tmp_path / "records.db")

    Laws of a `Capability` that the engine does not declare are skipped by name. The collections
    are those of `NOTES` (a whole document), `OTHERS` (a section), `ITEMS` (a list) and `RANKED`
    (with an order).
    """
