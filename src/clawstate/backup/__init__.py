"""Backups that are proven: made while others write, and verified by restoring and asking."""

from clawstate.backup.creating import create
from clawstate.backup.manifest import Backup, Manifest
from clawstate.backup.restoring import Restored, restore
from clawstate.backup.verifying import Verification, verify

__all__ = [
    "Backup",
    "Manifest",
    "Restored",
    "Verification",
    "create",
    "restore",
    "verify",
]
