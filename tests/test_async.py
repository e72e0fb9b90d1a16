from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import threading

import pytest

import clawstate
from clawstate.aio import AsyncState, open_async
from clawstate.aio.state import THREADS
from clawstate.errors import InvalidError
from clawstate.state import open_state

PARTS = [
    *("memory", "config", "auth", "sessions", "transcripts", "pairing", "devices"),
    *("device_auth", "identity", "dedupe"),
]
LEFT_OUT = {"close"}  # the state closes all of them


def part_of(state, name: str):
    return state.auth() if name == "auth" else getattr(state, name)


def verbs(part) -> dict[str, inspect.Signature | None]:
    """Return the public methods with what they take; `None` for what is no method."""
    found = {}
    for name in dir(type(part)):
        value = inspect.getattr_static(type(part), name)
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


def test_a_cancelled_task_leaves_the_write_whole(tmp_path) -> None:
    """A task that gives up waiting undoes nothing: the record is there, or it is not."""

    async def main() -> None:
        async with clawstate.open_async(tmp_path / "state") as state:
            tasks = [asyncio.create_task(state.memory.add(f"tea {n}")) for n in range(3 * THREADS)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())

    with clawstate.open(tmp_path / "state") as state:
        assert len(state.memory.records(limit=100)) >= 3 * THREADS // 2
        assert state.memory.findings(deep=True) == []


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
