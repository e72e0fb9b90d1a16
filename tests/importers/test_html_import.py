from __future__ import annotations

import html
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clawstate
from clawstate.importers import html_tokens
from clawstate.importers.discover import read_passages
from clawstate.importers.html_tokens import Tokens
from clawstate.importers.passages import MAXIMUM_LENGTH, Passage, Problem
from clawstate.importers.sync import import_paths


@pytest.fixture
def items(tmp_path: Path):
    def read(page: str | bytes, *, name: str = "page.html"):
        path = tmp_path / name
        path.write_bytes(page if isinstance(page, bytes) else page.encode())
        return list(read_passages(path))

    return read


@pytest.fixture
def texts(items):
    return lambda page: [each.text for each in items(page) if isinstance(each, Passage)]


PAGE = """<!DOCTYPE html>
<html lang=en><!-- saved from url=(0026)https://example.org/boiler -->
<head><meta charset="utf-8"><title>Boiler &amp; pump</title>
<meta name="description" content="How the boiler works">
<meta property="article:published_time" content="2024-05-04T10:00:00Z">
<style>p { color: red }</style><script>document.write("<p>never</p>")</script></head>
<body><nav><a href="/">Home</a></nav>
<h1>The boiler<a href="#boiler">¶</a></h1><p>Turn   the <b>left</b> knob<br>twice.
<h2>Parts</h2><ul><li>valve<ul><li>inner</ul><li>pump</ul>
<p hidden>never</p><button>Copy</button><noscript>never</noscript>
</body></html>"""


def test_a_page_gives_its_text_under_its_headings(items) -> None:
    """Title, description, date, address and headings are told; scripts and menus are not."""
    first, second = items(PAGE)

    assert first == Passage(
        "# The boiler\n\nTurn the left knob\ntwice.",
        heading="Boiler & pump > The boiler",
        title="Boiler & pump",
        headings=("The boiler",),
        names=("How the boiler works",),
        created_at=1714816800.0,
        metadata={"url": "https://example.org/boiler"},
    )
    assert second.text == "## Parts\n\n- valve\n  - inner\n- pump"
    assert second.headings == ("The boiler", "Parts")


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<table><tr><th>A<th>B<tr><td>1<td><p>2", "| A | B |\n| --- | --- |\n| 1 | 2 |"),
        ("<table><tr><td>a<td>b</tr><tr><td>only</table>", "| a | b |\nonly"),
        ("<table><tr><td><h2>Left</h2>text<td>right</table>", "## Left\n\ntext\n\nright"),
        ("<table><tr><td><table><tr><td>1<td>2</table></table>", "| 1 | 2 |"),
        ("<pre>\n  a\n    b\n</pre>", "```\n  a\n    b\n```"),
        ("<ol><li>one<li>two<p>more</ol>", "1. one\n2. two\n   more"),
        ("<dl><dt>term<dd>what it is</dl>", "- term\n  what it is"),
        ("<blockquote><p>said</blockquote>after", "> said\n\nafter"),
        ("<ul><li><input type=checkbox checked>done<li><input type=checkbox>open</ul>",
         "- [x] done\n- [ ] open"),
        ("a<img alt='a cat' src='data:image/png;base64,AAAA'>b", "a a cat b"),
        ("<p>a&nbsp;&nbsp;b &lt;c&gt; &#228;&#x4e2d;&copy", "a b <c> ä中©"),
        ("<ruby>漢<rt>かん</rt></ruby>字", "漢(かん)字"),
    ],
)  # fmt: skip
def test_what_elements_look_like(texts, page: str, text: str) -> None:
    """Tables, lists, code, quotes, pictures and entities are given as a reader would write them."""
    assert texts(page) == [text]


@pytest.mark.parametrize(
    "page",
    [
        "<nav>menu<p>kept",
        "<div><nav>menu</div><p>kept",
        "<div hidden><b>kept",
        "<b><nav>x</b></nav>kept",
        "<title>kept<p>more</p>",
        "<!-- kept <p>kept",
        "kept <a href='x",
        "kept < 3",
        "<p kept",
        "</p></div></nothing>kept",
        "<table><tr><td>kept",
        "<pre>kept",
        "<ul><li>kept",
        "<h1>kept",
        "<svg><title>x</title></svg>kept",
        "<script>never</script>kept",
        "kept<script>never",
        "<nav>kept: menus are all there is</nav>",
        "<body>ke\0pt",
        "<?php never ?><p>kept",
        "<![CDATA[x]]>kept",
        "&#99999999999999;kept",
        "<p style='color:red; display: none'>never</p>kept",
    ],
)
def test_broken_pages_lose_nothing(items, page: str) -> None:
    """What is never closed, or closed twice, hides no text behind it."""
    told = [each for each in items(page) if isinstance(each, Passage)]

    assert any("kept" in f"{each.text} {each.title}" for each in told)
    assert not any("never" in each.text for each in told)


