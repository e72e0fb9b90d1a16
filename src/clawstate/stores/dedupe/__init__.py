"""The marks of what was handled already (specification, "Persistent Dedupe")."""

from clawstate.stores.dedupe.expiry import marks_spec
from clawstate.stores.dedupe.namespaces import EarlierMarks, NamespaceIndex, RecordedNames
from clawstate.stores.dedupe.service import PersistentDedupe
from clawstate.stores.dedupe.settings import DedupeSettings
from clawstate.stores.dedupe.statistics import DedupeStatistics, NamespaceStatistics

__all__ = [
    "DedupeSettings",
    "DedupeStatistics",
    "EarlierMarks",
    "NamespaceIndex",
    "NamespaceStatistics",
    "PersistentDedupe",
    "RecordedNames",
    "marks_spec",
]
