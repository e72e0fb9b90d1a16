"""The page about the HTTP operations is what the gateway says of itself."""

from __future__ import annotations

from pathlib import Path

from clawstate.gateway.reference import reference_text

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http.md"


def test_the_page_is_what_the_operations_say() -> None:
    """The reference is made from the OpenAPI document; `make docs` writes it."""
    assert PAGE.read_text() == reference_text()
