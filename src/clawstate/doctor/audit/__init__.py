"""The audit of secrets: what lies in the clear, where else it lies, and who may read it."""

from __future__ import annotations

from clawstate.doctor.audit.examination import audit
from clawstate.doctor.audit.report import Exposure, Report

__all__ = ["Exposure", "Report", "audit"]
