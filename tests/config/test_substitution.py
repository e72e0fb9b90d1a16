from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clawstate.config.substitution import (
    Missing,
    Substitution,
    references,
    substitute,
    substitute_text,
)

CANARY = "sk-canary-91ce"
ENV = {"A": "1", "B_2": "two", "_C": "c", "EMPTY": "", "TRICK": "${A} $${A}"}
TEXTS = st.text(st.sampled_from("${}ABa_1 ") | st.characters(codec="utf-8"), max_size=30)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("${A}", "1"),
        ("x${A}y${B_2}${_C}", "x1ytwoc"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$${A}${A}", "${A}1"),
        ("$$ $x $", "$$ $x $"),
        ("${a} ${Aa} ${1A} ${} ${A", "${a} ${Aa} ${1A} ${} ${A"),
        ("${ A }", "${ A }"),
        ("${A-default} ${A:x}", "${A-default} ${A:x}"),
        ("${${A}}", "${1}"),
        ("$A {A}", "$A {A}"),
        ("${Ä}", "${Ä}"),
        ("${TRICK}", "${A} $${A}"),
    ],
)
def test_rule_of_one_text(template: str, expected: str) -> None:
    """Names of capitals are replaced once, escapes lose a sign, and all else stays."""
    assert substitute(template, ENV).value == expected


def escape(text: str) -> str:
    """Return the template that means exactly *text*, whatever the environment."""
    return re.sub(r"\$\$?\{[A-Z_][A-Z0-9_]*\}", lambda match: f"${match[0]}", text)


@example("$${A}")
@example("$$${A}${B}")
@given(TEXTS)
def test_escaped_text_means_itself(text: str) -> None:
    """What was escaped comes back exactly, refers to nothing and needs no variable."""
    assert substitute_text(escape(text), {}) == (text, (), ())


@given(st.lists(TEXTS.map(escape) | st.sampled_from(["${A}", "${B_2}"]), max_size=8))
def test_every_reference_is_replaced_where_it_stands(parts: list[str]) -> None:
    """Text around a reference neither hides nor changes it, unless it ends in a dollar sign."""
    separated = [f"{part}." for part in parts]

    whole = substitute("".join(separated), ENV).value

    assert whole == "".join(substitute(part, ENV).value for part in separated)


def test_names_are_those_of_the_references() -> None:
    """A text knows which variables it needs, each once, without the escaped ones."""
    assert references("${A} $${B} ${C}${A} ${d}") == ("A", "C")


def test_tree_is_replaced_in_values_only() -> None:
    """Strings at any depth are replaced; keys, numbers and the template itself are not."""
    tree = {"${A}": ["${A}", {"k": "x${B_2}"}], "n": 1, "none": None, "plain": {"x": "y"}}

    result = substitute(tree, ENV)

    assert result.value == {"${A}": ["1", {"k": "xtwo"}], "n": 1, "none": None, "plain": {"x": "y"}}
    assert tree["${A}"] == ["${A}", {"k": "x${B_2}"}]
    assert result.missing == ()


def test_what_was_replaced_is_remembered() -> None:
    """Each path that changed keeps its template and its names; an escape has none."""
    result = substitute({"a": ["${A}", "$${A}", "plain", "${a}"]}, ENV)

    assert result.substitutions == (
        Substitution(("a", 0), "${A}", ("A",)),
        Substitution(("a", 1), "$${A}", ()),
    )


def test_all_that_is_missing_is_found() -> None:
    """Unset and empty variables are all listed with their paths, and their templates stay."""
    tree = {"a": {"b": [{"c": "${NONE} ${EMPTY} ${A}"}]}, "d": "${NONE}", "e": "${A}"}

    result = substitute(tree, ENV)

    path = ("a", "b", 0, "c")
    assert result.missing == (
        Missing("NONE", path),
        Missing("EMPTY", path),
        Missing("NONE", ("d",)),
    )
    assert result.value == {**tree, "e": "1"}
    assert str(result.missing[0]) == "missing environment variable NONE, referenced at a.b[0].c"


def test_no_representation_shows_a_value() -> None:
    """Neither a template nor what became of it appears when a result is printed."""
    result = substitute({"a": f"{CANARY}${{A}}", "b": f"{CANARY}${{NO}}"}, {"A": CANARY})

    shown = (
        repr(result) + repr(result.substitutions) + str(result.missing[0]) + repr(result.missing)
    )
    assert CANARY not in shown
