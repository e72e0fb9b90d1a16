"""The sessions of a state (specification section 3): which conversations there are."""

from clawstate.stores.sessions.archive import Archived
from clawstate.stores.sessions.entry import SessionEntry
from clawstate.stores.sessions.selection import MaintenanceSettings, Pruned
from clawstate.stores.sessions.service import Sessions

__all__ = ["Archived", "MaintenanceSettings", "Pruned", "SessionEntry", "Sessions"]
