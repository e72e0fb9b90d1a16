"""The configuration: how its text is read by key path and changed without losing a comment."""
