from __future__ import annotations

import unicodedata
from pathlib import PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clawstate.errors import InvalidError
from clawstate.files.safe_names import MAX_NAME_BYTES, decode_name, encode_name

WIDE = st.text(st.characters(), max_size=60)  # lone surrogates and NUL included
NASTY = st.text(
    st.sampled_from("aAßẞ\u0131İK\u212a\u017fé\u0301e:/\\.% =~\0conCON_-\ud800\udc00"), max_size=12
)
KEYS = WIDE | NASTY | st.text(st.sampled_from("a%.é"), min_size=100, max_size=200)

DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10)),
}
VARIANTS = (
    str.casefold,
    str.upper,
    str.lower,
    str.strip,
    lambda key: unicodedata.normalize("NFC", key),
    lambda key: unicodedata.normalize("NFD", key),
    lambda key: unicodedata.normalize("NFKC", key),
    lambda key: key.rstrip(". "),
    lambda key: key.replace("/", "\\"),
    lambda key: key.replace(":", "%3a"),
    lambda key: f"{key}.",
    encode_name,
)


def folded(name: str) -> str:
    """Return what is left when a file system compares as coarsely as it may."""
    return unicodedata.normalize("NFKD", name.casefold()).rstrip(". ")


@given(KEYS)
@example("con")
@example("nul.txt")
@example("..")
@example("")
@example("a" * 121)
def test_every_name_is_safe_on_every_file_system(key: str) -> None:
    """A name is short lower-case ASCII without separators, devices, outer dots or spaces."""
    name = encode_name(key)

    assert 0 < len(name.encode("ascii")) <= MAX_NAME_BYTES
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789-_.%=")
    assert not name.startswith(".")
    assert not name.endswith((".", " "))
    assert name.split(".")[0] not in DEVICES
    assert PureWindowsPath(name).name == name


@given(KEYS, KEYS)
def test_two_keys_never_share_a_file(one: str, other: str) -> None:
    """Different keys have names that differ even when case and Unicode form are ignored."""
    assert (folded(encode_name(one)) == folded(encode_name(other))) == (one == other)


@given(KEYS, st.sampled_from(VARIANTS))
@example("Straße", str.casefold)
@example("é", VARIANTS[5])
@example("x" * 130, encode_name)
def test_lookalike_keys_never_share_a_file(key: str, variant) -> None:
    """A key and its folded, normalised, trimmed or encoded form keep separate files."""
    lookalike = variant(key)

    assert (folded(encode_name(key)) == folded(encode_name(lookalike))) == (key == lookalike)


@given(KEYS)
@example("\0")
@example("\ud83d\ude00")
@example("😀")
@example("%")
def test_name_that_is_not_hashed_decodes_to_its_key(key: str) -> None:
    """The key of a file is read back from its name, unless the key was too long for it."""
    name = encode_name(key)

    decoded = decode_name(name)

    assert decoded == (None if "=" in name else key)


@pytest.mark.parametrize("length", [1, 119, 120, 121, 5000])
def test_only_keys_beyond_the_bound_are_hashed(length: int) -> None:
    """A plain key of 120 characters is its own name, one of 121 is hashed."""
    assert (encode_name("a" * length) == "a" * length) == (length <= MAX_NAME_BYTES)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("main", "main"),
        ("agent:main:main", "agent%3amain%3amain"),
        ("../../etc/passwd", "%2e.%2f..%2fetc%2fpasswd"),
        ("Con", "%43on"),
        ("con.x", "%63on.x"),
        ("console", "console"),
        ("v1.", "v1%2e"),
        ("", "%"),
    ],
)
def test_ordinary_keys_stay_readable(key: str, name: str) -> None:
    """The name of an ordinary key shows the key."""
    assert encode_name(key) == name


def test_long_key_shows_its_start() -> None:
    """A hashed name begins with the start of the key, never with half an escape."""
    assert encode_name("telegram:" + "x" * 300).startswith("telegram%3axxx")
    for length in range(50, 60):
        start, _, _ = encode_name("a" * length + ":" * 100).partition("=")
        assert start.endswith(("a", "%3a"))


@given(st.text(st.sampled_from("abA%3/=.é"), max_size=8))
@example("%2E")
@example("%61")
@example("a/b")
@example("%ff")
@example("..")
def test_foreign_name_is_never_taken_for_a_key(name: str) -> None:
    """A name is decoded only if that very name is what its key gets."""
    try:
        key = decode_name(name)
    except InvalidError:
        return

    assert key is not None
    assert encode_name(key) == name
