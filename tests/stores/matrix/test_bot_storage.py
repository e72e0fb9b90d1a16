from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import clawstate
from clawstate import SimpleFsStorageProvider
from clawstate.errors import CorruptError, CorruptWarning, InvalidError

LOGIN = {
    "homeserver": "https://example.org",
    "user_id": "@bot:example.org",
    "access_token": "a-token",
}
DEFAULTS = {
    "syncToken": None,
    "filter": None,
    "appserviceUsers": {},
    "appserviceTransactions": {},
    "kvStore": {},
}


def written() -> int:
    """Return how many bytes this process has written so far."""
    return int(re.search(r"^wchar: (\d+)", Path("/proc/self/io").read_text(), re.MULTILINE)[1])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bot-storage.json"


@pytest.fixture(params=["provider", "file", "sqlite", "postgresql"])
def storage(request, tmp_path):
    store = request.param
    if store == "provider":
        yield SimpleFsStorageProvider(tmp_path / "bot-storage.json")
        return
    if store == "postgresql":
        store = request.getfixturevalue("postgres").full_url
    with clawstate.open(tmp_path / "state", store=store, tenant=tmp_path.name) as state:
        yield state.matrix(**LOGIN).storage


def test_everything_is_found_again(storage) -> None:
    """Token, filter, users, transactions and values are kept, each apart from the others."""
    storage.set_sync_token("s12_3")
    storage.set_filter({"id": 7, "filter": {"room": {}}})
    storage.store_value("a/b", {"n": [1, None, "ä"]})
    storage.add_registered_user("@puppet:example.org")
    for_user = storage.storage_for_user("@puppet:example.org")
    for_user.set_sync_token("s99")
    for_user.set_filter({"id": 8})
    for_user.store_value("a/b", "other")

    assert storage.get_sync_token() == "s12_3"
    assert storage.get_filter() == {"id": 7, "filter": {"room": {}}}
    assert storage.read_value("a/b") == {"n": [1, None, "ä"]}
    assert storage.is_user_registered("@puppet:example.org")
    assert not storage.is_user_registered("@other:example.org")
    assert for_user.get_sync_token() == "s99"
    assert for_user.get_filter() == {"id": 8}
    assert for_user.read_value("a/b") == "other"
    assert storage.read_value("@puppet:example.org_kv_a/b") == "other"


def test_what_was_never_set_is_none(storage) -> None:
    """Nothing is made up, and forgetting what is not there does no harm."""
    storage.set_sync_token(None)
    storage.set_filter(None)

    assert storage.get_sync_token() is None
    assert storage.get_filter() is None
    assert storage.read_value("a") is None
    assert storage.storage_for_user("@a:b").get_sync_token() is None
    assert not storage.delete_value("a")


def test_what_is_forgotten_is_gone(storage) -> None:
    """A token that was set to nothing, and a value that was deleted, are not found again."""
    storage.set_sync_token("s1")
    storage.store_value("a", 1)

    storage.set_sync_token(None)

    assert storage.delete_value("a")
    assert (storage.get_sync_token(), storage.read_value("a")) == (None, None)


@pytest.mark.parametrize("token", ["", 5, b"s1", ["s1"]])
def test_a_sync_token_is_text(storage, token) -> None:
    """What is no token is refused, and the one from before stays."""
    storage.set_sync_token("s1")

    with pytest.raises(InvalidError):
        storage.set_sync_token(token)

    assert storage.get_sync_token() == "s1"


def test_the_file_is_that_of_the_sdk(path) -> None:
    """The file holds the five members of matrix-bot-sdk, indented by two, without a line end."""
    storage = SimpleFsStorageProvider(path, track_transactions_in_memory=False)
    storage.set_sync_token("s1")
    storage.set_transaction_completed("t1")
    storage.add_registered_user("@a:b")

    text = path.read_text()
    found = json.loads(text)
    assert list(found) == list(DEFAULTS)
    assert text == json.dumps(found, indent=2)
    assert list(found["appserviceUsers"].values()) == [{"userId": "@a:b", "registered": True}]
    assert list(found["appserviceTransactions"].values()) == [{"txnId": "t1", "completed": True}]
    assert all(len(each) == 128 for each in found["appserviceUsers"])
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_others_wrote_stays(path) -> None:
    """Members and marks that are not known here come through a change."""
    digest = "0" * 128
    document = {
        **DEFAULTS,
        "syncToken": "s1",
        "appserviceUsers": {digest: {"userId": "@x:y", "registered": True, "more": 1}},
        "kvStore": {"": "empty", "k" * 2000: "long", "\ud800": "half"},
        "theirs": [1],
    }
    path.write_text(json.dumps(document, indent=2))

    SimpleFsStorageProvider(path).set_sync_token("s2")

    assert json.loads(path.read_bytes()) == {**document, "syncToken": "s2"}


def test_transactions_are_remembered_in_memory_up_to_a_bound(path) -> None:
    """By default the last twenty are known, and nothing of them is written."""
    storage = SimpleFsStorageProvider(path)
    for number in range(25):
        storage.set_transaction_completed(f"t{number}")

    assert [storage.is_transaction_completed(f"t{n}") for n in (4, 5, 24)] == [False, True, True]
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"syncToken": 5}', "null", "[]", '{"syncToken": "s1", "kvStore": []}', "\0" * 64],
)
def test_a_damaged_file_does_not_begin_anew_silently(path, text: str) -> None:
    """A file that cannot be read gives its last good state with a warning, and is not written."""
    before = SimpleFsStorageProvider(path)
    before.set_sync_token("s7")
    path.write_text(text)
    storage = SimpleFsStorageProvider(path)

    with pytest.warns(CorruptWarning, match="bot-storage"):
        assert storage.get_sync_token() == "s7"
    with pytest.raises(CorruptError):
        storage.set_sync_token("s8")

    assert path.read_text() == text


def test_a_damaged_file_without_a_copy_warns(path) -> None:
    """Where there is no last good state the client is told before it fetches everything again."""
    path.write_text("{")

    with pytest.warns(CorruptWarning):
        assert SimpleFsStorageProvider(path).get_sync_token() is None


def test_writers_do_not_lose_each_others_values(path) -> None:
    """Processes that keep values at once all find theirs."""
    code = (
        "import sys; from clawstate import SimpleFsStorageProvider as S; s = S(sys.argv[1]);"
        "[s.store_value(f'{sys.argv[2]}-{n}', n) for n in range(20)]"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, path, str(n)]) for n in range(3)]
    assert [each.wait() for each in writers] == [0, 0, 0]

    storage = SimpleFsStorageProvider(path)
    assert all(storage.read_value(f"{w}-{n}") == n for w in range(3) for n in range(20))


def test_in_rows_one_value_is_written_among_many(tmp_path) -> None:
    """With ten thousand values in rows a change writes what it changes, not all of them."""
    with clawstate.open(tmp_path / "state", store="sqlite") as state:
        opened = state.matrix(**LOGIN)
        records = opened.storage._records
        many = {f"value/{n}": "x" * 100 for n in range(10_000)}
        records.change_all(lambda _: (many, None))
        before = written()

        opened.storage.store_value("5000", "other")

        assert opened.storage.read_value("5000") == "other"
        assert written() - before < 100_000  # of more than a million bytes


def test_no_warning_without_damage(path) -> None:
    """A file that is there, or is not, is read in silence."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        storage = SimpleFsStorageProvider(path)
        assert storage.get_sync_token() is None
        storage.set_sync_token("s1")
        assert SimpleFsStorageProvider(path).get_sync_token() == "s1"
