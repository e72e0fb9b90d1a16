from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial
from typing import Self

import anyio
import pytest
from anyio import CancelScope, from_thread

import clawstate
from clawstate.aio import AsyncState, open_async
from clawstate.aio.parts import AsyncMemory
from clawstate.aio.workers import EMBEDDING_THREADS, THREADS, Workers
from clawstate.errors import InvalidError
from clawstate.memory.service import Memory
from clawstate.records.contract import Collection
from clawstate.state import State, open_state
from clawstate.testing.collection_hooks import NOTES
from clawstate.testing.memory_hooks import HashEmbedder
from open_files import open_below

PARTS = [
    *("memory", "config", "auth", "sessions", "transcripts", "pairing", "devices"),
    "device_flow",
    *("device_auth", "identity", "dedupe", "encryption", "records", "places", "openclaw", "health"),
    "plugins",
]
LEFT_OUT = {"close"}  # the state closes all of them


def part_of(state, name: str):
    return state.auth() if name == "auth" else getattr(state, name)


def verbs(part) -> dict[str, inspect.Signature | None]:
    """Return the public methods with what they take; `None` for what is no method."""
    return verbs_of(type(part))


def verbs_of(kind: type) -> dict[str, inspect.Signature | None]:
    found: dict[str, inspect.Signature | None] = {}
    for name in dir(kind):
        value = inspect.getattr_static(kind, name)
        is_bare = isinstance(value, staticmethod | classmethod)
        if not name.startswith("_") and name not in LEFT_OUT and not is_bare:
            found[name] = inspect.signature(value) if inspect.isfunction(value) else None
    return found


@pytest.mark.parametrize("name", PARTS)
def test_each_verb_has_its_pair(state, name: str) -> None:
    """Every verb of a part can be awaited, and takes and gives exactly the same."""
    awaited = AsyncState(state)

    theirs, ours = verbs(part_of(state, name)), verbs(part_of(awaited, name))

    assert ours == theirs


def test_each_member_of_a_state_has_its_pair(state) -> None:
    """All that a state offers, its asynchronous form offers by the same name."""
    awaited = AsyncState(state)
    names = {each for each in dir(State) if not each.startswith("_")} | {"paths", "config"}

    assert {each for each in names if not hasattr(awaited, each)} == set()
    # What is told of is given to a loop over it there, and to a callback here.
    for name in (names - {"subscribe"}) & set(vars(AsyncState)) & set(vars(State)):
        theirs, ours = vars(State)[name], vars(AsyncState)[name]
        if inspect.isfunction(theirs):
            assert [*inspect.signature(ours).parameters] == [*inspect.signature(theirs).parameters]


def test_each_verb_of_a_collection_has_its_pair(state) -> None:
    """Collections of one's own are awaited as well."""
    ours = verbs(AsyncState(state).collection(NOTES))

    assert ours == verbs_of(Collection)


MATRIX = {"homeserver": "https://h.org", "user_id": "@a:h.org", "access_token": "t"}


@pytest.mark.parametrize(
    "part",
    [
        lambda state: state.matrix,
        lambda state: state.matrix.credentials(),
        lambda state: state.matrix(**MATRIX),
        lambda state: state.matrix(**MATRIX).storage,
        lambda state: state.matrix(**MATRIX).keys,
        lambda state: state.matrix(**MATRIX).storage.storage_for_user("@b:h.org"),
    ],
)
def test_each_verb_of_a_matrix_client_has_its_pair(state, part) -> None:
    """What a Matrix client keeps is awaited by the same names, with the same arguments."""
    theirs, ours = verbs(part(state)), verbs(part(AsyncState(state)))

    assert {name: each and [*each.parameters] for name, each in ours.items()} == {
        name: each and [*each.parameters] for name, each in theirs.items()
    }


def test_a_verb_says_what_its_pair_says() -> None:
    """The help of a verb that is awaited is that of its pair."""
    assert AsyncMemory.search.__doc__ == Memory.search.__doc__
    assert inspect.iscoroutinefunction(AsyncMemory.search)


