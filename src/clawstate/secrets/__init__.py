"""References to secrets, the providers that keep them, and copies that may be shown."""
