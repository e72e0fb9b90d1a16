"""The web UI: its files, and the routes that serve them."""
