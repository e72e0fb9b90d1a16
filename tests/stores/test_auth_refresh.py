from __future__ import annotations

import os
import stat
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from oauth_server import LIFETIME, exchange_with, serving
from refresh_setting import ENGINES, ID, SHAPE, Place, profile_of

from clawstate.clock import to_ms
from clawstate.errors import (
    InvalidError,
    LockTimeoutError,
    NotFoundError,
    StateError,
    UnavailableError,
)
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.files.lock_owner import this_owner
from clawstate.records.json_files import JsonFilesBackend
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.refresh import Refresher
from clawstate.stores.auth.refresh_marks import (
    REFRESH_MEMBERS,
    Pending,
    failure_of,
    reset_marks,
    with_pending,
)
from manual_clock import ManualClock

THREADS = 16
DAMAGED = {"pid": 1, "createdAt": "x", "nonce": "n", "ticks": 10**300}


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def server(clock):
    with serving(clock=clock) as made:
        yield made


@pytest.fixture
def place(tmp_path, engine, server):
    return Place(tmp_path, engine).fill(server.login())


@pytest.fixture
def exchange(server):
    return exchange_with(server.port)


@pytest.fixture
def refresher(place, clock):
    with place.opened(clock=clock) as made:
        yield made


def never(_):
    pytest.fail("the provider was asked")


def answering(body):
    return lambda _: body


def raising(error):
    def exchange(_):
        raise error

    return exchange


class HttpFailure(Exception):
    def __init__(self, status):
        super().__init__(f"status {status}")
        self.status_code = status


class OAuthFailure(Exception):
    def __init__(self, code):
        super().__init__("the server said no")
        self.error = code


def marks(record):
    return [each for each in REFRESH_MEMBERS if each in record]


def test_a_good_token_costs_nothing(tmp_path, engine, server, clock):
    """A token that is good for longer than the margin is returned without network or lock."""
    pair = server.login()
    place = Place(tmp_path, engine).fill(pair, expires=clock() + 301)
    before = sorted(tmp_path.rglob("*"))

    with place.opened(clock=clock) as refresher:
        credential = refresher.refresh(ID, never)

    assert credential.access == pair["access_token"]
    if engine == "file":
        assert sorted(tmp_path.rglob("*")) == before
    assert not place.locks.exists()


def test_an_expired_token_is_replaced(place, server, refresher, exchange, clock):
    """New tokens are stored with their end, and everything else in the profile stays."""
    before = place.record()

    credential = refresher.refresh(ID, exchange)

    after = place.record()
    assert server.is_valid(credential.access)
    assert (credential.access, credential.refresh) == (after["access"], after["refresh"])
    assert after["expires"] == to_ms(clock() + LIFETIME)
    assert {**after, "access": "", "refresh": "", "expires": 0} == {
        **before,
        "access": "",
        "refresh": "",
        "expires": 0,
        "refreshedAt": to_ms(clock()),
    }
    assert place.answers() == []


def test_a_token_is_refreshed_within_the_margin(place, server, refresher, exchange, clock):
    """A token is refreshed from the margin on, and not before."""
    refresher.refresh(ID, exchange)
    clock.advance(LIFETIME - 301)
    refresher.refresh(ID, never)

    clock.advance(1)
    refresher.refresh(ID, exchange)

    assert server.rotations == 2


def test_threads_share_one_refresh(place, server, refresher, exchange):
    """Of many threads one asks, and all get its tokens."""
    with ThreadPoolExecutor(THREADS) as pool:
        landed = list(pool.map(lambda _: refresher.refresh(ID, exchange), range(THREADS)))

    assert server.requests == 1
    assert len({each.access for each in landed}) == 1
    assert server.is_valid(landed[0].access)


def test_threads_share_one_forced_refresh(place, server, refresher, exchange):
    """Of many threads that saw one token refused by an API one asks for a new one."""
    first = refresher.refresh(ID, exchange).access
    server.hold("before")
    ready = threading.Barrier(THREADS)
    seen = ManualClock()

    def forced(_):
        with place.opened(clock=seen) as mine:
            ready.wait(30)
            return mine.refresh(ID, exchange, force=True).access

    with ThreadPoolExecutor(THREADS) as pool:
        landed = pool.map(forced, range(THREADS))
        server.wait_for_request()
        server.release()

    assert first not in {*landed}


