from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.cli.config_excerpt import Excerpts

MARKS = [*"{}[],:'\"\\1é\n\t ", "\r\n", "//", "/*", "*/"]
WORDS = st.sampled_from([*MARKS, "token", "a.b", "true", "WORD", '"WORD"'])


@given(words=st.lists(WORDS, max_size=30), place=st.tuples(st.integers(1, 6), st.integers(1, 40)))
def test_an_excerpt_of_any_text_can_be_made(words: list[str], place: tuple[int, int]) -> None:
    """Whatever the text and the place, the excerpt is one line with the offset within."""
    excerpt = Excerpts("".join(words)).at(*place, width=40)

    if excerpt is not None:
        assert "\n" not in excerpt.line
        assert len(excerpt.line) <= 40
        assert 0 <= excerpt.offset <= len(excerpt.line)


@pytest.mark.parametrize(
    "line",
    [
        'token: "SECRET",',
        "token: 'SECRET',",
        "tokn: 'SECRET', // SECRET",
        "token: SECRET",
        "token: SECRET, a: SECRET:SECRET",
        "token: 12345, pass: SEC'RET",
        'token: "SECRET',
        "/* SECRET */ a: 1,",
        "token: 123456:SECRET,",
        'list: ["SECRET", SECRET]',
        "token: 4711SECRET",
    ],
)
def test_an_excerpt_shows_no_value(line: str) -> None:
    """Neither values nor comments of a line are shown, also where it is no JSON5."""
    excerpt = Excerpts(f"{{\n  {line}\n}}").at(2, 4, width=80)

    assert excerpt is not None
    assert "SECRET" not in excerpt.line
    assert "12345" not in excerpt.line


def test_an_excerpt_knows_where_long_words_began() -> None:
    """The end of a comment or text that began on an earlier line is not shown."""
    text = '/* a\nSECRET: */ b: "x\\\nSECRET: ", c: 5'

    shown = [Excerpts(text).at(line, 1, width=80) for line in (2, 3)]

    assert [each and each.line for each in shown] == ["… b: …", "…, c: 5"]


def test_a_long_line_is_cut_around_the_place() -> None:
    """Of a line without end, the part around the place is shown, and the offset fits."""
    text = "{" + ", ".join(f"key{number}: {number}" for number in range(500)) + "}"
    column = text.index("key250") + 1

    excerpt = Excerpts(text).at(1, column, width=60)

    assert excerpt is not None
    assert len(excerpt.line) == 60
    assert excerpt.line[excerpt.offset :].startswith("key250: 250")


def test_a_value_on_a_long_line_is_not_shown() -> None:
    """Wherever a line without end is entered, texts, comments and numbers of secrets are cut."""
    text = "{" + ", ".join(
        f'k{n}: ["SECRET, a: SECRET", 123456] /* {{ SECRET, */' for n in range(99)
    )
    excerpts = Excerpts(text + "}")

    for column in range(1, len(text), 7):
        excerpt = excerpts.at(1, column, width=70)
        assert excerpt is not None
        assert "SECRET" not in excerpt.line
        assert "123456" not in excerpt.line
        assert len(excerpt.line) <= 70
