"""The engines of transcripts."""