class CountingClock(ManualClock):
    """Tells when it was read so many times."""

    def __init__(self, count):
        super().__init__()
        self._mutex = threading.Lock()
        self.was_read = threading.Event()
        self.expect(count)

    def expect(self, count):
        """Count from here."""
        self._left = count
        self.was_read.clear()

    def __call__(self):
        with self._mutex:
            self._left -= 1
            if self._left == 0:
                self.was_read.set()
        return super().__call__()


def test_waiting_callers_share_a_failure(place, server, exchange):
    """Who waited for a request that failed is told so, and does not ask a dead server again."""
    server.failing = 503, {}
    server.hold("before")
    clock = CountingClock(THREADS)  # each call reads it once when it has read the profile

    with place.opened() as first, place.opened(clock=clock) as others:
        with ThreadPoolExecutor(THREADS + 1) as pool:
            asking = pool.submit(first.refresh, ID, exchange)
            server.wait_for_request()
            waiting = [pool.submit(others.refresh, ID, exchange) for _ in range(THREADS)]
            assert clock.was_read.wait(30)
            server.release()
        errors = [each.exception() for each in [asking, *waiting]]

    assert {type(each) for each in errors} == {UnavailableError}
    assert server.requests == 1


def test_an_answer_without_a_refresh_token_keeps_the_old_one(tmp_path, engine, clock):
    """A provider that does not rotate leaves the refresh token as it is."""
    with serving(rotates=False) as server:
        pair = server.login()
        place = Place(tmp_path, engine).fill(pair)
        with place.opened(clock=clock) as refresher:
            credential = refresher.refresh(ID, exchange_with(server.port))

    assert credential.access != pair["access_token"]
    assert place.record()["refresh"] == pair["refresh_token"]


def test_the_other_form_of_an_answer_is_read(place, refresher, clock):
    """An answer with access, refresh and expires in milliseconds is as good."""
    body = {"access": "a-1", "refresh": "r-1", "expires": to_ms(clock() + 900)}

    credential = refresher.refresh(ID, answering(body))

    assert (credential.access, credential.refresh) == ("a-1", "r-1")
    assert credential.expires == clock() + 900


def test_a_short_life_is_no_storm(place, refresher, clock):
    """A token that never reaches the margin is refreshed in the last quarter of its life only."""
    asked = []

    def exchange(_):
        asked.append(1)
        return {"access_token": f"a-{len(asked)}", "refresh_token": "r", "expires_in": 60}

    for _ in range(44):
        refresher.refresh(ID, exchange)
        clock.advance(1)
    assert len(asked) == 1
    clock.advance(2)
    refresher.refresh(ID, exchange)

    assert len(asked) == 2


@pytest.mark.parametrize("jump", [366 * 86400.0, -366 * 86400.0], ids=["ahead", "back"])
def test_a_clock_that_jumps_makes_no_storm(server, refresher, exchange, clock, jump):
    """After a jump of the clock there is at most one refresh."""
    refresher.refresh(ID, exchange)

    clock.advance(jump)
    for _ in range(5):
        refresher.refresh(ID, exchange)

    assert server.requests <= 2


def test_a_refused_login_is_asked_once(place, server, refresher, exchange, clock):
    """A refused refresh token is marked for good, told by name, and not sent again."""
    server.failing = 400, {"error": "invalid_grant"}
    with pytest.raises(InvalidError, match=r"google:me.*refused.*log in again"):
        refresher.refresh(ID, exchange)

    with (
        place.opened(clock=clock) as another,
        pytest.raises(InvalidError, match="log in again"),
    ):
        another.refresh(ID, exchange)

    record = place.record()
    assert server.requests == 1
    failed = failure_of(record)
    assert failed is not None
    assert failed.bars(record["refresh"])


def test_a_profile_stored_again_keeps_only_what_is_under_way():
    """Storing a profile again ends its failure, and does not hide a request that was sent."""
    old = {"access": "a", "refreshPending": {"nonce": "n"}, "refreshFailed": {"final": True}}

    assert reset_marks({"access": "b"}, old) == {"access": "b", "refreshPending": {"nonce": "n"}}
    assert reset_marks({**old, "x": 1}, {"access": "a"}) == {"access": "a", "x": 1}
    assert reset_marks({"access": "b"}, None) == {"access": "b"}


