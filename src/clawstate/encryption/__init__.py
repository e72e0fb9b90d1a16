"""Secrets as ciphertext: encryption at rest, one field at a time (decision 12)."""

from __future__ import annotations

from clawstate.encryption.ciphertext import is_sealed
from clawstate.encryption.key_store import KeyStore
from clawstate.encryption.passphrase import ask_with
from clawstate.encryption.sealer import FieldSealer

__all__ = ["FieldSealer", "KeyStore", "ask_with", "is_sealed"]
