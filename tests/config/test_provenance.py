from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config_files import origins, write

from clawstate.config.layers import read_layer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir()
    return directory


def test_each_value_knows_its_file_and_node(root: Path) -> None:
    """A value of one file has one origin, at its path in that file; a merged one has several."""
    main = write(
        root,
        main="{plain: {k: 1}, one: {$include: 'a'}, many: {$include: ['a', 'b'], own: 1, s: 'm'}}",
        a="{l: [10, 11], s: 'a', o: {p: 1}}",
        b="{l: [20], s: 'b', o: {q: 2}}",
    )

    layer = read_layer(main)

    assert origins(layer, "plain", "k") == [("main", ("plain", "k"))]
    assert origins(layer, "one") == [("a", ())]
    assert origins(layer, "one", "l", -1) == [("a", ("l", 1))]
    assert origins(layer, "many") == [("main", ("many",)), ("b", ()), ("a", ())]
    assert origins(layer, "many", "l") == [("b", ("l",)), ("a", ("l",))]
    assert origins(layer, "many", "l", 2) == [("b", ("l", 0))]
    assert origins(layer, "many", "o", "p") == [("a", ("o", "p"))]
    assert origins(layer, "many", "s") == [("main", ("many", "s"))]


def test_hidden_values_and_the_including_object_are_known(root: Path) -> None:
    """What would come back without a value is listed, and where a key over an include may go."""
    main = write(root, main="{o: {$include: ['a', 'b'], s: 3}}", a="{s: 1}", b="{s: 2}")

    provenance = read_layer(main).provenance

    scalar, whole = provenance.at(("o", "s")), provenance.at(("o",))
    assert scalar is not None
    assert whole is not None
    assert whole.including is not None
    assert [origin.source.path.name for origin in scalar.hidden] == ["b", "a"]
    assert (whole.including.source.path, whole.including.path) == (main, ("o",))
    assert whole.files() == {main, root / "a", root / "b"}


def test_number_in_an_object_is_a_key(root: Path) -> None:
    """An index that meets an object means the key that is written so, as in JavaScript."""
    layer = read_layer(write(root, main="{o: {'7': 'seven'}, l: ['zero']}"))

    assert origins(layer, "o", 7) == [("main", ("o", "7"))]
    assert origins(layer, "l", 0) == [("main", ("l", 0))]
    assert layer.provenance.at(("l", "0")) is None


def test_missing_path_leads_to_what_would_hold_it(root: Path) -> None:
    """The longest beginning of a path that is there is found, with its origin."""
    layer = read_layer(write(root, main="{o: {$include: 'a'}}", a="{l: [1]}"))

    known, trace = layer.provenance.nearest(("o", "l", 5, "x"))

    assert layer.provenance.at(("o", "l", 5)) is None
    assert layer.provenance.at(("o", "$include")) is None
    assert known == ("o", "l")
    assert trace is not None
    assert trace.origins[0].source.path == root / "a"


def test_node_of_every_leaf_is_its_value(root: Path) -> None:
    """Down to each leaf, the node of the only origin holds what the merged tree holds."""
    layer = read_layer(
        write(
            root,
            main="{$include: ['a', 'b'], z: [{$include: 'b'}, 'q'], y: {k: null}}",
            a="{l: [1, {x: 'a'}], o: {p: 0.5}}",
            b="{l: [2], o: {q: true}, n: {$include: 'c'}}",
            c="{deep: ['c']}",
        )
    )

    def check(value: Any, path: tuple[str | int, ...]) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                check(each, (*path, key))
        elif isinstance(value, list):
            for index, each in enumerate(value):
                check(each, (*path, index))
        else:
            trace = layer.provenance.at(path)
            assert trace is not None
            assert [origin.node.value for origin in trace.origins] == [value]

    check(layer.value, ())
