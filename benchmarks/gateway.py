"""
What the gateway costs: until it is ready, idle, a search, cached reads, a thousand listeners.

Run it with OPENBLAS_NUM_THREADS=1, as the command line does with itself: the search of the library
that the one over HTTP is compared with runs in this process.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clawstate
from clawstate.state import State

API = "/api/v1"
READS = 2_000
SEARCHES = 200
SOCKETS = 1_000
EVENTS = 20
QUIET = 10.0  # seconds without an event after which no more is waited for


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
    """
    Open *count* WebSockets, and tell how long each event took to each of them.

    What arrives is noted as bytes with its moment, and read when all is over: this process shares
    the machine with the gateway, and what a client does with an event is its own time.
    """
    sockets = [open_socket(place, token) for _ in range(count)]
    print("listening", flush=True)
    looking = select.epoll()
    arrived: dict[int, list[tuple[float, bytes]]] = {}
    by_number = {each.fileno(): each for each in sockets}
    for number in by_number:
        arrived[number] = []
        looking.register(number, select.EPOLLIN)
    last = time.monotonic()
    while time.monotonic() < last + QUIET:
        for number, _ in looking.poll(0.5, count):
            last = time.monotonic()
            arrived[number].append((time.time() * 1000, by_number[number].recv(1 << 16)))
    delays = sorted(
        moment - made_at(key)
        for each in arrived.values()
        for moment, part in each
        for message in messages_of(part)
        for item in message["items"]
        if item["part"] == "memory"
        for key in item["keys"] or ()
    )
    told = len(delays)
    print(f"events: {told:,} of {EVENTS * count:,} arrived, from the write to each listener")
    print(f"p50 {delays[told // 2]:.0f} ms, p99 {delays[told * 99 // 100]:.0f} ms")


def open_socket(place: str, token: str) -> socket.socket:
    """Return a socket behind the handshake of a WebSocket and its first message."""
    host, _, port = place.rpartition(":")
    made = socket.create_connection((host, int(port)), timeout=60)
    made.sendall(
        f"GET /ws HTTP/1.1\r\nHost: {place}\r\nAuthorization: Bearer {token}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    told = b""
    while b"changes" not in told:
        told += made.recv(1 << 16)
    assert told.startswith(b"HTTP/1.1 101"), told
    return made


def messages_of(data: bytes) -> Iterator[Any]:
    """Give the messages in *data*, which are whole frames from a server: not masked."""
    while data:
        size, begin = data[1], 2
        if size >= 126:
            begin = 4 if size == 126 else 10
            size = int.from_bytes(data[2:begin], "big")
        if data[0] == 0x81:
            yield json.loads(data[begin : begin + size])
        data = data[begin + size :]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--listen"]:
        listen(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