def test_force_tries_a_refused_login_again(place, server, refresher, exchange):
    """A person may insist, and a success takes the mark away."""
    server.failing = 400, {"error": "invalid_grant"}
    with pytest.raises(InvalidError):
        refresher.refresh(ID, exchange)
    server.failing = None

    credential = refresher.refresh(ID, exchange, force=True)

    assert server.is_valid(credential.access)
    assert marks(place.record()) == ["refreshedAt"]


def test_a_new_login_is_not_barred(place, server, refresher, exchange, clock):
    """The mark of a refusal speaks of one token: another in its place is used."""
    server.failing = 401, {"error": "invalid_grant"}
    with pytest.raises(InvalidError):
        refresher.refresh(ID, exchange)
    server.failing = None
    pair = server.login()
    place.update(profile_of(pair))

    credential = refresher.refresh(ID, exchange)

    assert server.is_valid(credential.access)
    assert marks(place.record()) == ["refreshedAt"]


@pytest.mark.parametrize(
    "exchange",
    [
        raising(HttpFailure(400)),
        raising(HttpFailure(401)),
        raising(OAuthFailure("invalid_grant")),
        raising(ValueError("body: invalid_grant")),
        answering({"error": "invalid_client"}),
    ],
    ids=["400", "401", "error", "text", "answer"],
)
def test_a_refusal_is_recognised(place, refresher, exchange):
    """A refusal is one whether it is returned or raised."""
    with pytest.raises(InvalidError, match="log in again"):
        refresher.refresh(ID, exchange)


@pytest.mark.parametrize(
    "exchange",
    [
        raising(HttpFailure(500)),
        raising(HttpFailure(429)),
        raising(HttpFailure(403)),
        raising(TimeoutError("slow")),
        raising(KeyError("x")),
        answering({"error": "temporarily_unavailable"}),
    ],
    ids=["500", "429", "403", "timeout", "bug", "answer"],
)
def test_a_failure_that_may_pass_leaves_the_way_open(place, refresher, server, exchange):
    """An error of server or network is told as such, and the next call tries again."""
    before = place.record()
    with pytest.raises(UnavailableError, match=r"google:me.*try again later"):
        refresher.refresh(ID, exchange)

    after = place.record()
    assert {key: after[key] for key in before} == before
    assert server.is_valid(refresher.refresh(ID, exchange_with(server.port)).access)


def test_a_dead_server_is_told(place, refresher, server):
    """Where nothing listens the error says so."""
    port = server.port
    with serving() as other:
        closed = other.port

    with pytest.raises(UnavailableError, match=r"ConnectionRefusedError at socket\.py"):
        refresher.refresh(ID, exchange_with(closed))

    assert server.is_valid(refresher.refresh(ID, exchange_with(port)).access)


def test_a_token_that_still_lives_outlasts_a_dead_server(tmp_path, engine, server, clock):
    """While the server fails, a token is given out until it has expired, unless it is forced."""
    pair = server.login()
    place = Place(tmp_path, engine).fill(pair, expires=clock() + 100)
    with place.opened(clock=clock) as refresher:
        assert refresher.refresh(ID, raising(OSError())).access == pair["access_token"]

        with pytest.raises(UnavailableError):
            refresher.refresh(ID, raising(OSError()), force=True)
        clock.advance(101)
        with pytest.raises(UnavailableError):
            refresher.refresh(ID, raising(OSError()))


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": "a\nb"},
        {"access_token": "é"},
        {"access_token": "\ud800"},
        {"access_token": "a" * 70_000},
    ],
    ids=range(9),
)
def test_an_answer_without_a_token_changes_nothing(place, refresher, server, exchange, body):
    """An answer in which no token is found is refused, and the next call works."""
    before = place.record()

    with pytest.raises(InvalidError, match=r"google:me: the provider's answer"):
        refresher.refresh(ID, answering(body))

    after = place.record()
    assert {key: after[key] for key in before} == before
    assert place.answers() == []
    assert server.is_valid(refresher.refresh(ID, exchange).access)


def test_an_answer_without_a_lifetime_lasts_an_hour(place, refresher, clock):
    """RFC 6749 lets a provider leave the lifetime out; some write it as text."""
    body = {"access_token": "a", "refresh_token": "b"}
    assert refresher.refresh(ID, answering(body)).expires == clock() + 3600

    body = {"access_token": "c", "expires_in": "3599"}
    assert refresher.refresh(ID, answering(body), force=True).expires == clock() + 3599