def test_parts_beside_the_main_text_are_left_out(texts) -> None:
    """Where a page names its main text, a footer or an aside of the site is not part of it."""
    beside = "<aside>adverts</aside><footer>imprint</footer>"

    assert texts(f"{beside}<main>said<aside>a note</aside></main>") == ["said\n\na note"]
    assert texts(f"<p>said</p>{beside}") == ["said\n\nadverts\n\nimprint"]


@pytest.mark.parametrize(
    ("page", "charset"),
    [
        ("<meta charset=iso-8859-1><p>{}", "cp1252"),
        ("<meta http-equiv=Content-Type content='text/html; charset=windows-1251'><p>{}", "cp1251"),
        ("<?xml version='1.0' encoding='Shift_JIS'?><html><p>{}", "cp932"),
        ("<meta charset='gb2312'><p>{}", "gb18030"),
        ("<meta charset=utf-16><p>{}", "utf-8"),
        ("<meta charset=windows-1252><p>{}", "utf-8"),
        ("<meta charset=gbk><p>{}", "utf-8-sig"),
        ("<meta charset=utf-7><p>{}", "utf-8"),
        ("<meta charset=unicode_escape><p>{}", "utf-8"),
        ("<p>{}", "utf-8"),
        ("<p>{}", "utf-8-sig"),
        ("<p>{}", "utf-16"),
        ("<meta charset=utf-8><p>{}", "cp1252"),
    ],
)
def test_charsets(texts, page: str, charset: str) -> None:
    """The charset is that of the mark, else the declared one, else the one that fits."""
    text = {"cp1251": "Привет, мир", "cp932": "日本語です", "gb18030": "中文网页"}.get(
        charset, "Café zu öffnen: “so”"
    )

    assert texts(page.format(text).encode(charset)) == [text]


def test_a_page_that_was_saved_anew_is_read_as_it_is(texts) -> None:
    """A page of UTF-8 that declares what it was before is read as UTF-8, if it has many letters."""
    text = "这是一个用新的编码保存的中文网页"

    assert texts(f"<meta charset=gb2312><p>{text}") == [text]
    assert texts("<meta charset=gb2312><p>联通".encode("gb18030")) == ["联通"]


def test_damage_is_told(items) -> None:
    """Bytes that are none of the charset are replaced, and told with their line."""
    page = "<meta charset=utf-8><p>größer\n".encode() + b"caf\xe9" + " für Mäuse".encode()

    passage, problem = sorted(items(page), key=lambda each: isinstance(each, Problem))

    assert passage.text == "größer caf\ufffd für Mäuse"
    assert (problem.line, problem.is_by_rule) == (2, False)


def test_what_is_no_page_is_told(items) -> None:
    """A page without text is left out by rule; a picture with the name of one has failed."""
    (empty,) = items("<html><body><script>app()</script></body></html>")
    (binary,) = items(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4 + b"\0" * 40)

    assert (empty.is_by_rule, binary.is_by_rule) == (True, False)
    assert "binary" in binary.message
    assert items("") == []


def test_a_page_without_its_suffix_is_known(items) -> None:
    """A file of another name that begins as a page does is read as one."""
    assert items("<!doctype html><p>said", name="page.php") == [Passage("said")]


TAGS = ("p", "div", "nav", "table", "tr", "td", "ul", "li", "h2", "b", "a", "pre", "main", "footer")
PIECES = st.one_of(
    st.sampled_from([f"<{name}>" for name in TAGS] + [f"</{name}>" for name in TAGS]),
    st.sampled_from(["<!--", "-->", "<", ">", "<a href='", '"', "&", "&#", "</", "<br/>", "<hr>"]),
    st.from_regex(r"w[0-9]{1,3} ", fullmatch=True),
    st.text(max_size=5),
)


@given(st.lists(PIECES, max_size=40))
def test_no_page_is_fatal_wherever_its_parts_end(pieces: list[str]) -> None:
    """Any signs give the same tokens, whether they come at once or one by one."""
    page = "".join(pieces)
    whole, parts = Tokens(), Tokens()

    at_once = list(whole.feed(page, is_last=True))
    one_by_one = [each for sign in page for each in parts.feed(sign)]
    one_by_one += parts.feed("", is_last=True)

    assert _joined(one_by_one) == _joined(at_once)


