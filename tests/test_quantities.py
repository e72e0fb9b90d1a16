from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import clawstate
from clawstate.quantities import number_of

PACKAGE = Path(clawstate.__file__).parent
NOUNS = (
    *("bytes", "characters", "changes", "chunks", "copies", "directories", "documents", "elements"),
    *("entries", "events", "files", "findings", "folders", "hits", "lines", "marks", "members"),
    *("messages", "notes", "others", "passages", "places", "profiles", "records", "remarks"),
    *("requests", "rows", "secrets", "sessions", "sources", "tags", "texts", "times", "tokens"),
    *("values", "vectors", "words", "agents", "credentials", "devices", "keys", "levels"),
)
COUNTED = re.compile(rf" (?:(?:more|other|new|old|distinct) )?(?:{'|'.join(NOUNS)})\b")


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ((0, "record"), "0 records"),
        ((1, "record"), "1 record"),
        ((2, "record"), "2 records"),
        ((12_345, "record"), "12,345 records"),
        ((2, "entry"), "2 entries"),
        ((2, "day"), "2 days"),
        ((1, "record waits", "records wait"), "1 record waits"),
        ((1_000, "record waits", "records wait"), "1,000 records wait"),
    ],
)
def test_a_number_stands_with_the_word_that_fits_it(given, written) -> None:
    """One is told in the singular, all else in the plural, thousands with a comma."""
    assert number_of(*given) == written


def _counts(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the values that stand before a plural noun in a text of *module*, with their lines."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, behind in zip(node.values, node.values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue) or not isinstance(behind, ast.Constant):
                continue
            if COUNTED.match(str(behind.value)):
                form = "" if value.format_spec is None else ast.unparse(value.format_spec)[2:-1]
                yield node.lineno, f"{{{ast.unparse(value.value)}{form and ':'}{form}}}"


@pytest.mark.parametrize(
    "module",
    sorted(each for each in PACKAGE.rglob("*.py") if "testing" not in each.parts),
    ids=lambda each: str(each.relative_to(PACKAGE)),
)
def test_counts_are_written_in_one_way(module: Path) -> None:
    """No text counts by itself: `number_of` does; only a bound stands before a plural always."""
    bound = re.compile(r"\{(?:_?[A-Z][A-Z_]+|longest|limit):,\}")

    wrong = [f"{line}: {value}" for line, value in _counts(module) if not bound.fullmatch(value)]

    assert wrong == []
