"""What is wrong with a state, and mending it: a module for each kind of finding."""

from clawstate.doctor.examination import examine, mend, salvage
from clawstate.health import Finding, Severity

__all__ = ["Finding", "Severity", "examine", "mend", "salvage"]