def test_what_cannot_be_refreshed_is_told(tmp_path, engine, clock):
    """A missing profile, one of another type and one without a refresh token are told apart."""
    place = Place(tmp_path, engine)
    with place.opened(clock=clock) as refresher:
        with pytest.raises(NotFoundError, match="google:me"):
            refresher.refresh(ID, never)

        place.put({"type": "api_key", "provider": "x", "key": "sk"})
        with pytest.raises(InvalidError, match="cannot be refreshed"):
            refresher.refresh(ID, never)

        place.put({"type": "oauth", "provider": "x", "access": "a", "expires": 1})
        with pytest.raises(InvalidError, match=r"no refresh token.*log in again"):
            refresher.refresh(ID, never)


def test_a_token_that_nothing_renews_is_good_to_its_end(tmp_path, engine, clock):
    """Without a refresh token there is no margin, and without an end no refresh."""
    place = Place(tmp_path, engine)
    record = {"type": "oauth", "provider": "x", "access": "a"}
    with place.opened(clock=clock) as refresher:
        place.put({**record, "expires": to_ms(clock() + 1)})
        assert refresher.refresh(ID, never).access == "a"

        place.put(record)
        assert refresher.refresh(ID, never).access == "a"


def test_tokens_that_another_program_stored_meanwhile_are_used(place, server, refresher, exchange):
    """When OpenClaw was faster and the provider refuses us, its tokens are the answer."""

    def overtaken(credential):
        said = exchange(credential)
        place.update(profile_of(said, expires=ManualClock()() + 3600))
        return exchange(credential)

    server.grace = -1.0
    credential = refresher.refresh(ID, overtaken)

    assert credential.access == place.record()["access"]
    failed = failure_of(place.record())
    assert failed is None or not failed.bars(credential.refresh)
    assert "refreshPending" not in place.record()


def test_a_mark_that_speaks_of_older_tokens_is_no_doubt(place, server, exchange, clock):
    """A mark that OpenClaw kept beside tokens of its own does not keep anybody waiting."""
    taken = []

    def overtaken(credential):
        pair = server.login()
        place.update(profile_of(pair))
        taken.append(pair)
        raise KeyboardInterrupt

    with place.opened(clock=clock) as refresher:
        with pytest.raises(KeyboardInterrupt):
            refresher.refresh(ID, overtaken)
        credential = refresher.refresh(ID, exchange)

    assert server.is_valid(credential.access)


def test_an_interrupted_refresh_keeps_nobody_waiting(place, server, refresher, exchange):
    """After Ctrl-C the next call asks at once."""
    with pytest.raises(KeyboardInterrupt):
        refresher.refresh(ID, raising(KeyboardInterrupt()))

    assert server.is_valid(refresher.refresh(ID, exchange).access)
    assert place.answers() == []


def late(seconds):
    """Return the steady clock of somebody who comes so much later."""
    return lambda: time.monotonic() + seconds


def test_a_late_answer_heals_a_refusal(place, server, exchange, clock):
    """Who used the token up and answers late brings the only tokens there are: they are kept."""

    def slow(credential):
        said = exchange(credential)
        with (
            place.opened(clock=clock, ticks=late(61)) as another,
            pytest.raises(InvalidError, match="log in again"),
        ):
            another.refresh(ID, answering({"error": "invalid_grant"}))
        return said

    with place.opened(clock=clock) as refresher:
        credential = refresher.refresh(ID, slow)

    assert server.is_valid(credential.access)
    assert marks(place.record()) == ["refreshedAt"]


def test_a_late_answer_does_not_replace_a_newer_generation(place, clock):
    """The first answer that is stored stays, and the late one is given the stored tokens."""

    def slow(_):
        with place.opened(clock=clock, lease=0.0) as another:
            for number in (1, 2):
                body = {"access_token": f"new{number}", "refresh_token": f"r{number}"}
                another.refresh(ID, answering(body), force=number == 2)
        return {"access_token": "late", "refresh_token": "lost"}

    with place.opened(clock=clock) as refresher:
        credential = refresher.refresh(ID, slow)

    assert credential.access == "new2"
    assert place.record()["refresh"] == "r2"


