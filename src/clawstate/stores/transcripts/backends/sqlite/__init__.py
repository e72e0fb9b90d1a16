"""Transcripts as tables of `memory.db`."""
