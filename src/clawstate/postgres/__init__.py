"""
PostgreSQL as a place that survives: connections, migrations, retries, what moved (decision 065).

The modules below need the extra `postgres`; this one does not, so that whoever only asks whether
there is such an engine pays nothing for it.
"""

from importlib.util import find_spec

from clawstate.errors import MissingExtraError


def require_driver() -> None:
    """Raise `MissingExtraError` unless the driver of PostgreSQL, psycopg 3, is installed."""
    if find_spec("psycopg") is None:
        raise MissingExtraError("postgres", "psycopg, the driver of PostgreSQL,")
