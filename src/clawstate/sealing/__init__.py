"""Secrets as ciphertext: encryption at rest, one field at a time (decision 12)."""

from __future__ import annotations

from clawstate.sealing.ciphertext import is_sealed
from clawstate.sealing.passphrase import asking
from clawstate.sealing.sealer import FieldSealer
from clawstate.sealing.vault import Vault

__all__ = ["FieldSealer", "Vault", "asking", "is_sealed"]
