from __future__ import annotations

from pathlib import Path

import pytest
from config_files import CANARY, refusal, write

from clawstate.config.layers import read_layer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir()
    return directory


def test_included_object_stands_where_it_is_named(root: Path) -> None:
    """An include may stand anywhere, relative to its own file, and be reached through others."""
    main = write(
        root,
        main="{a: {$include: './sub/a'}, list: [1, {$include: 'sub/b'}], s: 's'}",
        sub__a="{x: 1, deep: {$include: 'b'}}",
        sub__b="['b']",
    )

    layer = read_layer(main)

    assert layer.value == {"a": {"x": 1, "deep": ["b"]}, "list": [1, ["b"]], "s": "s"}
    assert [file.path.name for file in layer.files] == ["main", "a", "b"]


def test_list_is_merged_from_left_to_right_and_siblings_over_it(root: Path) -> None:
    """Arrays are joined, objects merged, and of all else the last speaks: the keys beside it."""
    main = write(
        root,
        main="{$include: ['a', 'b'], l: [3], own: true, o: {z: 3}}",
        a="{l: [1], s: 'a', t: 'a', o: {x: 1, y: 1}}",
        b="{l: [2], s: 'b', o: {y: 2, z: 2}, t: {u: 1}}",
    )

    layer = read_layer(main)

    expected = {"l": [1, 2, 3], "s": "b", "o": {"x": 1, "y": 2, "z": 3}, "own": True}
    assert layer.value == {**expected, "t": {"u": 1}}


def test_including_nothing_leaves_the_siblings(root: Path) -> None:
    """An empty list includes an empty object."""
    assert read_layer(write(root, main="{$include: [], a: {$include: []}}")).value == {"a": {}}


def test_prototype_keys_do_not_survive_a_merge(root: Path) -> None:
    """Keys that reach the prototype in Node programs are left out where objects are merged."""
    hostile = '{"__proto__": {"x": 1}, "constructor": 1, "prototype": 1, "ok": {"__proto__": 1}}'
    main = write(root, main="{$include: ['a', 'a'], b: 1}", a=hostile)

    assert read_layer(main).value == {"ok": {}, "b": 1}


def test_line_ends_and_a_byte_order_mark_do_not_matter(root: Path) -> None:
    """Files of Windows editors are read as any others, and their places counted right."""
    main = write(root, main="\ufeff{\r\n  $include: 'a',\r\n}", a="\ufeff{\r\n  x: 1,\r\n}\r\n")

    layer = read_layer(main)

    trace = layer.provenance.at(("x",))
    assert layer.value == {"x": 1}
    assert trace is not None
    assert str(trace.origins[0]) == f"{root / 'a'}:2:6"


def test_absolute_name_is_allowed_inside(root: Path) -> None:
    """A name from the root is as good as a relative one while it stays in the directory."""
    main = write(root, main=f"{{$include: '{root}/sub/../a'}}", a="{x: 1}")

    assert read_layer(main).value == {"x": 1}


def test_link_that_stays_inside_is_followed(root: Path) -> None:
    """A link to a file of the directory is read, and names both in what was read."""
    main = write(root, main="{$include: 'link'}", a="{x: 1}")
    (root / "link").symlink_to("a")

    layer = read_layer(main)

    assert layer.value == {"x": 1}
    assert (layer.files[1].path, layer.files[1].real) == (root / "link", root / "a")


def test_linked_directory_is_the_directory(root: Path, tmp_path: Path) -> None:
    """A state that is reached by a link includes its own files."""
    write(root, main="{$include: 'sub/a'}", sub__a="{$include: '../b'}", b="{x: 1}")
    (tmp_path / "link").symlink_to(root)

    assert read_layer(tmp_path / "link/main").value == {"x": 1}


def chain_of(root: Path, count: int) -> Path:
    for index in range(1, count):
        (root / f"f{index}").write_text(f"{{$include: 'f{index + 1}'}}")
    (root / f"f{count}").write_text("{x: 1}")
    return write(root, main="{$include: 'f1'}")


def test_ten_includes_deep_is_allowed_and_eleven_is_not(root: Path) -> None:
    """The bound of the depth is exact, and the error tells the whole way."""
    assert read_layer(chain_of(root, 10)).value == {"x": 1}

    message = refusal(chain_of(root, 11))

    assert message.startswith(f"{root / 'f10'}:1:12: ")
    assert message.count("included at") == 10


def test_same_file_may_be_included_twice(root: Path) -> None:
    """Only a circle is refused; the file is read once, so that both are of one moment."""
    main = write(root, main="{a: {$include: 'x'}, b: {$include: 'x'}}", x="[1]")

    layer = read_layer(main)

    assert layer.value == {"a": [1], "b": [1]}
    assert len(layer.files) == 2


def test_includes_cannot_multiply_without_bound(root: Path) -> None:
    """Files that include one another tenfold end in an error, soon."""
    for index in range(9):
        names = ", ".join([f"'f{index + 1}'"] * 10)
        (root / f"f{index}").write_text(f"{{$include: [{names}]}}")
    (root / "f9").write_text("{a: [1]}")

    assert "more than 250 files" in refusal(write(root, main="{$include: 'f0'}"))


def test_nesting_is_bounded_in_one_file_and_over_several(root: Path) -> None:
    """A tree that would exhaust the stack of its readers is refused, however it is spread."""
    inner = '{"a":' * 60 + "1" + "}" * 60
    allowed = '{"a":' * 40 + "{$include: 'x'}" + "}" * 40
    deep = write(root, deep="[" * 400 + "]" * 400).with_name("deep")
    main = write(root, main='{"a":' * 60 + "{$include: 'x'}" + "}" * 60, x=inner)

    assert read_layer(write(root, x=inner, allowed=allowed).with_name("allowed")).value
    for path in (deep, main):
        assert "more than 100 levels" in refusal(path)


def test_equal_keys_are_noted_with_their_place(root: Path) -> None:
    """The last of equal keys counts, and the object that has them is named, in every file."""
    main = write(root, main="{$include: 'a', x: 1, x: 2}", a=f"{{\n y: {{k: '{CANARY}', k: 2}}}}")

    layer = read_layer(main)

    notices = [str(notice) for notice in layer.notices]
    assert layer.value == {"x": 2, "y": {"k": 2}}
    assert [notice.split(": ")[0] for notice in notices] == [f"{main}:1:1", f"{root / 'a'}:2:5"]
    assert CANARY not in "".join(notices)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("a: {$include: './b'},", {"x": 1}),
        ("a: {'$incl\\u0075de': './b'},", {"x": 1}),
        ("a: {x: 2}, /* a: 1 */ // b: {$include: 'b'}\n", {"x": 2}),
        ('a: {x: 1}, "a": {x: 3},', {"x": 3}),
        ("a: {x: {y: [':', '{:}']}},", {"x": {"y": [":", "{:}"]}}),
    ],
)
def test_long_file_is_read_as_a_short_one(root: Path, head: str, expected: object) -> None:
    """Includes, escapes, comments and double keys mean in a long text what they mean in a short."""
    long = ", ".join(f"k{number}: {{n: {number}, text: 'a: b'}}" for number in range(1_000))
    main = write(root, main=f"{{{head} {long}}}", b="{x: 1}")

    layer = read_layer(main)

    assert layer.value["a"] == expected
    assert layer.value["k999"] == {"n": 999, "text": "a: b"}
    assert len(layer.notices) == head.count('"a"')
