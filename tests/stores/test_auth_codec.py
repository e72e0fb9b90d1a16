from __future__ import annotations

import dataclasses
import json
import pickle
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.errors import CorruptError, InvalidError, NotFoundError, StateError, UnavailableError
from clawstate.stores.auth.codec import MARK, CredentialCodec
from clawstate.stores.auth.credentials import ApiKey, OAuth, Token

SECRET = "sk-not-to-be-shown"
KEY = {"type": "api_key", "provider": "openai", "key": SECRET}
LOGIN = {"type": "oauth", "provider": "google", "access": "a", "refresh": "r", "expires": 1500}
REFERENCE = {"source": "env", "provider": "default", "id": "OPENAI_KEY"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
MEMBERS = st.sampled_from(
    [
        *("type", "mode", "provider", "email", "metadata", "clientId", "zebra"),
        *("key", "apiKey", "keyRef", "token", "tokenRef", "access", "refresh", "expires"),
    ]
)
TYPED = st.sampled_from(["api_key", "token", "oauth", "password"])
RECORDS = st.builds(
    lambda rest, kind, provider: {**rest, "type": kind, "provider": provider},
    st.dictionaries(MEMBERS, JSON | st.text(), max_size=8),
    TYPED | JSON,
    st.just("openai") | JSON,
)


class Boxes:
    """A sealer that counts; what it makes opens only at its place."""

    def __init__(self) -> None:
        self.opened = 0

    def seal(self, secret, *, place):
        return {MARK: 1, "place": place, "text": secret[::-1]}

    def open(self, sealed, *, place):
        self.opened += 1
        if sealed["place"] != place:
            raise CorruptError("record", "was moved")
        return sealed["text"][::-1]


@pytest.fixture
def boxes() -> Boxes:
    return Boxes()


@pytest.fixture
def codec() -> CredentialCodec:
    return CredentialCodec("main")


@pytest.fixture
def sealing(boxes) -> CredentialCodec:
    return CredentialCodec("main", lambda: boxes)


def text(value):
    return json.dumps(value)


def test_each_type_has_its_fields(codec) -> None:
    """A record becomes a value of its type, with seconds where it has milliseconds."""
    assert codec.read("a:b", KEY) == ApiKey(provider="openai", key=SECRET)
    assert codec.read("a:b", LOGIN) == OAuth(
        provider="google", access="a", refresh="r", expires=1.5
    )
    record = {"type": "token", "provider": "x", "token": "t", "expires": 9000, "email": "a@b.c"}
    token = Token(provider="x", token="t", expires=9.0, email="a@b.c")
    assert codec.read("a:b", record) == token


@given(record=RECORDS)
def test_writing_what_was_read_changes_nothing(record) -> None:
    """A credential that is written over the record it came from leaves every member as it is."""
    codec = CredentialCodec("main")
    try:
        credential = codec.read("a:b", record)
    except InvalidError:
        return
    if record.get("keyRef") is not None or record.get("tokenRef") is not None:
        return  # then the secret goes

    again = codec.write("a:b", credential, old=record)

    secrets = {"key", "apiKey", "token", "access", "refresh"}
    rest = {name: value for name, value in record.items() if name not in secrets}
    assert text({name: again[name] for name in again if name in rest}) == text(rest)
    assert codec.read("a:b", again) == credential


@given(record=RECORDS)
def test_a_record_is_understood_again_without_the_old_one(record) -> None:
    """What is written anew reads as the same value."""
    codec = CredentialCodec("main")
    try:
        credential = codec.read("a:b", record)
    except InvalidError:
        return

    again = codec.read("a:b", codec.write("a:b", credential, old=None))

    if record.get("keyRef") is None and record.get("tokenRef") is None:
        assert text(vars(again)) == text(vars(credential))


@given(record=JSON)
def test_no_json_is_read_with_an_unknown_error(record) -> None:
    """Anything is a credential or an `InvalidError`."""
    with suppress(InvalidError):
        CredentialCodec("main").read("a:b", record)


def test_unknown_members_keep_their_places(codec) -> None:
    """A changed field changes in its place, between members that are not known."""
    record = {"zebra": [1], "provider": "google", "type": "oauth", "apple": {}, "access": "a"}

    credential = codec.read("g:me", record)
    changed = codec.write("g:me", dataclasses.replace(credential, access="b"), old=record)

    assert text(changed) == text({**record, "access": "b"})
    assert credential.extra == {"zebra": [1], "apple": {}}


def test_the_other_names_of_type_and_key_are_read_and_kept(codec) -> None:
    """`mode` and `apiKey` count where `type` and `key` are missing, and are written again."""
    record = {"mode": "api_key", "provider": "openai", "apiKey": "old"}

    credential = codec.read("a:b", record)
    changed = codec.write("a:b", dataclasses.replace(credential, key="new"), old=record)

    assert credential == ApiKey(provider="openai", key="old")
    assert changed == {"mode": "api_key", "provider": "openai", "apiKey": "new"}


def test_an_old_secret_stays_under_no_name(codec) -> None:
    """Where a key stands under both names, both are replaced."""
    record = {**KEY, "apiKey": "stale"}

    changed = codec.write("a:b", ApiKey(provider="openai", key="new"), old=record)

    assert changed == {**KEY, "key": "new", "apiKey": "new"}


@pytest.mark.parametrize(
    ("kind", "name", "reference"), [("api_key", "key", "keyRef"), ("token", "token", "tokenRef")]
)
def test_beside_a_reference_there_is_no_secret(codec, kind, name, reference) -> None:
    """A key with a reference is written without the key."""
    record = {"type": kind, "provider": "x", name: SECRET, reference: REFERENCE}

    written = codec.write("a:b", codec.read("a:b", record), old=record)

    assert written == {"type": kind, "provider": "x", reference: REFERENCE}


@pytest.mark.parametrize("pasted", [" sk-1\n", "sk\r\n-1", "\u2028sk-1\ufeff", "\tsk\n-\n1 "])
def test_pasted_keys_lose_their_line_breaks(codec, pasted) -> None:
    """Line breaks anywhere and blanks at the ends are no part of a key or token."""
    for kind, name in (("api_key", "key"), ("token", "token")):
        record = {"type": kind, "provider": "x", name: pasted}

        written = codec.write("a:b", codec.read("a:b", record), old=record)

        assert written[name] == "sk-1"


def test_blanks_inside_are_part_of_a_key(codec) -> None:
    """A key such as `Bearer x` stays whole."""
    assert codec.read("a:b", {**KEY, "key": " Bearer x "}).key == "Bearer x"


@pytest.mark.parametrize(
    "record",
    [
        None,
        7,
        [],
        {},
        {"type": "password", "provider": "x"},
        {"type": 7, "provider": "x"},
        {"type": None, "mode": "oauth", "provider": "x"},
        {"type": "oauth"},
        {"type": "oauth", "provider": " "},
        {"type": "oauth", "provider": 7},
    ],
    ids=repr,
)
def test_what_is_no_credential_is_refused(codec, record) -> None:
    """A record without a known type or a provider is an `InvalidError`."""
    with pytest.raises(InvalidError):
        codec.read("a:b", record)


@pytest.mark.parametrize("expires", [0, -5, None, "soon", True, 10**400, 9e15], ids=repr)
def test_an_expiry_that_is_no_moment_is_none(codec, expires) -> None:
    """A strange expiry means no end, and stays in the record."""
    record = {**LOGIN, "expires": expires}

    credential = codec.read("a:b", record)
    changed = codec.write("a:b", dataclasses.replace(credential, access="b"), old=record)

    assert credential.expires is None
    assert changed == {**record, "access": "b"}


def test_no_secret_is_shown(codec) -> None:
    """A credential shows neither secrets nor members that it does not know."""
    shown = [
        codec.read("a:b", {**KEY, "more": SECRET}),
        codec.read("a:b", {"type": "token", "provider": "x", "token": SECRET}),
        codec.read("a:b", {**LOGIN, "access": SECRET, "refresh": SECRET}),
    ]

    assert SECRET not in repr(shown) + str(shown)


def test_credentials_are_values(codec) -> None:
    """They are equal by content, cannot be changed, and pickle."""
    credential = codec.read("a:b", KEY)

    assert pickle.loads(pickle.dumps(credential)) == credential
    assert dataclasses.replace(credential, key="other") != credential
    with pytest.raises(dataclasses.FrozenInstanceError):
        credential.key = "other"


def test_a_sealed_secret_is_opened_when_it_is_asked_for(sealing, boxes) -> None:
    """Reading and writing open nothing; the field does, once."""
    record = sealing.write("a:b", ApiKey(provider="openai", key=SECRET), old=None)

    credential = sealing.read("a:b", record)
    again = [sealing.write("a:b", credential, old=old) for old in (None, record)]

    assert again == [record, record]
    assert SECRET not in text(record) + repr(credential)
    assert boxes.opened == 0
    assert (credential.key, credential.key) == (SECRET, SECRET)
    assert boxes.opened == 1


def test_a_secret_that_stays_is_not_sealed_again(sealing) -> None:
    """The same secret over the same record keeps its sealed form; one in the clear is sealed."""
    record = sealing.write("a:b", ApiKey(provider="openai", key=SECRET), old=None)
    record["keySealed"]["more"] = 1

    same = sealing.write("a:b", ApiKey(provider="openai", key=SECRET), old=record)
    other = sealing.write("a:b", ApiKey(provider="openai", key="new"), old=record)
    clear = sealing.write("a:b", sealing.read("a:b", KEY), old=KEY)

    assert same == record
    assert other["keySealed"] == {MARK: 1, "place": "auth:main/a:b/key", "text": "wen"}
    assert clear["keySealed"][MARK] == 1


def test_a_sealed_secret_never_stands_where_a_clear_one_would(sealing, codec) -> None:
    """OpenClaw takes a key for text; each form stands in the place that the other had."""
    sealed = sealing.write("a:b", sealing.read("a:b", KEY), old=KEY)
    both = {**sealed, "key": "newer"}

    opened = dataclasses.replace(sealing.read("a:b", sealed), key=SECRET)
    clear = codec.write("a:b", opened, old=sealed)

    assert [each.removesuffix("Sealed") for each in sealed] == list(KEY)
    assert "key" not in sealed
    assert list(clear) == list(KEY)
    assert sealing.read("a:b", both).key == "newer"
    assert "key" not in sealing.write("a:b", sealing.read("a:b", both), old=both)


def test_a_damaged_secret_can_be_replaced(sealing) -> None:
    """A new secret takes the place of one that no longer opens."""
    record = {**KEY, "key": {MARK: 1, "place": "elsewhere", "text": "x"}}

    written = sealing.write("a:b", ApiKey(provider="openai", key="new"), old=record)

    assert sealing.read("a:b", written).key == "new"
    with pytest.raises(CorruptError):
        assert sealing.read("a:b", record).key


def test_a_sealed_secret_is_sealed_anew_for_another_place(sealing) -> None:
    """A credential that is copied to another profile opens there."""
    record = sealing.write("a:b", ApiKey(provider="openai", key=SECRET), old=None)

    copied = sealing.write("a:c", sealing.read("a:b", record), old=None)

    assert sealing.read("a:c", copied).key == SECRET


def test_without_a_key_a_sealed_secret_stays(sealing, codec) -> None:
    """Where there is no sealer, a sealed secret cannot be had, and is written as it is."""
    record = sealing.write("a:b", ApiKey(provider="openai", key=SECRET), old=None)

    credential = codec.read("a:b", record)

    assert codec.write("a:b", credential, old=record) == record
    with pytest.raises(UnavailableError, match="encrypted"):
        codec.secret("a:b", codec.read("a:b", record))


def test_references_are_resolved_for_use_alone() -> None:
    """A reference, or text that is a lone variable, is resolved for the secret and stays so."""
    asked = []

    def resolve(reference):
        asked.append(reference)
        return " found\n"

    codec = CredentialCodec("main", resolve=resolve)
    for record in (
        {"type": "api_key", "provider": "x", "keyRef": REFERENCE},
        {"type": "token", "provider": "x", "tokenRef": REFERENCE},
        {"type": "api_key", "provider": "x", "key": "${OPENAI_KEY}"},
    ):
        credential = codec.read("a:b", record)

        assert codec.secret("a:b", credential) == "found"
        assert codec.write("a:b", credential, old=record) == record
    assert asked == [REFERENCE, REFERENCE, "${OPENAI_KEY}"]


@pytest.mark.parametrize(
    ("record", "error"),
    [
        ({"type": "api_key", "provider": "x"}, NotFoundError),
        ({"type": "api_key", "provider": "x", "key": " "}, NotFoundError),
        ({"type": "oauth", "provider": "x", "refresh": "r"}, NotFoundError),
        ({"type": "api_key", "provider": "x", "keyRef": REFERENCE}, UnavailableError),
    ],
    ids=repr,
)
def test_a_secret_that_is_not_there_is_an_error(codec, record, error) -> None:
    """Nothing is never a secret."""
    with pytest.raises(error) as caught:
        codec.secret("a:b", codec.read("a:b", record))

    assert isinstance(caught.value, StateError)