def test_nobody_takes_over_within_the_lease(place, server, exchange, clock):
    """A refresh that is under way is waited for, though another's clock on the wall is ahead."""
    ahead = CountingClock(1)
    ahead.advance(1800)
    server.hold("before")

    with (
        place.opened(clock=clock) as refresher,
        place.opened(clock=ahead) as another,
        ThreadPoolExecutor(2) as pool,
    ):
        asking = pool.submit(refresher.refresh, ID, exchange)
        server.wait_for_request()
        waiting = pool.submit(another.refresh, ID, never)
        assert ahead.was_read.wait(30)
        server.release()

    assert asking.result().access == waiting.result().access


def test_patience_ends(place, clock):
    """Who finds one refresh after the other under way gives up, and names the process."""
    now = [0.0]

    def ticks():
        """Move on, and let somebody else begin."""
        now[0] += 2.0
        pending = Pending(this_owner(clock()), now[0])
        place.update(with_pending({}, pending))
        return now[0]

    with (
        place.opened(clock=clock, lease=5.0, ticks=ticks) as refresher,
        pytest.raises(LockTimeoutError, match=r"google:me.*process \d+"),
    ):
        refresher.refresh(ID, never)


def test_a_login_replaced_meanwhile_stays(place, server, refresher, exchange, clock):
    """A new login that is stored during a refresh is not overwritten by it."""
    pair = server.login()

    def overtaken(credential):
        place.put(profile_of(pair, expires=clock() + 3600))
        return exchange(credential)

    credential = refresher.refresh(ID, overtaken)

    assert credential.access == pair["access_token"]
    assert place.record()["refresh"] == pair["refresh_token"]


def test_a_profile_removed_meanwhile_stays_removed(place, refresher, exchange):
    """A refresh does not bring back what was removed."""

    def overtaken(credential):
        place.remove()
        return exchange(credential)

    with pytest.raises(NotFoundError):
        refresher.refresh(ID, overtaken)

    assert place.record() is None


def test_a_refresh_of_openclaw_is_waited_for(tmp_path, server):
    """Tokens that come while OpenClaw holds the file's lock for its own request are used."""
    place = Place(tmp_path, "file").fill(server.login())
    clock = CountingClock(1)
    theirs = profile_of(server.login(), expires=clock() + 3600)

    with (
        place.opened(clock=clock) as refresher,
        ThreadPoolExecutor(1) as pool,
        FileLock(tmp_path / "agent/auth-profiles.json"),  # given back before the pool is waited for
    ):
        clock.expect(1)
        waiting = pool.submit(refresher.refresh, ID, never)
        assert clock.was_read.wait(30)
        place.put(theirs)

    assert waiting.result().access == theirs["access"]


def test_all_that_a_refresh_makes_is_private(place, server, refresher, exchange):
    """Whatever the umask, files and directories of a refresh are the owner's from the start."""
    modes = {}

    def looking(credential):
        for path in (place.locks, *place.locks.rglob("*")):
            modes[path.suffix or path.name] = stat.filemode(path.stat().st_mode)
        return exchange(credential)

    before = os.umask(0)
    try:
        refresher.refresh(ID, looking)
    finally:
        os.umask(before)

    folder, file = "drwx------", "-rw-------"
    assert modes.pop(".answer") == file
    assert modes == {".refresh": folder, "google%3ame": folder, "gate": file, "turn": file}


CANARY = "canary-5f3a"


@pytest.mark.parametrize(
    "exchange",
    [
        raising(ValueError(f"body {CANARY}")),
        raising(HttpFailure(CANARY)),
        raising(OAuthFailure(CANARY)),
        raising(OAuthFailure(f"invalid_grant {CANARY}")),
        raising(ValueError(f"invalid_grant {CANARY}")),
        answering({"error": "invalid_grant", "error_description": CANARY}),
        answering({"error": CANARY}),
        answering({"error": {CANARY: CANARY}}),
        answering({"access_token": [CANARY]}),
        answering({"access_token": f"{CANARY}\n{CANARY}"}),
        answering({"access_token": [CANARY], "refresh_token": [CANARY]}),
        answering({"access_token": {CANARY: CANARY}, "expires_in": CANARY}),
        answering([CANARY]),
        answering(CANARY),
    ],
    ids=range(14),
)
def test_no_secret_is_shown(tmp_path, engine, exchange, caplog, capsys):
    """No error, not even its traceback with all values, shows what a token or answer held."""
    place = Place(tmp_path, engine)
    place.fill({"access_token": f"{CANARY}-a", "refresh_token": f"{CANARY}-r"})

    with place.opened() as refresher, pytest.raises(StateError) as caught:
        refresher.refresh(ID, exchange)

    error = caught.value
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in trace.stack if "/tests/" not in frame.filename]
    shown = [str(error), repr(error), repr(vars(error)), caplog.text, *capsys.readouterr()]
    assert CANARY not in "".join([*shown, *traceback.StackSummary.from_list(frames).format()])
    assert (error.__cause__, error.__context__) == (None, None)
    marked = {name: place.record().get(name) for name in REFRESH_MEMBERS}
    assert CANARY not in repr(marked)


