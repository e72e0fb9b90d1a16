"""What OpenClaw kept in files, taken over into a state of clawstate."""

from __future__ import annotations

from clawstate.importers.openclaw.report import KINDS, LEFT, Count, Outcome, Remark, Report
from clawstate.importers.openclaw.run import import_openclaw

__all__ = ["KINDS", "LEFT", "Count", "Outcome", "Remark", "Report", "import_openclaw"]
