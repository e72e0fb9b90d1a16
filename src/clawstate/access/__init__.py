"""Who may be let in, and to what: ids, names, keys, roles and scopes of devices."""
