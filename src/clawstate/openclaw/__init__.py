"""What a real OpenClaw keeps in a state directory: whose it is, and its databases, read-only."""
