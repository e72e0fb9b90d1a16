"""The gateway: a state over HTTP, for pages, phones and other programs (decision 057)."""
