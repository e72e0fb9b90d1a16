"""Whether PDF can be read here, and what it takes: a look, without what reads it."""

from __future__ import annotations

from importlib.util import find_spec

INSTALL = "pip install 'clawstate[documents]'"
"""What brings the library that reads PDF."""


def can_read_pdf() -> bool:
    """Tell whether the library that reads PDF is installed (the extra `documents`)."""
    try:
        return find_spec("pypdf") is not None
    except (ImportError, ValueError):
        return False
