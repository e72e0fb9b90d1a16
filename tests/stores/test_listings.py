from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass
from operator import attrgetter

import apsw
import pytest

import clawstate
from clawstate.errors import InvalidError
from clawstate.paging import Listing as Pages

SAID = {"role": "user", "content": "green tea"}


@dataclass(frozen=True)
class Listing:
    """How the items of a store are made, removed and listed; *name* tells which one it is."""

    add: object
    page: object
    name: object
    remove: object = None
    refresh: object = None


def pair(state, name):
    state.devices.issue(device_id=name, user_id="ada")


def ask(state, name):
    state.pairing.request(user_id="ada", device_id=name)


def archive(state, name):
    state.sessions.resolve(name)
    state.sessions.delete(name)


LISTINGS = {
    "sessions": Listing(
        add=lambda state, name: state.sessions.resolve(name),
        page=lambda state, *place: state.sessions.page(*place),
        name=attrgetter("session_key"),
        remove=lambda state, name: state.sessions.delete(name),
        refresh=lambda state, name: state.sessions.update(name, {"n": state.clock()}),
    ),
    "archive": Listing(
        add=archive,
        page=lambda state, *place: state.sessions.archive_page(*place),
        name=attrgetter("session_key"),
        remove=lambda state, name: state.sessions.restore(name),
    ),
    "devices": Listing(
        add=pair,
        page=lambda state, *place: state.devices.page(*place),
        name=attrgetter("device_id"),
        remove=lambda state, name: state.devices.remove(name),
    ),
    "memory": Listing(
        add=lambda state, name: state.memory.add_many([{"id": name, "text": name}]),
        page=lambda state, *place: state.memory.page(*place),
        name=attrgetter("id"),
        remove=lambda state, name: state.memory.delete(name),
    ),
    "transcripts": Listing(
        add=lambda state, name: state.transcripts.append(name, SAID),
        page=lambda state, *place: state.transcripts.page(*place),
        name=attrgetter("session_id"),
        remove=lambda state, name: state.transcripts.delete(name),
        refresh=lambda state, name: state.transcripts.append(name, SAID),
    ),
    "pairing": Listing(
        add=ask,
        page=lambda state, *place: state.pairing.page(*place),
        name=attrgetter("device_id"),
        remove=lambda state, name: state.pairing.reject_request(name),
    ),
}


@pytest.fixture(params=["file", "sqlite"])
def state(request, tmp_path, clock):
    root = tmp_path / "state"
    root.mkdir(mode=0o700)
    (root / "openclaw.json").write_text(json.dumps({"pairing": {"limit": 50}}))
    with clawstate.open(root, store=request.param, clock=clock) as opened:
        yield opened


@pytest.fixture(params=LISTINGS)
def listing(request):
    return LISTINGS[request.param]


def pages(state, listing, limit, after=None) -> list[list[str]]:
    """Return the names of all pages behind the cursor *after*."""
    found = []
    while True:
        page = listing.page(state, limit, after)
        found.append([listing.name(each) for each in page])
        if (after := page.after) is None:
            return found


def test_pages_make_a_whole(state, listing, clock) -> None:
    """Pages, each behind the one before, give everything once, the newest first."""
    names = [f"d{number:02}" for number in range(20)]
    random.Random(3).shuffle(names)
    for number, name in enumerate(names):
        listing.add(state, name)
        clock.advance(number % 3)

    (whole,) = pages(state, listing, 50)

    assert sorted(whole) == sorted(names)
    for limit in (1, 3, 19, 20, 21):
        found = pages(state, listing, limit)
        assert list(itertools.chain(*found)) == whole
        assert [len(each) for each in found[:-1]] == [limit] * (len(found) - 1)
        assert 0 < len(found[-1]) <= limit


def test_the_newest_come_first(state, listing, clock) -> None:
    """What was made or changed last is on top."""
    for name in "abcd":
        listing.add(state, name)
        clock.advance(1)
    if listing.refresh:
        listing.refresh(state, "b")

    (found,) = pages(state, listing, 9)

    assert found == (list("bdca") if listing.refresh else list("dcba"))


def test_a_cursor_stays_right_while_others_write(state, listing, clock) -> None:
    """What is added, changed or removed between pages neither repeats nor hides the others."""
    for name in "abcdefgh":
        listing.add(state, name)
        clock.advance(1)
    page = listing.page(state, 3)

    listing.add(state, "new")
    listing.remove(state, "f")  # the last one of the page
    if listing.refresh:
        listing.refresh(state, "g")
    listing.remove(state, "d")
    rest = list(itertools.chain(*pages(state, listing, 2, page.after)))

    assert [listing.name(each) for each in page] == list("hgf")
    assert rest == list("ecba")


