"""A refresh on disks that are nearly full: nobody is asked for tokens that have no room."""

from __future__ import annotations

import errno
import os
from contextlib import closing

import pytest
from refresh_setting import ENGINES, ID, SHAPE, Place

import clawstate
from clawstate.errors import FallbackWarning, UnavailableError
from clawstate.records.contract import CollectionSpec, FileForm
from clawstate.records.json_files import JsonFilesBackend
from clawstate.stores.auth import refresh_journal
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.refresh import Refresher
from small_disk import KINDS, small_disk

LONG = 3_000  # characters of the tokens of large providers
FIRST = {"access_token": "access-0" + "x" * LONG, "refresh_token": "refresh-0" + "x" * LONG}


class Strict:
    """A provider whose refresh tokens can be used once."""

    def __init__(self, length=LONG, before=lambda: None):
        self.tail = "x" * length
        self.before = before
        self.count = 0
        self.asked = 0
        self.revoked = False

    def __call__(self, credential):
        self.asked += 1
        if self.revoked or not credential.refresh.startswith(f"refresh-{self.count}x"):
            self.revoked = True
            return {"error": "invalid_grant"}
        self.count += 1
        self.before()
        names = ("access", "refresh")
        return {f"{each}_token": f"{each}-{self.count}{self.tail}" for each in names}


def number(credential):
    return int(credential.access.split("-")[1].split("x")[0])


@pytest.fixture(params=KINDS)
def disk(request, tmp_path):
    """Give a small file system of its own."""
    with small_disk(request.param, tmp_path) as place:
        yield place


@pytest.fixture(params=ENGINES)
def place(request, disk):
    return Place(disk, request.param).fill(FIRST)


def filled(disk, left):
    """Fill *disk* until about *left* bytes are free, and return the file that does."""
    ballast = disk / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        while True:
            os.write(descriptor, bytes(1024))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - left))
    finally:
        os.close(descriptor)
    return ballast


@pytest.mark.parametrize("length", [LONG, 12_000])
@pytest.mark.parametrize("left", [0, 4096, 8192, 16384, 32768, 65536, 131072])
def test_a_nearly_full_disk_costs_no_login(place, disk, clock, left, length):
    """However little is free, callers get good tokens or are told before anybody is asked."""
    provider = Strict(length)
    with place.opened(clock=clock) as refresher:
        ballast = filled(disk, left)
        try:
            told = number(refresher.refresh(ID, provider))
        except UnavailableError as error:
            told, problem = 0, str(error)
            assert "free some space" in problem
        assert told == provider.asked
        ballast.unlink()
        clock.advance(7200)

        after = refresher.refresh(ID, provider)

    assert number(after) == provider.count
    assert not provider.revoked
    assert place.record()["refresh"] == after.refresh
    assert place.answers() == []


def test_the_disk_fills_up_while_the_provider_is_asked(place, disk, clock):
    """Room that was reserved is nobody else's: the answer is on disk, and is stored later."""
    provider = Strict(before=lambda: filled(disk, 0))
    with place.opened(clock=clock) as refresher:
        first = refresher.refresh(ID, provider)
        assert number(first) == 1
        provider.before = lambda: None
        assert number(refresher.refresh(ID, provider)) == 1
    (disk / "ballast").unlink()

    with place.opened(clock=clock) as another:
        after = another.refresh(ID, provider)
        forced = another.refresh(ID, provider, force=True)

    assert (number(after), number(forced)) == (1, 2)
    assert not provider.revoked
    assert place.answers() == []


def test_room_is_made_of_real_bytes_where_the_system_reserves_none(place, disk, clock, monkeypatch):
    """On a file system that cannot reserve blocks, written blanks hold the room."""
    monkeypatch.setattr(refresh_journal, "_allocate", lambda *_: False)
    provider = Strict(before=lambda: filled(disk, 0))
    with place.opened(clock=clock) as refresher:
        assert number(refresher.refresh(ID, provider)) == 1
    (disk / "ballast").unlink()

    with place.opened(clock=clock) as another:
        assert number(another.refresh(ID, provider)) == 1

    assert not provider.revoked
    assert place.answers() == []


def test_an_answer_that_cannot_be_written_stays_in_the_process(tmp_path, clock, monkeypatch):
    """It is used by all callers of the process, told, and written by the next that can."""
    place = Place(tmp_path, "file").fill(FIRST)
    path = tmp_path / "agent/auth-profiles.json"
    whole = []

    def lost():
        # The disk refuses even what has room, as one that copies each block may do.
        whole.append(path.read_text())
        path.write_text("{torn")

    provider = Strict(before=lost)
    with monkeypatch.context() as patch:
        patch.setattr(refresh_journal.ResponseFile, "_write", lambda *_: False)
        with (
            place.opened(clock=clock) as refresher,
            pytest.warns(FallbackWarning, match="in this process alone"),
        ):
            first = refresher.refresh(ID, provider)
        path.write_text(whole[0])
    assert place.record()["refresh"].startswith("refresh-0")

    with place.opened(clock=clock) as another:
        after = another.refresh(ID, provider)

    assert (number(first), number(after)) == (1, 1)
    assert place.record()["refresh"].startswith("refresh-1")
    assert provider.asked == 1
    assert place.answers() == []


def test_what_no_file_holds_is_forgotten_with_the_profile(tmp_path, clock):
    """With a profile goes what the process holds of it."""
    folder = tmp_path / "folder"
    journal = refresh_journal.ResponseJournal(folder)
    journal.hold(refresh_journal.Response("n", "g", {"answer": FIRST}))
    assert journal.has_unsaved

    journal.forget()

    assert not journal.has_unsaved
    assert journal.responses() == []


def test_what_a_process_holds_is_its_secret(tmp_path, clock, monkeypatch):
    """`secret` gives the tokens that no disk took, and they are written when one does."""
    path = tmp_path / "state/agents/main/agent/auth-profiles.json"
    login = {
        "type": "oauth",
        "provider": "google",
        "access": "access-0",
        "refresh": FIRST["refresh_token"],
    }
    with clawstate.open(tmp_path / "state", store="file", clock=clock) as state:
        auth = state.auth()
        auth.upsert(ID, {**login, "expires": 1})
        whole = path.read_text()
        provider = Strict(before=lambda: path.write_text("{torn"))
        with monkeypatch.context() as patch:
            patch.setattr(refresh_journal.ResponseFile, "_write", lambda *_: False)
            with pytest.warns(FallbackWarning):
                auth.refresh(ID, provider)
        path.write_text(whole)

        assert auth.secret(ID).startswith("access-1")

    with clawstate.open(tmp_path / "state", store="file", clock=clock) as state:
        assert state.auth().require(ID).refresh.startswith("refresh-1")


def test_a_document_that_is_full_costs_no_login(tmp_path, clock):
    """Where the profile has no room in its document, the answer is used and waits for some."""
    place = Place(tmp_path, "file").fill({**FIRST, "refresh_token": "refresh-0x"})
    provider = Strict()
    small = CollectionSpec("auth:main", SHAPE.path, SHAPE.layout, file=FileForm(max_bytes=6_000))
    with closing(JsonFilesBackend(tmp_path)) as backend:
        refresher = Refresher(
            backend.collection(small), CredentialCodec("main"), locks=place.locks, clock=clock
        )
        credentials = [refresher.refresh(ID, provider) for _ in range(3)]

    with place.opened(clock=clock) as another:
        credentials.append(another.refresh(ID, provider))

    assert {number(each) for each in credentials} == {1}
    assert place.record()["refresh"].startswith("refresh-1")
    assert place.answers() == []
