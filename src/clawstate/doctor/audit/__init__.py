"""The audit of secrets: which are not encrypted, where copies are, and who may read them."""

from __future__ import annotations

from clawstate.doctor.audit.examination import audit
from clawstate.doctor.audit.report import Exposure, Report

__all__ = ["Exposure", "Report", "audit"]
