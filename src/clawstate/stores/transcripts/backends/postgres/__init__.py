"""Transcripts as tables of PostgreSQL."""
