"""Values that may be forgotten at any time without a loss."""