def test_it_is_opened_as_a_state_is() -> None:
    """`open_async` takes what `open` takes."""
    assert inspect.signature(open_async).parameters == inspect.signature(open_state).parameters


def test_the_verbs_work_awaited(tmp_path) -> None:
    """What was awaited is kept, as a state opened the other way sees."""

    async def main() -> list[str]:
        async with clawstate.open_async(tmp_path / "state") as state:
            await state.config.set("gateway.port", 18790)
            await state.auth().upsert("a:b", {"type": "api_key", "provider": "a", "key": "k" * 20})
            entry = await state.sessions.resolve("telegram:42")
            said = [{"role": "user", "content": "green tea"}]
            await state.transcripts.append(entry.session_id, said)
            request = await state.pairing.request(user_id="ada", device_id="phone")
            issued = await state.pairing.approve(request.code)
            assert await state.devices.verify("phone", issued.token)
            assert await state.dedupe.check_and_record("k", "telegram")
            made = await asyncio.gather(*(state.memory.add(f"tea {n}") for n in range(20)))
            hits = await state.memory.search("tea", mode="words", k=50)
            assert {hit.record.id for hit in hits} == set(made)
            return list(await state.auth().order("a"))

    assert asyncio.run(main()) == ["a:b"]
    with clawstate.open(tmp_path / "state") as state:
        assert state.config.get("gateway.port") == 18790
        assert len(state.transcripts.search("tea")) == 1


def test_errors_come_through(tmp_path) -> None:
    """A verb raises where it is awaited what the other one raises."""

    async def main() -> None:
        async with clawstate.open_async(tmp_path / "state") as state:
            with pytest.raises(clawstate.NotFoundError):
                await state.sessions.require("nothing")
            with pytest.raises(clawstate.InvalidError):
                await state.memory.add("")
        with pytest.raises(clawstate.ClosedError):
            await state.memory.add("too late")
        await state.close()

    asyncio.run(main())


def test_the_loop_goes_on_while_a_verb_waits(tmp_path) -> None:
    """A verb that waits for a lock keeps no other task waiting, and closing waits for the verb."""

    async def main() -> tuple[bool, list[str]]:
        order: list[str] = []
        state = clawstate.open_async(tmp_path / "state")
        await state.config.set("gateway.port", 1)
        holding, free = threading.Event(), threading.Event()

        def hold() -> None:
            with clawstate.file_lock(tmp_path / "state" / "openclaw.json"):
                holding.set()
                free.wait(60)

        keeper = threading.Thread(target=hold)
        keeper.start()
        await asyncio.to_thread(holding.wait, 60)

        async def change() -> None:
            await state.config.set("gateway.port", 2)
            order.append("changed")

        async def close() -> None:
            await state.close()
            order.append("closed")

        changing = asyncio.create_task(change())
        await asyncio.sleep(0)
        closing = asyncio.create_task(close())
        await asyncio.sleep(0)
        went_on = not changing.done()
        free.set()
        await asyncio.gather(changing, closing)
        await asyncio.to_thread(keeper.join)
        return went_on, order

    assert asyncio.run(main()) == (True, ["changed", "closed"])


LOOPS = ("asyncio", "trio", "asyncio, by its task")
POINTS = 10  # of each write, at which it is cancelled
KEY = {"type": "api_key", "provider": "a"}
WRITES = {
    "config": (
        lambda state, n: state.config.set("gateway.port", 2000 + n),
        lambda state, n: state.config.get("gateway.port") == 2000 + n,
    ),
    "auth": (
        lambda state, n: state.auth().upsert(f"a:{n}", {**KEY, "key": f"key-{n}"}),
        lambda state, n: state.auth().get(f"a:{n}") is not None,
    ),
    "sessions": (
        lambda state, n: state.sessions.resolve(f"agent:main:k{n}"),
        lambda state, n: state.sessions.get(f"agent:main:k{n}") is not None,
    ),
    "transcripts": (
        lambda state, n: state.transcripts.append("s", [{"role": "user", "content": f"n{n}"}] * 3),
        lambda state, n: [m.text for m in state.transcripts.messages("s")][-3:] == [f"n{n}"] * 3,
    ),
    "memory": (
        lambda state, n: state.memory.add(f"tea {n}"),
        lambda state, n: f"tea {n}" in [each.text for each in state.memory.records(limit=500)],
    ),
    "dedupe": (
        lambda state, n: state.dedupe.check_and_record(f"k{n}"),
        lambda state, n: state.dedupe.seen(f"k{n}"),
    ),
}  # fmt: skip