def test_an_empty_listing_has_an_empty_page(state, listing) -> None:
    """Where there is nothing, a page is empty and the last."""
    page = listing.page(state, 5)

    assert (page.items, page.after, len(page)) == ((), None, 0)


@pytest.mark.parametrize(
    "after",
    ["", "x", "!", "W10", "WzEsImEiXQ", "WzEuMCwyXQ", "W05hTiwiYSJd", "\ud800", "A" * 99_999, 7],
    ids=lambda after: ascii(after)[:20],
)
def test_a_cursor_of_nothing_is_refused(state, listing, after) -> None:
    """What is no cursor raises `InvalidError`, whatever it is."""
    listing.add(state, "a")

    with pytest.raises(InvalidError, match="after"):
        listing.page(state, 5, after)


def credentials(state, name):
    state.auth().upsert(f"openai:{name}", {"type": "api_key", "provider": "openai", "key": "k" * 9})


EVERY = LISTINGS | {
    "messages": Listing(
        add=lambda state, _: state.transcripts.append("s", SAID),
        page=lambda state, *place: state.transcripts.message_page("s", *place),
        name=attrgetter("id"),
    ),
    "credentials": Listing(
        add=credentials,
        page=lambda state, *place: state.auth().page(*place),
        name=attrgetter("id"),
    ),
    "namespaces": Listing(
        add=lambda state, name: state.dedupe.check_and_record("k", name),
        page=lambda state, *place: state.dedupe.page(*place),
        name=str,
    ),
}


def test_a_cursor_of_another_listing_is_refused(state, clock) -> None:
    """A cursor is good for its own listing alone; any other one refuses it, and names both."""
    for kind, each in EVERY.items():
        for name in "ab":
            each.add(state, f"{kind}-{name}")
            clock.advance(1)
    cursors = {name: each.page(state, 1).after for name, each in EVERY.items()}

    for name, each in EVERY.items():
        assert len(each.page(state, 5, cursors[name])) >= 1
        for other in EVERY.keys() - {name}:
            named = f"after: is a cursor of the listing '{other}', not of '{name}'"
            with pytest.raises(InvalidError, match=named):
                each.page(state, 5, cursors[other])


def test_a_strange_name_in_a_cursor_is_not_repeated(state) -> None:
    """The name in a cursor from anybody stands in no error unless it could be one of ours."""
    for name in ("\x1b[2J", "A" * 300, "<b>", ""):
        with pytest.raises(InvalidError, match="no cursor of the listing 'devices'"):
            state.devices.page(5, Pages(name).encode_cursor((0.0, "a")))


@pytest.mark.parametrize("limit", [0, -1, 1 << 62, (1 << 63) - 1, 10**5000], ids=lambda _: "limit")
@pytest.mark.parametrize("name", EVERY)
def test_the_error_of_a_limit_tells_what_can_be_asked_for(state, name, limit) -> None:
    """A page of fewer than one, or of more than any store holds, is refused with both bounds."""
    with pytest.raises(InvalidError, match="out of range; give 1 to 4611686018427387903"):
        EVERY[name].page(state, limit)

    assert len(EVERY[name].page(state, (1 << 62) - 1)) == 0


@pytest.mark.parametrize("limit", [0, -1, 1.5, "5", None, True, 1 << 70], ids=repr)
def test_a_page_of_nothing_is_refused(state, listing, limit) -> None:
    """A page has at least one item."""
    with pytest.raises(InvalidError, match="limit"):
        listing.page(state, limit)


def test_a_cursor_is_text_for_any_place() -> None:
    """A cursor needs no quotes in a shell or a URL, and means what it was made of."""
    for key in ("", "telegram:42", "a/b c?&=#%", "ключ\U0001f980", '"\\\n\0'):
        for rank in (0.0, -1_700_000_000_000.5, float("inf"), float("-inf")):
            cursor = Pages("any").encode_cursor((rank, key))
            assert Pages("any").decode_cursor(cursor) == (rank, key)
            assert cursor.replace("-", "").replace("_", "").isalnum()


def test_a_cursor_of_pairing_holds_no_code(state, clock) -> None:
    """The cursor of a page of requests tells nothing of their codes."""
    made = [state.pairing.request(user_id="ada", device_id=each) for each in ("a", "b", "c")]

    rank, key = Pages("pairing").decode_cursor(state.pairing.page(1).after)

    assert all(each.code not in f"{rank}{key}" for each in made)


