from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest

import clawstate

pytest.importorskip("nio", reason="the extra matrix is not installed")
from nio import AsyncClient, RoomMessagesResponse, RoomSendResponse

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

HERE = Path(__file__).parent
BOT = "@bot:localhost"
POINTS = 50
ENCRYPTED = {
    "type": "m.room.encryption",
    "state_key": "",
    "content": {"algorithm": "m.megolm.v1.aes-sha2"},
}


class Bots:
    """Starts echo bots on the state in *root*, and reads what they print."""

    def __init__(self, root: Path, url: str) -> None:
        self.url = url
        self._process = subprocess.Popen(
            [sys.executable, HERE / "bots.py"],
            env={**os.environ, "OPENCLAW_STATE_DIR": str(root), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: Queue[str] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()
        self.pid = 0
        self.said: list[str] = []
        self.devices: set[str] = set()

    def start(self, password: str = "-", step: int = 0) -> None:
        self._process.stdin.write(f"{self.url} {BOT} {password} {step}\n")
        self._process.stdin.flush()
        self.pid = int(self.wait_for("started", of=0).partition(" ")[0])

    def kill(self) -> None:
        if self.is_alive():
            os.kill(self.pid, signal.SIGKILL)
        while self.is_alive():
            time.sleep(0.01)

    def is_alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def wait_for(self, word: str, *, of: int | None = None, seconds: float = 120) -> str:
        """Return the next line with *word*, or nothing if the bot ends before."""
        whose = self.pid if of is None else of
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                pid, text = self._next(0.05)
            except Empty:
                if whose and not self.is_alive():
                    return ""
                continue
            if text.startswith(word) and whose in {0, pid}:
                return f"{pid} {text}"
        raise AssertionError(f"no bot said {word!r}")

    def rest(self, times: int = 4) -> None:
        """Wait until the bot has nothing more to do: it has synced so often from now on."""
        with suppress(Empty):
            while True:
                self._next(0)
        for _ in range(times):
            assert self.wait_for("rests"), "the bot ended"

    def close(self) -> None:
        if self.pid:
            self.kill()
        self._process.stdin.close()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def _next(self, seconds: float) -> tuple[int, str]:
        line = self._lines.get(timeout=seconds) if seconds else self._lines.get_nowait()
        pid, _, text = line.partition(" ")
        if text.startswith("device"):
            self.devices.add(text)
        elif text.startswith(("told", "unread")):
            self.said.append(text)
        return int(pid), text

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))