def _joined(tokens: list) -> list:
    joined: list = []
    for each in tokens:
        if isinstance(each, str) and joined and isinstance(joined[-1], str):
            joined[-1] += each
        else:
            joined.append(each)
    return joined


@given(st.lists(st.one_of(st.sampled_from([f"<{name}>" for name in TAGS if name != "nav"]),
                          st.sampled_from([f"</{name}>" for name in TAGS]),
                          st.from_regex(r" w[0-9]{1,4} ", fullmatch=True)),
                max_size=60))  # fmt: skip
def test_whole_text_is_kept(tmp_path_factory: pytest.TempPathFactory, pieces: list[str]) -> None:
    """Every word of a page without menus is given, in its order, however its tags nest."""
    page = "".join(each for each in pieces if "main" not in each and "footer" not in each)
    path = tmp_path_factory.getbasetemp() / "noise.html"
    path.write_text(page)

    passages = [each for each in read_passages(path) if isinstance(each, Passage)]

    words = re.findall(r"w[0-9]+", re.sub(r"<[^>]*>", " ", page))
    assert re.findall(r"w[0-9]+", "\n".join(each.text for each in passages)) == words
    assert all(len(each.text) <= MAXIMUM_LENGTH for each in passages)


def test_a_script_or_picture_of_any_length_is_left_out(monkeypatch) -> None:
    """What is longer than is kept at once is dropped all the same, up to where it ends."""
    monkeypatch.setattr(html_tokens, "_LONGEST", 1000)
    tokens = Tokens()
    parts = ["a<script>", *["x<b>'" * 100] * 50, "</scr", "ipt>b<img src='data:",
             *["AAAA" * 100] * 50, "'>c<img alt=", *["BBBB" * 100] * 50, ">d"]  # fmt: skip

    found = [each for part in parts for each in tokens.feed(part)]
    found += tokens.feed("", is_last=True)

    assert "".join(each for each in found if isinstance(each, str)) == "abcd"


HOSTILE = ("<", "<a ", '<a "', "<a '\"", "<a b='>", "<!--", "</", "<script", "<script></scr",
           "<?", "&", "&#", "<div>", "<nav>", "<b><div>", "</i>", "<td>", "<ul><li>",
           "<a href=x", "<table>", "<i><p></i>", "<title>")  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_with_the_length_alone(items, piece: str) -> None:
    """Four times as much of what is never closed takes no more than some four times as long."""
    durations = []
    for count in (10_000, 40_000):
        begun = time.process_time()
        items(piece * count + "<p>kept")
        durations.append(time.process_time() - begun)

    assert durations[1] < 10 * durations[0] + 0.5


@pytest.mark.parametrize("inner", ["<p>x</p>", "<b>x</b>", "</i>", "<li>x", "<tr><td>x", "<nav>x"])
@pytest.mark.parametrize("outer", ["<div>", "<ul>", "<table>", "<b>", "<nav>", "<blockquote>"])
def test_depth_costs_no_more_than_length(items, outer: str, inner: str) -> None:
    """Many elements within many others take no more time than the same side by side."""
    durations = []
    for page in (f"{outer}{inner}" * 8000, outer * 8000 + inner * 8000):
        begun = time.process_time()
        items(page)
        durations.append(time.process_time() - begun)

    assert durations[1] < 8 * durations[0] + 0.5


def test_a_page_is_followed_as_a_note_is(tmp_path: Path) -> None:
    """A page that moved keeps what was done to its passages; its saved parts are not taken."""
    folder = tmp_path / "pages"
    (folder / "boiler_files").mkdir(parents=True)
    (folder / "boiler.html").write_text(PAGE)
    (folder / "boiler_files" / "frame.html").write_text("<p>advert")
    with clawstate.open(tmp_path / "state") as state:
        memory = state.memory
        added = import_paths(memory, [folder])
        first, second = memory.records()
        memory.update(first.id, tags=["mine"])
        memory.delete(second.id)
        (folder / "boiler.html").rename(folder / "heating.html")
        (folder / "boiler_files").rename(folder / "heating_files")

        moved = import_paths(memory, [folder])
        page = html.unescape(PAGE).replace("Turn", "Always turn")
        (folder / "heating.html").write_text(page)
        import_paths(memory, [folder])

        assert (added.added, moved.moved, moved.added) == (2, 1, 0)
        (kept,) = memory.records()
        assert (kept.tags, kept.source) == (("mine",), str(folder / "heating.html"))
        assert "Always turn" in kept.text
