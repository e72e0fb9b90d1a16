from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from config_files import CANARY, refusal, write

from clawstate.config.layers import read_layer
from clawstate.errors import CorruptError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir()
    return directory


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../outside", "sub/../../outside", "..", "../state2/a"]
)
def test_name_that_leaves_the_directory_is_refused(root: Path, name: str) -> None:
    """No name reaches a file outside of the first file's directory, even if it exists."""
    (root.parent / "outside").write_text(f"{{x: '{CANARY}'}}")
    (root.parent / "state2").mkdir()
    (root.parent / "state2/a").write_text("{}")

    message = refusal(write(root, main=f"{{\n  a: {{$include: '{name}'}}}}"))

    assert message.startswith(f"{root / 'main'}:2:")
    assert "leaves" in message


@pytest.mark.parametrize("kind", ["file", "directory", "chain"])
def test_link_that_leaves_the_directory_is_refused(root: Path, kind: str) -> None:
    """No link reaches outside, be it the file, a directory on the way or a link to a link."""
    (root.parent / "outside").mkdir()
    (root.parent / "outside/a").write_text(f"{{x: '{CANARY}'}}")
    name = "link"
    if kind == "directory":
        (root / "link").symlink_to(root.parent / "outside")
        name = "link/a"
    elif kind == "file":
        (root / "link").symlink_to("../outside/a")
    else:
        (root / "link").symlink_to("second")
        (root / "second").symlink_to(root.parent / "outside/a")

    message = refusal(write(root, main=f"{{$include: '{name}'}}"))

    assert "by a link" in message


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("pipe", "is a pipe, not a file"),
        ("directory", "is a directory, not a file"),
        ("hard link", "is a hard link"),
        ("missing", "there is no such file"),
        ("large", "is larger than 2,097,152 bytes"),
        ("loop", "is a link or a socket"),
        ("below a file", "a part of its path is not a directory"),
    ],
)
def test_only_a_plain_file_is_included(root: Path, kind: str, problem: str) -> None:
    """Anything but a regular file of one name and bounded size is refused, without waiting."""
    target = root / "a"
    name = "a"
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "directory":
        target.mkdir()
    elif kind == "hard link":
        (root.parent / "secret").write_text(f"{{x: '{CANARY}'}}")
        target.hardlink_to(root.parent / "secret")
    elif kind == "large":
        target.write_bytes(b"{}" + b" " * 3_000_000)
    elif kind == "loop":
        target.symlink_to("a")
    elif kind == "below a file":
        target.write_text("{}")
        name = "a/b"

    message = refusal(write(root, main=f"{{\n\n  k: {{ $include: '{name}' }} }}"))

    assert message.startswith(f"{root / 'main'}:3:18: $include of '{root / name}'")
    assert problem in message


@pytest.mark.parametrize("name", ["", ".", "a\\0b", "\\ud800", "x" * 5000, "/" * 3000])
def test_name_that_is_no_path_is_refused(root: Path, name: str) -> None:
    """Whatever a name holds, the answer is an error with a place, and not a long one."""
    message = refusal(write(root, main=f'{{$include: "{name}"}}'))

    assert message.startswith(f"{root / 'main'}:1:12: ")
    assert len(message) < 1000


@pytest.mark.parametrize("value", ["1", "null", "{}", "{a: 'x'}", "['a', 1]", "[['a']]", "true"])
def test_value_that_is_no_name_is_refused(root: Path, value: str) -> None:
    """Only a text or an array of texts names files."""
    message = refusal(write(root, main=f"{{$include: {value}}}", a="{}"))

    assert "must be the name of a file, or an array of names" in message


@pytest.mark.parametrize("content", ["[]", "1", "'text'", "null"])
def test_keys_beside_need_an_object(root: Path, content: str) -> None:
    """What is not an object cannot have keys over it, though it may stand alone."""
    main = write(root, main="{k: {$include: 'a', own: 1}, l: {$include: 'a'}}", a=content)
    alone = write(root, a=content, alone="{l: {$include: 'a'}}").with_name("alone")

    assert "not an object" in refusal(main)
    assert "l" in read_layer(alone).value


def test_circle_of_three_is_named_whole(root: Path) -> None:
    """A circle is refused with every file on it, in order, and the place that closes it."""
    main = write(root, main="{$include: 'a'}", a="{$include: ['b']}", b="{x: {$include: 'link'}}")
    (root / "link").symlink_to("a")

    message = refusal(main)

    assert message.startswith(f"{root / 'b'}:1:16: ")
    assert f"{root / 'a'} -> {root / 'b'} -> {root / 'link'}" in message
    assert f"included at {root / 'a'}:1:13, included at {root / 'main'}:1:12" in message


def test_file_that_includes_itself_is_refused(root: Path) -> None:
    """The shortest circle is one too."""
    assert "closes a circle" in refusal(write(root, main="{$include: './main'}"))


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (f"{{\n  token: '{CANARY}',\n  x: = }}", "line 3, column 6"),
        (f"{{ token: '{CANARY}' ", "line 1, column"),
        ("", "line 1, column 1"),
        ("\r\n\r\n  }", "line 3, column 3"),
    ],
)
def test_include_that_is_not_json5_is_named_with_both_places(
    root: Path, content: str, place: str
) -> None:
    """The error is that of the included file, with its own place and those of the includes."""
    main = write(
        root, main="{a: [\n {$include: 'sub/a'}]}", sub__a="{$include: 'b'}", sub__b=content
    )

    message = refusal(main, CorruptError)

    assert message.startswith(f"{root / 'sub/b'}: ")
    assert place in message
    assert f"(included at {root / 'sub/a'}:1:12, included at {root / 'main'}:2:13)" in message


def test_include_that_is_not_text_is_damaged(root: Path) -> None:
    """Bytes that are not UTF-8 are an error with their place."""
    write(root, main="{$include: 'a'}")
    (root / "a").write_bytes(b"{x:\n '\xff'}")

    assert "is not UTF-8 (line 2, column 3)" in refusal(root / "main", CorruptError)


@pytest.mark.parametrize("content", ["[]", "1", "'x'", "null", "{$include: 'list'}"])
def test_configuration_is_an_object(root: Path, content: str) -> None:
    """A first file that is, or becomes, anything else is refused."""
    assert "must be an object" in refusal(write(root, main=content, list="[1]"))


def test_error_names_each_place_in_a_form_editors_open(root: Path) -> None:
    """Places are `path:line:column`."""
    message = refusal(write(root, main="{\n $include: 'gone'}"))

    assert re.match(
        r"^/[^:]+/main:2:12: \$include of '/[^']+/gone': there is no such file", message
    )