def test_requests_that_are_over_are_on_no_page(state, clock) -> None:
    """Expired, approved and rejected requests are on no page."""
    for name in ("old", "used", "no", "good"):
        state.pairing.request(user_id="ada", device_id=name)
        clock.advance(2000 if name == "old" else 1)
    clock.advance(1700)
    state.pairing.approve_request("used")
    state.pairing.reject_request("no")

    assert [each.device_id for each in state.pairing.page()] == ["good"]


def test_revoked_devices_are_on_request(state, clock) -> None:
    """A page leaves out what `paired` leaves out."""
    for name in "abc":
        pair(state, name)
        clock.advance(1)
    state.devices.revoke("b")

    assert [each.device_id for each in state.devices.page()] == ["c", "a"]
    assert [each.device_id for each in state.devices.page(revoked=True)] == ["c", "b", "a"]


def test_a_page_can_be_of_the_last_seconds(state, clock) -> None:
    """A page of active sessions has those that `entries` has."""
    for name in "abcd":
        state.sessions.resolve(name)
        clock.advance(10)

    page = state.sessions.page(1, active_within=25)
    rest = state.sessions.page(5, page.after, active_within=25)

    assert [each.session_key for each in (*page, *rest)] == ["d", "c"]
    assert rest.after is None


@pytest.mark.parametrize("state", ["file"], indirect=True)
def test_a_lost_index_is_listed_from_the_profiles(state, clock) -> None:
    """Where the index is gone, pages give the sessions that the profiles know."""
    for name in "abc":
        state.sessions.resolve(name)
        clock.advance(1)
    state.paths.sessions_index.unlink()

    assert pages(state, LISTINGS["sessions"], 2) == [["c", "b"], ["a"]]
    assert state.sessions.page(9).items == state.sessions.entries()


@pytest.mark.parametrize("names", [("telegram", "a b", "Ä", "x" * 300, "global", "a/b")])
def test_namespaces_are_listed_by_pages(state, names) -> None:
    """Pages give each namespace of marks once, those with long names too."""
    for name in names:
        state.dedupe.check_and_record("k", name)

    page = state.dedupe.page(2)
    seen = [*page]
    state.dedupe.check_and_record("k", "0 first")
    while page.after is not None:
        page = state.dedupe.page(2, page.after)
        assert len(page) <= 2
        seen += page

    assert sorted(seen) == sorted(names)
    assert set(state.dedupe.namespaces()) == {*names, "0 first"}
    with pytest.raises(InvalidError, match="after"):
        state.dedupe.page(2, "x")


def test_profiles_are_listed_by_pages(state) -> None:
    """Pages give each profile of an agent once, by id."""
    ids = [f"openai:{each}" for each in "dacb"]
    for each in ids:
        state.auth().upsert(each, {"type": "api_key", "provider": "openai", "key": "k" * 20})

    first = state.auth().page(3)
    state.auth().remove("openai:c")
    rest = state.auth().page(3, first.after)

    assert [each.id for each in (*first, *rest)] == sorted(ids)
    assert rest.after is None


def sql(path, statement):
    connection = apsw.Connection(str(path))
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("state", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("name", "database", "index"),
    [
        ("sessions", "records_db", "records_latest:sessions:updatedAt"),
        ("archive", "records_db", "records_latest:session-archive:archivedAt"),
        ("devices", "records_db", "records_latest:devices:createdAtMs"),
        ("pairing", "records_db", "records_latest:pairing:createdAt"),
        ("memory", "memory_db", "memories_newest"),
    ],
)
def test_a_state_of_before_is_listed_and_gets_its_index(state, clock, name, database, index):
    """Without an index the pages are the same; the next change makes it, and reading does not."""
    listing, path = LISTINGS[name], getattr(state.paths, database)
    there = f"SELECT count(*) FROM sqlite_schema WHERE name = '{index}'"
    for each in "abc":
        listing.add(state, each)
        clock.advance(1)
    state.close()
    sql(path, f'DROP INDEX "{index}"')

    with clawstate.open(state.paths.root, store="sqlite", clock=clock) as again:
        assert pages(again, listing, 2) == [["c", "b"], ["a"]]
        assert sql(path, there) == [(0,)]
        listing.add(again, "d")
        assert sql(path, there) == [(1,)]
        assert pages(again, listing, 3) == [["d", "c", "b"], ["a"]]
