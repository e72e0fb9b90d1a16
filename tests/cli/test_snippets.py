from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from clawstate.cli.snippets import snippet

WORDS = st.sampled_from(
    [
        "tea",
        "teapot",
        "waters",
        "watering",
        "Water",
        "naïve",
        "the",
        "of",
        "garden",
        "…",
        "\n",
        "x" * 30,
    ]
)
TEXTS = st.lists(WORDS, min_size=1, max_size=60).map(" ".join) | st.text(max_size=400)
WIDTHS = st.integers(1, 200)


def folded(text: str) -> str:
    return " ".join(text.split())


def body(pieces: list[tuple[str, bool]]) -> str:
    return "".join(text for text, _ in pieces)


@given(text=TEXTS, query=TEXTS, width=WIDTHS)
def test_a_snippet_is_a_part_of_the_text(text: str, query: str, width: int) -> None:
    """The pieces join to a part of the folded text, with an ellipsis where it was cut."""
    shown = body(snippet(text, query, width=width))

    cuts = {shown[begin : len(shown) - end] for begin in (0, 1) for end in (0, 1)}
    assert any(cut in folded(text) for cut in cuts)
    if shown not in folded(text):
        assert "…" in {shown[0], shown[-1]}


@given(text=TEXTS, query=TEXTS, width=WIDTHS)
def test_a_snippet_keeps_its_width(text: str, query: str, width: int) -> None:
    """No more than the width is shown, besides the ellipses; a text that fits is shown whole."""
    shown = body(snippet(text, query, width=width))

    assert len(shown) <= width + 2
    if len(folded(text)) <= width:
        assert shown == folded(text)


@given(text=TEXTS, query=TEXTS, width=WIDTHS)
def test_only_words_of_the_query_are_highlighted(text: str, query: str, width: int) -> None:
    """A highlighted piece is a whole word of the text and a form of a word of the query."""
    asked = re.findall(r"\w+", query.lower())

    for piece, is_match in snippet(text, query, width=width):
        if is_match:
            word = piece.lower()
            assert piece in re.findall(r"\w+", folded(text))
            assert any(word == each or word[:4] == each[:4] for each in asked)


@given(text=TEXTS, width=WIDTHS)
def test_no_piece_is_empty(text: str, width: int) -> None:
    """Pieces are never empty and never hold a line break."""
    for piece, _ in snippet(text, "tea", width=width):
        assert piece
        assert "\n" not in piece


def test_a_snippet_shows_why_the_text_was_found() -> None:
    """Of a long text the part with most of the query's words is shown."""
    text = "filler " * 100 + "the boiler was serviced in October " + "filler " * 100

    pieces = snippet(text, "when was the boiler serviced?", width=60)

    assert [text for text, is_match in pieces if is_match] == ["boiler", "serviced"]
    assert pieces[0] == ("…", False)
    assert pieces[-1] == ("…", False)


def test_forms_of_a_word_are_highlighted() -> None:
    """Plural and inflected forms of a query's words count as those words, function words do not."""
    pieces = snippet("the waters of the watering garden", "water the gardens", width=80)

    assert [text for text, is_match in pieces if is_match] == ["waters", "watering", "garden"]