@pytest.fixture
def stuck(tmp_path, server, clock):
    """Give a refresher whose file is locked by somebody when the answer comes."""
    place = Place(tmp_path, "file").fill(server.login())
    backend = JsonFilesBackend(tmp_path, lock=LockOptions(timeout=0.2))
    ask = exchange_with(server.port)
    done = threading.Event()

    def make(codec):
        collection = backend.collection(SHAPE)
        return Refresher(collection, codec, locks=place.locks, clock=clock)

    def exchange(credential):
        held = threading.Event()

        def hold():
            with FileLock(tmp_path / "agent/auth-profiles.json"):
                held.set()
                done.wait(30)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(30)
        threads.append(thread)
        return ask(credential)

    threads = []
    yield place, make, exchange, lambda: (done.set(), [each.join() for each in threads])
    done.set()
    backend.close()


def test_an_answer_that_could_not_be_stored_is_not_lost(server, stuck):
    """When the file stays locked after the answer came, the next call has it without asking."""
    place, make, exchange, unlock = stuck
    refresher = make(CredentialCodec("main"))
    with pytest.raises(LockTimeoutError):
        refresher.refresh(ID, exchange)
    assert len(place.answers()) == 1
    unlock()

    credential = refresher.refresh(ID, never)

    assert server.is_valid(credential.access)
    assert credential.access == place.record()["access"]
    assert place.answers() == []


class Backwards:
    """Seals by writing backwards, which is enough to see that it was asked."""

    def seal(self, secret, *, place):
        return {"sealed": secret[::-1], "place": place}

    def open(self, sealed, *, place):
        assert sealed["place"] == place
        return sealed["sealed"][::-1]


def test_an_answer_on_disk_is_sealed_as_the_profile_is(stuck):
    """Where secrets are encrypted, no file of a refresh holds one in the clear."""
    place, make, exchange, unlock = stuck
    refresher = make(CredentialCodec("main", Backwards))
    with pytest.raises(LockTimeoutError):
        refresher.refresh(ID, exchange)
    unlock()
    text = place.answers()[0].read_text()

    credential = refresher.refresh(ID, never)

    assert credential.refresh is not None
    assert credential.access[::-1] in text
    assert credential.access not in text
    assert credential.refresh not in text
    assert place.answers() == []


def test_what_lies_beside_is_forgotten_with_the_profile(stuck):
    """Answers that were never stored can be removed."""
    place, make, exchange, unlock = stuck
    refresher = make(CredentialCodec("main"))
    with pytest.raises(LockTimeoutError):
        refresher.refresh(ID, exchange)
    unlock()

    refresher.forget(ID)

    assert place.answers() == []


def test_what_is_no_answer_is_passed_over(place, server, refresher, exchange):
    """Damaged, foreign and outdated files among the answers harm nothing."""
    folder = place.locks / "google%3ame"
    folder.mkdir(parents=True, mode=0o700)
    for number, text in enumerate(
        ["", "{", "[]", "7", '{"generation": 7, "record": {}}', "[" * 9999]
    ):
        (folder / f"{number}.answer").write_text(text)
    (folder / "link.answer").symlink_to("/etc/passwd")
    (folder / "folder.answer").mkdir()

    credential = refresher.refresh(ID, exchange)

    assert server.is_valid(credential.access)


@pytest.mark.parametrize(
    "mark",
    [
        None,
        7,
        "x",
        [],
        {},
        {"pid": 1},
        {"pid": 1, "createdAt": "x", "nonce": "n", "ticks": 10**300},
    ],
    ids=range(7),
)
def test_a_damaged_mark_is_none(place, server, refresher, exchange, mark):
    """Whatever stands in the place of a mark, a refresh does not stop at it."""
    marked = {"refreshPending": mark, "refreshFailed": mark, "refreshedAt": mark}
    place.update(marked)

    assert server.is_valid(refresher.refresh(ID, exchange).access)