class Steps:
    """Counts the calls of a thread, and acts at one of them."""

    def __init__(self, at: int = 0, act=lambda: None) -> None:
        self.count, self._at, self._act = 0, at, act
        self.has_acted = False

    def __enter__(self) -> Self:
        sys.setprofile(self._step)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _step(self, _frame, event: str, _arg) -> None:
        if event == "call":
            self.count += 1
            if self.count == self._at:
                self.has_acted = True
                self._act()


async def cancelled(loop: str, workers: Workers, write, at: int) -> Steps:
    """Await *write*, cancelled at its call number *at*; return how far it came."""
    steps = []

    def work(cancel) -> None:
        with Steps(at, lambda: from_thread.run_sync(cancel)) as counted:
            steps.append(counted)
            write()

    if loop == LOOPS[2]:
        task = asyncio.ensure_future(workers.run(lambda: work(task.cancel)))
        with suppress(asyncio.CancelledError):
            await task
    else:
        with CancelScope() as scope:
            await workers.run(lambda: work(scope.cancel))
    return steps[0]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("engine", ["file", "sqlite"])
@pytest.mark.parametrize("part", WRITES)
def test_a_write_that_is_cancelled_is_whole(tmp_path, loop, engine, part) -> None:
    """Wherever it is cancelled, a write that began is there, and the next one finds no lock."""
    write, is_there = WRITES[part]

    async def main(state: State) -> tuple[list[int], int]:
        workers, wrong, met = Workers(), [], 0
        write(state, 0)
        whole = (await cancelled(loop, workers, lambda: write(state, 1), 0)).count
        for n in range(2, POINTS + 2):
            at = max(1, whole * (n - 2) // POINTS)
            met += (await cancelled(loop, workers, partial(write, state, n), at)).has_acted
            if not is_there(state, n):
                wrong.append(at)
            write(state, n + 100)
        return wrong, met

    with clawstate.open(tmp_path / "state", store=engine, lock_timeout=5) as state:
        wrong, met = anyio.run(main, state, backend=loop.partition(",")[0])
        assert wrong == []
        assert met > POINTS // 2
        assert not [*(tmp_path / "state").rglob("*.lock")]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_call_that_has_not_begun_is_given_up(tmp_path, loop) -> None:
    """A task that is cancelled while it waits for a thread leaves nothing, and holds up nobody."""

    async def main(state: AsyncState) -> None:
        free = threading.Event()
        async with anyio.create_task_group() as group:
            for _ in range(THREADS):
                group.start_soon(partial(state._workers.run, lambda: free.wait(60)))
            await anyio.wait_all_tasks_blocked()
            if loop == LOOPS[2]:
                task = asyncio.ensure_future(state.sessions.resolve("late"))
                await anyio.wait_all_tasks_blocked()
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            else:
                with CancelScope() as scope:
                    scope.cancel()
                    await state.sessions.resolve("late")
            free.set()
        assert await state.sessions.get("late") is None
        assert (await state.sessions.resolve("late")).session_key == "late"
        await state.close()

    state = clawstate.open_async(tmp_path / "state")
    anyio.run(main, state, backend=loop.partition(",")[0])


@pytest.mark.parametrize("loop", LOOPS[:2])
def test_a_state_is_left_whole_by_a_cancelled_task(tmp_path, loop) -> None:
    """A block that is cancelled closes the state all the same, when its calls are over."""

    async def main() -> None:
        with CancelScope() as scope:
            async with clawstate.open_async(tmp_path / "state") as state:
                await state.memory.add("green tea")
                scope.cancel()
                await anyio.sleep_forever()
        with pytest.raises(clawstate.ClosedError):
            await state.memory.get("x")

    anyio.run(main, backend=loop)

    assert open_below(tmp_path) == []


@pytest.mark.parametrize("loop", LOOPS[:2])
def test_tasks_that_close_at_once_all_end(tmp_path, loop) -> None:
    """However many tasks close a state while a call runs, each goes on when the call is over."""
    order: list[str] = []
    free = threading.Event()

    async def call(state: AsyncState) -> None:
        await state._workers.run(lambda: free.wait(60))
        order.append("called")

    async def close(state: AsyncState) -> None:
        await state.close()
        order.append("closed")

    async def main() -> None:
        state = clawstate.open_async(tmp_path / "state")
        async with anyio.create_task_group() as group:
            for task in (call, close, close, close):
                group.start_soon(task, state)
                await anyio.wait_all_tasks_blocked()
            free.set()

    # In a thread that ends with the process: a close that hangs cannot be cancelled.
    loops = threading.Thread(target=partial(anyio.run, main, backend=loop), daemon=True)
    loops.start()
    loops.join(30)

    assert order == ["called", "closed", "closed", "closed"]


class Slow(HashEmbedder):
    """An embedder that answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.free, self.asked = threading.Event(), threading.Semaphore(0)

    def subwords(self, texts):
        self.asked.release()
        self.free.wait(60)
        return super().subwords(texts)


@pytest.mark.parametrize("loop", LOOPS[:2])
def test_a_slow_model_keeps_no_other_verb_waiting(tmp_path, loop) -> None:
    """However many searches wait for the model, all other verbs have threads of their own."""
    slow = Slow()

    async def main() -> int:
        async with clawstate.open_async(tmp_path / "state", embedder=slow) as state:
            async with anyio.create_task_group() as group:
                for n in range(THREADS + EMBEDDING_THREADS):
                    group.start_soon(partial(state.memory.search, f"tea {n}", mode="vector"))
                await anyio.to_thread.run_sync(partial(slow.asked.acquire, timeout=60))
                for n in range(THREADS):
                    await state.sessions.resolve(f"k{n}")
                done = len(await state.sessions.entries())
                slow.free.set()
            return done

    assert anyio.run(main, backend=loop) == THREADS


def test_no_event_loop_is_loaded_before_it_is_used() -> None:
    """Importing clawstate and opening a state load no asyncio."""
    code = (
        "import sys, tempfile, clawstate\n"
        "with tempfile.TemporaryDirectory() as place, clawstate.open(place) as state:\n"
        "    state.sessions.resolve('k')\n"
        "    print('asyncio' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "False\n"


def test_what_moves_is_told_to_a_loop(tmp_path) -> None:
    """A loop over `subscribe` is given what others change, and ends when the state is closed."""

    async def main() -> list[str]:
        told = []
        async with clawstate.open_async(tmp_path / "state") as state:
            since = (await state.changes()).cursor
            await state.memory.add("green tea")
            async for changes in state.subscribe(since=since, interval=0.005):
                told += [item.part for item in changes.items]
                if "sessions" in told:
                    break
                await state.sessions.resolve("main")
            waiting = anext(state.subscribe(since=since + "x", interval=0.005))
            assert not (await waiting).complete
            rest = state.subscribe(interval=0.005)
            last = asyncio.ensure_future(anext(rest, None))
            await asyncio.sleep(0.02)
        assert await last is None
        return told

    assert asyncio.run(main())[:2] == ["memory", "sessions"]


@pytest.mark.parametrize("interval", [-1, "1", None])
def test_the_interval_of_a_loop_is_seconds(tmp_path, interval) -> None:
    """What is no number of seconds is refused by the loop as by a subscription."""

    async def main() -> None:
        async with clawstate.open_async(tmp_path / "state") as state:
            with pytest.raises(InvalidError):
                await anext(state.subscribe(interval=interval))

    asyncio.run(main())
