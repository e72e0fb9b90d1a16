from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clawstate.memory.query_words import word_query
from clawstate.snippets import pieces, snippet
from clawstate.sqlite.words import stems

WORDS = st.sampled_from(
    [
        "tea",
        "teapot",
        "waters",
        "watering",
        "Water",
        "naïve",
        "寒い",
        "the",
        "of",
        "garden",
        "…",
        "\n",
        "x" * 30,
    ]
)
TEXTS = st.lists(WORDS, min_size=1, max_size=60).map(" ".join) | st.text(max_size=400)
TERMS = st.lists(TEXTS, max_size=5)
WIDTHS = st.integers(1, 200)


def folded(text: str) -> str:
    return " ".join(text.split())


def marked(text: str, terms: tuple[str, ...], width: int = 200) -> list[str]:
    return [piece for piece, is_match in pieces(*snippet(text, terms, width=width)) if is_match]


@given(text=TEXTS, terms=TERMS, width=WIDTHS)
def test_a_snippet_is_a_part_of_the_text(text: str, terms: list[str], width: int) -> None:
    """A snippet is a part of the folded text, with an ellipsis where it was cut."""
    shown, _ = snippet(text, terms, width=width)

    cuts = {shown[begin : len(shown) - end] for begin in (0, 1) for end in (0, 1)}
    assert any(cut in folded(text) for cut in cuts)
    if shown not in folded(text):
        assert "…" in {shown[0], shown[-1]}


@given(text=TEXTS, terms=TERMS, width=WIDTHS)
def test_a_snippet_keeps_its_width(text: str, terms: list[str], width: int) -> None:
    """No more than the width is shown, besides the ellipses; a text that fits is shown whole."""
    shown, _ = snippet(text, terms, width=width)

    assert len(shown) <= width + 2
    if len(folded(text)) <= width:
        assert shown == folded(text)


@given(text=TEXTS, terms=TERMS, width=WIDTHS)
def test_only_words_of_the_terms_are_marked(text: str, terms: list[str], width: int) -> None:
    """What is marked is made of forms of words that stand in the terms."""
    asked = {stem for term in terms for stem in stems(term)}

    for piece in marked(text, tuple(terms), width):
        assert asked.issuperset(stems(piece))


@given(text=TEXTS, terms=TERMS, width=WIDTHS)
def test_pieces_make_a_whole(text: str, terms: list[str], width: int) -> None:
    """The pieces of a snippet join to it; none is empty, and none holds a line break."""
    shown, matches = snippet(text, terms, width=width)

    found = [piece for piece, _ in pieces(shown, matches)]

    assert "".join(found) == shown
    assert all(piece and "\n" not in piece for piece in found)


def test_a_snippet_shows_why_the_text_was_found() -> None:
    """Of a long text the part with most of the query's words is shown."""
    text = "filler " * 100 + "the boiler was serviced in October " + "filler " * 100
    terms = word_query("when was the boiler serviced?").terms

    shown, _ = snippet(text, terms, width=60)

    assert marked(text, terms, 60) == ["boiler", "serviced"]
    assert shown[0] == shown[-1] == "…"


def test_forms_of_a_word_are_marked() -> None:
    """Plural and inflected forms of a query's words count as those words, function words do not."""
    terms = word_query("water the gardens").terms

    found = marked("the waters of the watering garden", terms)

    assert found == ["waters", "watering", "garden"]


def test_a_term_of_several_words_is_marked_where_they_stand_together() -> None:
    """Words of a phrase are marked side by side, and none of them alone."""
    found = marked("a kettle of tea, and the tea kettle", ("tea kettle",))

    assert found == ["tea", "kettle"]
