"""Engines behind `Memory`; they do not know each other."""
