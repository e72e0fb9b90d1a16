"""Secrets as ciphertext: encryption at rest, one field at a time."""
