"""Listings by pages: the options that choose one, and what tells of the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from clawstate.cli.options import COUNT
from clawstate.cli.printing import style
from clawstate.paging import PAGE

C = TypeVar("C", bound=Callable[..., Any])

LIMIT = click.option(
    "--limit", "-k", type=COUNT, default=PAGE, show_default=True, help="How many at most."
)
AFTER = click.option("--after", metavar="CURSOR", help="The page behind the one that told this.")


def page_options(command: C) -> C:
    """Give *command* the options `--limit` and `--after`."""
    return LIMIT(AFTER(command))


def next_page(after: str | None) -> tuple[dict[str, Any], list[str]]:
    """Return what tells programs and people how to get the page *after* (`None`: the last)."""
    # No member at all on the last page: documents of before, without pages, are the same.
    if after is None:
        return {}, []
    return {"next": after}, [style(f"more: --after {after}", dim=True)]
