"""Records in PostgreSQL beside the same statements of bare psycopg; how soon others see them."""

from __future__ import annotations

import os
import secrets
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg

import clawstate
from clawstate.postgres.address import Address
from clawstate.postgres.database import Database
from clawstate.postgres.local_server import LocalServer
from clawstate.records import postgres_rows as rows
from clawstate.records.postgres import PostgresBackend
from clawstate.testing.collection_hooks import NOTES
from workbench import Workbench

COUNT, ROUNDS, SEEN = 400, 5, 100


TITLE = "Records in PostgreSQL"


def measure(_: Workbench) -> dict[str, float]:
    """Return throughput, its ratio to bare psycopg, and how long a change takes to be seen."""
    outside = Path(tempfile.mkdtemp(prefix="clawstate-bench-"))
    outside.chmod(0o711)
    server = LocalServer(outside / "server")
    server.start()
    try:
        return {**throughput(server), **seen(server)}
    finally:
        server.stop()
        shutil.rmtree(outside, ignore_errors=True)


def lines(result: dict[str, float]) -> Iterator[str]:
    """Give a line for each figure."""
    yield from (f"{name:32} {value:10.3f}" for name, value in result.items())


def throughput(server: LocalServer) -> dict[str, float]:
    backend = PostgresBackend(Database(Address(server.url(), password=server.password)))
    notes = backend.collection(NOTES)
    value = {"n": 0, "text": "lobster" * 10}
    notes.put("a", value)
    keys = notes._keys  # noqa: SLF001 - the same statements, with the same bindings
    bare = psycopg.connect(
        server.url(), password=server.password(), autocommit=True, prepare_threshold=None
    )

    def ours() -> None:
        for number in range(COUNT):
            notes.put("a", {**value, "n": number, "r": secrets.token_hex(4)})

    def theirs() -> None:
        for number in range(COUNT):
            found = bare.execute(rows.FIND, keys.one("a")).fetchone()
            assert found is not None
            text = f'{{"n":{number},"text":"{"lobster" * 10}","r":"{secrets.token_hex(4)}"}}'
            bound = {
                **keys.one("a"),
                "rev": secrets.randbits(62),
                "ranked": "",
                "rank": float("inf"),
                "body": text,
                "found": found[2],
                "operation": str(uuid.uuid4()),
            }
            bare.execute(rows.REPLACE_ALONE, bound)

    ratios, best = [], {"clawstate": 0.0, "psycopg": 0.0}
    for _ in range(ROUNDS):
        pair = {}
        for name, work in (("psycopg", theirs), ("clawstate", ours)):
            begun = time.perf_counter()
            work()
            pair[name] = COUNT / (time.perf_counter() - begun)
            best[name] = max(best[name], pair[name])
        ratios.append(pair["clawstate"] / pair["psycopg"])
    reads = []
    for name, work in (
        ("psycopg", lambda: bare.execute(rows.FIND, keys.one("a")).fetchone()),
        ("clawstate", lambda: notes.get("a")),
    ):
        begun = time.perf_counter()
        for _ in range(COUNT):
            work()
        reads.append((name, COUNT / (time.perf_counter() - begun)))
    bare.close()
    backend.close()
    return {
        "updates/s, clawstate": best["clawstate"],
        "updates/s, bare psycopg": best["psycopg"],
        "ratio of updates": statistics.median(ratios),
        **{f"reads/s, {name}": value for name, value in reads},
    }


def seen(server: LocalServer) -> dict[str, float]:
    """Return how many milliseconds pass until a subscription of another process hears of it."""
    folder = Path(tempfile.mkdtemp())
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        with clawstate.open(folder / "reader", store=server.url()) as state:
            subscription = state.subscribe(
                lambda _: os.write(write_end, f"{time.monotonic()}\n".encode())
            )
            os.write(write_end, b"ready\n")
            time.sleep(600)
            subscription.close()
        os._exit(0)
    heard = os.fdopen(read_end)
    heard.readline()
    waits = []
    with clawstate.open(folder / "writer", store=server.url()) as state:
        for number in range(SEEN):
            time.sleep(0.03 + 0.001 * (number % 50))
            begun = time.monotonic()
            state.sessions.resolve(f"bench:{number}")
            waits.append((float(heard.readline()) - begun) * 1000)
    os.kill(child, 9)
    os.waitpid(child, 0)
    waits.sort()
    return {
        "change seen, ms, p50": waits[SEEN // 2],
        "change seen, ms, p95": waits[SEEN * 95 // 100],
    }
