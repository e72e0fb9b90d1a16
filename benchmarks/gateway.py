"""
What the gateway costs: until it is ready, idle, a search, cached reads, a thousand listeners.

Run it with OPENBLAS_NUM_THREADS=1, as the command line does with itself: the search of the library
that the one over HTTP is compared with runs in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect

import clawstate
from clawstate.state import State

API = "/api/v1"
READS = 2_000
SEARCHES = 200
SOCKETS = 1_000
EVENTS = 20
PATIENT: dict[str, Any] = {"compression": None, "open_timeout": 60, "ping_interval": None}


class Gateway:
    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-m", "clawstate", "--state-dir", str(root), "--json"]
        self.process = subprocess.Popen(
            [*command, "gateway", "run", "--port", "0"], stdout=subprocess.PIPE
        )
        told = b""
        while not told.rstrip().endswith(b"}"):
            told += self.process.stdout.readline()
        self.url = json.loads(told)["url"]
        self.place = urlsplit(self.url).netloc
        self.ready = self.cpu()
        self.token = (root / "state" / "gateway-token").read_text().strip()

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.place)

    def ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Any = None,
        **headers: str,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        sent = {"Authorization": f"Bearer {self.token}", **headers}
        sent |= {} if body is None else {"Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, sent)
        answer = connection.getresponse()
        assert answer.status < http.client.BAD_REQUEST, answer.read()
        return answer, answer.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--sockets", type=int, default=SOCKETS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "state"
        with clawstate.open(root) as state:
            made = state.memory.add_many(
                {"text": f"note {n} about tea and the {n % 97} of {n % 89}"}
                for n in range(given.records)
            )
            gateway = Gateway(root)
            try:
                print(f"ready after {gateway.ready:.2f} s CPU")
                time.sleep(2)
                print(f"idle: {gateway.resident():.0f} MB, {idle(gateway):.2f} % of a core")
                search(state, gateway)
                reads(gateway, made[0])
                listeners(gateway, given.sockets)
            finally:
                gateway.process.terminate()
                gateway.process.wait()


def idle(gateway: Gateway) -> float:
    before, begun = gateway.cpu(), time.perf_counter()
    time.sleep(3)
    return 100 * (gateway.cpu() - before) / (time.perf_counter() - begun)


def search(state: State, gateway: Gateway) -> None:
    questions = [f"tea and the {n % 97}" for n in range(SEARCHES)]
    connection = gateway.connect()
    library, over_http = [], []
    for question in questions:  # both know the question, and neither answers from its cache
        begun = time.perf_counter()
        state.memory.search(question, fresh=True)
        library.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        gateway.ask(connection, "POST", f"{API}/memory/search", {"query": question, "fresh": True})
        over_http.append(time.perf_counter() - begun)
    one, other = (1000 * statistics.median(each) for each in (library, over_http))
    print(f"search: library {one:.2f} ms, HTTP {other:.2f} ms p50, {other - one:+.2f} ms")


def reads(gateway: Gateway, record: str) -> None:
    path, threads = f"{API}/memory/records/{record}", 4
    answer, _ = gateway.ask(gateway.connect(), "GET", path)
    etag = answer.headers["ETag"]

    def read() -> None:
        connection = gateway.connect()
        for _ in range(READS // threads):
            gateway.ask(connection, "GET", path, **{"If-None-Match": etag})

    begun, cpu = time.perf_counter(), gateway.cpu()
    every = [threading.Thread(target=read) for _ in range(threads)]
    for each in every:
        each.start()
    for each in every:
        each.join()
    took, each_takes = time.perf_counter() - begun, 1000 * (gateway.cpu() - cpu) / READS
    print(
        f"cached reads: {READS / took:,.0f} a second, {each_takes:.2f} ms CPU of the gateway each"
    )


def listeners(gateway: Gateway, count: int) -> None:
    command = [sys.executable, __file__, "--listen", gateway.place, gateway.token, str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listening:
        assert listening.stdout.readline() == "listening\n"
        print(f"with {count:,} listeners: {gateway.resident():.0f} MB")
        connection = gateway.connect()
        for _ in range(EVENTS):
            note = {"text": f"{time.time()}", "namespace": "events"}
            gateway.ask(connection, "POST", f"{API}/memory/records", note)
            time.sleep(0.5)
        print(listening.stdout.read().strip())


def made_at(key: str) -> int:
    """Return when the record of this id was made, in milliseconds: it is a UUID of version 7."""
    return int(key.replace("-", "")[:12], 16)


def listen(place: str, token: str, count: int) -> None:
    """Open *count* WebSockets, and tell how long each event took to each of them."""

    async def follow_all() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        sockets = [
            await connect(f"ws://{place}/ws", additional_headers=headers, **PATIENT)
            for _ in range(count)
        ]
        for each in sockets:
            await each.recv()
        print("listening", flush=True)
        delays: list[float] = []

        async def follow(socket: ClientConnection) -> None:
            seen = 0
            while seen < EVENTS:
                message = json.loads(await socket.recv())
                keys = [each["keys"] for each in message["items"] if each["part"] == "memory"]
                for key in (key for found in keys for key in found or ()):
                    delays.append(time.time() * 1000 - made_at(key))
                    seen += 1

        await asyncio.wait_for(asyncio.gather(*map(follow, sockets)), 10 * EVENTS)
        delays.sort()
        told = len(delays)
        print(f"events: {told:,} of {EVENTS * count:,} arrived, from the write to each listener")
        print(f"p50 {delays[told // 2]:.0f} ms, p99 {delays[told * 99 // 100]:.0f} ms")

    asyncio.run(follow_all())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--listen"]:
        listen(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
