from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawstate.importers.markdown import read_markdown
from clawstate.importers.passages import MAXIMUM_LENGTH, Item, Passage
from clawstate.importers.plain_text import read_plain_text, text_pieces

Reader = Callable[[Path], Iterator[Item]]

_words = st.sampled_from(
    ["tide", "boat", "e\u0301", "\U0001f1e8\U0001f1ed", "Ende.", "港。", "x" * 700]
)
_sentences = st.lists(_words, min_size=1, max_size=40).map(" ".join)
_starts = st.sampled_from(
    [
        "",
        "# ",
        "## ",
        "- ",
        "12. ",
        "> ",
        "    ",
        "\t",
        "  ",
        "| ",
        "```",
        "~~~",
        "<!--",
        "-->",
        "<pre>",
    ]
)
_whole = st.sampled_from(
    ["", "", " ", "\t", "---", "===", "***", "```", "~~~~", "-->", "|-|-|", "#", "- ", " " * 2000]
)
_lines = st.one_of(_whole, st.builds("".join, st.tuples(_starts, _sentences)), st.text(max_size=30))
_texts = st.lists(_lines.map(lambda line: line.replace("\0", "")), max_size=60).map("\n".join)


def read(reader: Reader, text: str, end: str) -> tuple[list[str], list[Passage]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "page")
        data = text.encode("utf-8", "ignore")
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode().split("\n")
        path.write_bytes("\n".join(lines).replace("\n", end).encode())
        passages = list(reader(path))
    assert all(isinstance(each, Passage) for each in passages)
    return lines, passages


@pytest.mark.parametrize("reader", [read_markdown, read_plain_text])
@settings(max_examples=150, deadline=None)
@given(text=_texts, end=st.sampled_from(["\n", "\r\n", "\r"]))
def test_every_line_is_in_the_passages_once_and_in_order(
    reader: Reader, text: str, end: str
) -> None:
    """The passages hold all that is not blank, in order and once, in the lines they name."""
    lines, passages = read(reader, ".\n" + text, end)

    assert "".join("".join(each.text.split()) for each in passages) == "".join(text_of(lines))
    for each in passages:
        assert 0 < len(each.text) <= MAXIMUM_LENGTH
        assert each.text in "\n".join(lines[each.start_line - 1 : each.end_line])
    assert [each.position for each in passages] == list(range(len(passages)))


@pytest.mark.parametrize("reader", [read_markdown, read_plain_text])
@settings(max_examples=100, deadline=None)
@given(text=_texts)
def test_passage_is_its_lines(reader: Reader, text: str) -> None:
    """A passage that shares no line with a neighbour is exactly its lines, and ranges ascend."""
    lines, passages = read(reader, ".\n" + text, "\n")

    assert all(a.end_line <= b.start_line for a, b in pairwise(passages))
    ends = [0, *(each.end_line for each in passages)]
    starts = [*(each.start_line for each in passages), 0][1:]
    for each, end_before, start_after in zip(passages, ends, starts, strict=False):
        whole = "\n".join(lines[each.start_line - 1 : each.end_line])
        if each.start_line != end_before and each.end_line != start_after:
            assert each.text.strip() == whole.strip()


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=30).flatmap(lambda t: st.integers(1, 300).map(lambda n: t * n)))
def test_pieces_of_a_message_lose_nothing(text: str) -> None:
    """Cutting a message leaves out white space only."""
    assert "".join("".join(text_pieces(text)).split()) == "".join(text.split())


def text_of(lines: list[str]) -> list[str]:
    return ["".join(line.split()) for line in lines]
