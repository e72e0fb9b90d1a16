from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.importers.discover import read_passages
from clawstate.importers.passages import Passage, Problem


def markdown(*lines: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": list(lines)}


def code(source: str, *outputs: dict) -> dict:
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": list(outputs)}


def notebook(*cells: dict, **more: object) -> dict:
    language = {"language_info": {"name": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": language, "cells": list(cells)} | more


@pytest.fixture
def items(tmp_path: Path):
    def read(value: object):
        path = tmp_path / "work.ipynb"
        path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
        return list(read_passages(path))

    return read


def test_cells_are_read_under_their_headings(items) -> None:
    """Text, code and what it printed are given, with headings and the number of the cell."""
    shown = {"output_type": "execute_result", "data": {"text/plain": ["42"], "text/html": "<b>"}}
    printed = {"output_type": "stream", "name": "stdout", "text": ["10%\r100%\n", "done\n"]}
    failed = {
        "output_type": "error",
        "ename": "KeyError",
        "evalue": "'x'",
        "traceback": ["\x1b[0m"],
    }

    first, second = items(
        notebook(
            markdown("# Boiler\n", "\n", "It is warm."),
            code("print(6 * 7)", shown, printed, failed),
            markdown("## Pump"),
            code("pump()"),
        )
    )

    assert first == Passage(
        "# Boiler\n\nIt is warm.\n\n```python\nprint(6 * 7)\n```\n\n```\n42\n```\n\n"
        "```\n100%\ndone\n```\n\n```\nKeyError: 'x'\n```",
        heading="Boiler",
        headings=("Boiler",),
        metadata={"cell": 1},
    )
    assert (second.text, second.metadata) == ("## Pump\n\n```python\npump()\n```", {"cell": 3})


def test_front_matter_and_title(items) -> None:
    """The front matter of the first cell, or the title of the notebook, is that of its passages."""
    (front,) = items(
        notebook({"cell_type": "raw", "source": "---\ntitle: Tea\n---"}, markdown("x"))
    )
    (told,) = items(notebook(markdown("x"), metadata={"title": "Coffee"}))

    assert (front.title, front.text, told.title) == ("Tea", "x", "Coffee")


def test_older_notebooks_are_read(items) -> None:
    """Notebooks of format 3 have sheets, cells of headings, and code under another name."""
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Old"]},
        {"cell_type": "code", "input": ["x = 1"], "language": "python",
         "outputs": [{"output_type": "pyout", "text": ["1"]}]},
    ]  # fmt: skip
    (passage,) = items({"nbformat": 3, "metadata": {}, "worksheets": [{"cells": cells}]})

    assert passage.text == "## Old\n\n```python\nx = 1\n```\n\n```\n1\n```"


def test_pictures_and_long_outputs_are_left_out(items) -> None:
    """Pictures give no text; of a long output the beginning stays, and the rest is told."""
    data = base64.b64encode(bytes(range(256)) * 40).decode()
    picture = {"output_type": "display_data", "data": {"image/png": data, "text/plain": "<Figure>"}}
    rows = {"output_type": "stream", "text": [f"row {number}\n" for number in range(1000)]}

    found = items(
        notebook(markdown(f"![x](data:image/png;base64,{data})"), code("plot()", picture, rows))
    )

    text = "".join(each.text for each in found if isinstance(each, Passage))
    told = [each.message for each in found if isinstance(each, Problem)]
    assert data[:70] not in text
    assert "row 39\n…" in text
    assert len(told) == 2
    assert all(each.is_by_rule for each in found if isinstance(each, Problem))


@pytest.mark.parametrize(
    "value",
    [b"{", b"[]", b"null", b"\xff\xfe", b'{"cells": 5}', b"<<<<<<< HEAD\n{}", b"[" * 99_999],
)
def test_what_is_no_notebook_is_told(items, value: bytes) -> None:
    """A file that is cut off or of another kind is one problem."""
    (problem,) = items(value)

    assert "is no notebook" in problem.message


def test_numbers_that_json_has_not_are_no_matter(items) -> None:
    """A chart that holds NaN does not keep the notebook from being read."""
    (passage,) = items(b'{"cells": [{"cell_type": "markdown", "source": "said"}], "x": NaN}')

    assert passage.text == "said"


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from(["code", "markdown"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["cell_type", "source", "outputs", "data", "text/plain", "text", "level"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.lists(VALUES, max_size=5), VALUES)
def test_no_notebook_is_fatal(tmp_path_factory, cells: list, metadata: object) -> None:
    """Whatever stands in cells, reading them raises nothing and gives no empty passage."""
    path = tmp_path_factory.getbasetemp() / "noise.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": metadata}))

    found = list(read_passages(path))

    assert all(each.text.strip() for each in found if isinstance(each, Passage))


@given(st.lists(st.from_regex(r"[a-z#>*` -]{0,9} w[0-9]{1,3}\n?", fullmatch=True), max_size=12))
def test_whole_text_is_kept(tmp_path_factory, sources: list[str]) -> None:
    """Every word of every cell is given, in its order."""
    cells = [markdown(each) if at % 2 else code(each) for at, each in enumerate(sources)]
    path = tmp_path_factory.getbasetemp() / "words.ipynb"
    path.write_text(json.dumps(notebook(*cells)))

    text = "\n".join(each.text for each in read_passages(path) if isinstance(each, Passage))

    wanted = [word for each in sources for word in each.split() if word.startswith("w")]
    assert [word for word in text.split() if word in set(wanted)] == wanted