class Alice:
    """Somebody who talks to the bot in an encrypted room, from a client of matrix-nio."""

    def __init__(self, homeserver, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = AsyncClient(homeserver.url, "@alice:localhost", store_path=str(folder))
        self.room = ""
        self._run(self._client.login("pw"))
        self._run(self._client.sync(full_state=True))
        self._run(self._client.keys_upload())

    def invite(self) -> None:
        made = self._run(self._client.room_create(invite=[BOT], initial_state=[ENCRYPTED]))
        self.room = made.room_id

    def meet(self) -> None:
        """Learn the devices in the room."""
        for _ in range(2):
            self._run(self._client.sync())
        if self._client.should_query_keys:
            self._run(self._client.keys_query())

    def say(self, *texts: str, anew: bool = False) -> None:
        if anew:  # with another key, which each device is sent first
            self._client.invalidate_outbound_session(self.room)
        for text in texts:
            content = {"msgtype": "m.text", "body": text}
            sent = self._client.room_send(
                self.room, "m.room.message", content, ignore_unverified_devices=True
            )
            assert isinstance(self._run(sent), RoomSendResponse)

    def answers(self) -> Counter[str]:
        """Return how often the bot gave each answer."""
        self._run(self._client.sync(full_state=True))
        found: Counter[str] = Counter()
        start = self._client.next_batch
        while start:
            page = self._run(self._client.room_messages(self.room, start, limit=200))
            assert isinstance(page, RoomMessagesResponse)
            found.update(e.body for e in page.chunk if e.sender == BOT and hasattr(e, "body"))
            unread = [e for e in page.chunk if e.sender == BOT and "Megolm" in type(e).__name__]
            assert unread == []
            start = page.end if page.chunk else ""
        return found

    def bother(self, count: int, device: str) -> None:
        """Send so many messages to the bot's device that mean nothing."""
        for number in range(count):
            content = {"messages": {BOT: {device: {"n": number}}}}
            path = f"/_matrix/client/v3/sendToDevice/org.clawstate.noise/{time.monotonic_ns()}"
            headers = {"Authorization": f"Bearer {self._client.access_token}"}
            asked = self._client.client_session.request(
                "PUT", self._client.homeserver + path, json=content, headers=headers
            )
            self._run(self._status(asked))

    def close(self) -> None:
        self._run(self._client.close())
        self._loop.close()

    @staticmethod
    async def _status(asked) -> int:
        async with asked as answer:
            assert answer.status == 200
            return answer.status

    def _run(self, work):
        return self._loop.run_until_complete(work)


@pytest.fixture
def world(request, homeserver, tmp_path, monkeypatch):
    """Return a bot that is in an encrypted room with Alice, and rests; and Alice."""
    store = getattr(request, "param", "file")
    if store == "postgresql":
        store = request.getfixturevalue("postgres").full_url
    monkeypatch.setenv("CLAWSTATE_STORE", store)
    for name in ("alice", "state"):
        (tmp_path / name).mkdir()
    alice, bots = Alice(homeserver, tmp_path / "alice"), Bots(tmp_path / "state", homeserver.url)
    try:
        if not (tmp_path / "state" / "credentials").exists():
            bots.start("pw")
            bots.rest(2)
            alice.invite()
            bots.rest(4)
            alice.meet()
        yield bots, alice, tmp_path / "state"
    finally:
        bots.close()
        alice.close()


def answer(text: str) -> str:
    return f"You said: {text}"


@pytest.mark.parametrize("world", ["file", "sqlite", "postgresql"], indirect=True)
def test_what_came_while_it_was_down_is_read_once(world) -> None:
    """A bot that was stopped decrypts exactly what it missed, each message once, also very many."""
    bots, alice, _ = world
    alice.say("hello")
    bots.rest()
    bots.kill()
    missed = [f"missed {n}" for n in range(35)]  # more than a sync tells of a room
    alice.say(*missed, anew=True)
    bots.said.clear()

    bots.start()
    bots.rest(6)

    assert bots.said == [f"told True {text}" for text in missed]
    assert alice.answers() == Counter([answer("hello"), *map(answer, missed)])
    assert len(bots.devices) == 1


@pytest.mark.parametrize("how", ["forgotten", "logged out"])
def test_a_new_login_reads_what_came_before_it(world, how: str) -> None:
    """With another token the bot is the same device, and reads what it missed; also after a logout.

    A logout makes the server forget the keys that were sent to the device and not fetched: then
    what was said with a key that the device has is read.
    """
    bots, alice, root = world
    alice.say("hello")
    bots.rest()
    bots.kill()
    alice.say("before", anew=how == "forgotten")
    with clawstate.open(root) as state:
        kept = state.matrix.credentials().require()
        if how == "forgotten":
            state.matrix.credentials().remove()
        else:
            asyncio.run(log_out(kept))

    bots.start("pw")
    bots.rest(6)
    alice.meet()
    alice.say("after", anew=True)
    bots.rest(6)

    assert len(bots.devices) == 1
    assert alice.answers() == Counter(map(answer, ("hello", "before", "after")))
    with clawstate.open(root) as state:
        assert state.matrix.credentials().require().access_token != kept.access_token
        assert len(state.matrix.logins()) == 1


async def log_out(kept) -> None:
    client = AsyncClient(kept.homeserver, kept.user_id)
    client.access_token = kept.access_token
    await client.logout()
    await client.close()


def test_a_key_that_comes_late_opens_what_waited(world) -> None:
    """A message whose key is behind a hundred others is read when the key comes, once."""
    bots, alice, _ = world
    device = next(iter(bots.devices)).split()[1]
    bots.kill()
    alice.bother(150, device)
    alice.say("with a late key", anew=True)

    bots.start()
    bots.rest(8)

    assert [each for each in bots.said if each.startswith("unread")]
    assert alice.answers() == Counter([answer("with a late key")])


def test_the_example_answers(world, tmp_path) -> None:
    """The bot in `examples` is a whole one: with a password on its input it answers."""
    bots, alice, _ = world
    bots.kill()
    script = HERE.parents[1] / "examples" / "echo_bot.py"
    with subprocess.Popen(
        # What a shell starts in the background ignores the signal, and so would the bot.
        ["env", "--default-signal=INT", sys.executable, script, bots.url, BOT],
        env={**os.environ, "OPENCLAW_STATE_DIR": str(tmp_path / "other")},
        stdin=subprocess.PIPE,
        text=True,
    ) as bot:
        bot.stdin.write("pw\n")
        bot.stdin.close()
        until, found = time.monotonic() + 120, 0
        while not found and time.monotonic() < until:
            alice.meet()
            alice.say("hello", anew=True)
            found = alice.answers()[answer("hello")]
        bot.send_signal(signal.SIGINT)

    assert found
    assert bot.returncode == 0


def test_two_clients_of_a_device_do_not_run_at_once(world) -> None:
    """While a bot runs, another one of its device is refused, by name; after a kill it is not."""
    bots, _, root = world

    with clawstate.open(root) as state, pytest.raises(clawstate.LockTimeoutError):
        state.matrix().hold()

    bots.kill()
    with clawstate.open(root) as state:
        state.matrix().hold().release()


@pytest.mark.crash
@pytest.mark.timeout(1800)
def test_a_kill_at_any_step_loses_nothing_and_repeats_nothing(world) -> None:
    """Killed at fifty points of a sync, the bot has answered each message once at the end."""
    bots, alice, _ = world
    bots.kill()
    chance = random.Random(int(os.environ.get("CLAWSTATE_SEED", "0")))
    texts: list[str] = []
    killed = 0

    for point in range(POINTS):
        told = [f"{point}.{n}" for n in range(2)]
        alice.say(*told, anew=point % 2 == 0)
        texts += told
        by_step = point < POINTS * 3 // 5
        bots.start(step=point + 1 if by_step else 0)
        if by_step:
            bots.wait_for("rests")
        else:
            bots.wait_for("device")
            time.sleep(chance.uniform(0, 0.4))
        killed += not (by_step and bots.is_alive())
        bots.kill()

    bots.start()
    bots.rest(6)

    assert killed >= POINTS * 4 // 5  # the others had fewer steps
    assert alice.answers() == Counter(map(answer, texts))
    assert len(bots.devices) == 1
