"""The authorization server of `/mcp` (OAuth 2.1; decision 062): its consent is a pairing."""
