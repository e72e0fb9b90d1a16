"""The map of a memory over HTTP, and what is done to many records at once."""

from __future__ import annotations

import struct
import time

import pytest
from running_gateway import Gateway

TEXTS = [
    f"{text} {number}"
    for text in ("green tea in the kettle", "the bicycle has a new chain", "a comet in the night")
    for number in range(4)
]


@pytest.fixture(scope="module")
def ids(gateway: Gateway) -> list[str]:
    path = "/api/v1/memory/records"
    return [gateway.post(path, {"text": each, "tags": ["x"]}).json["id"] for each in TEXTS]


def settled(gateway: Gateway) -> dict:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found = gateway.get("/api/v1/memory/map").json
        if found["stage"] == "settled" and found["done"] == 1:
            return found
        time.sleep(0.2)
    raise AssertionError("the map did not settle")


def test_points_are_columns_of_the_same_version(gateway: Gateway, ids: list[str]) -> None:
    """The document and the points are of one version; each id is asked for by its number."""
    told = settled(gateway)

    data = gateway.get("/api/v1/memory/map/points")
    magic, count, length, _, first = struct.unpack_from("<4sIHHI", data.body)
    version = data.body[16 : 16 + length].decode()
    body = {"version": version, "ranges": [[0, 2], [count - 1, count]]}
    some = gateway.post("/api/v1/memory/map/ids", body).json["ids"]
    wanted = {"version": version, "ids": some}
    numbers = gateway.post("/api/v1/memory/map/numbers", wanted).json["numbers"]

    assert (magic, count, version) == (b"CSM1", len(ids), told["version"])
    assert len(data.body) == 16 + length + count * (2 + 2 + 4 + 4 * 2)
    assert abs(first - time.time()) < 3600
    assert some == [ids[0], ids[1], ids[-1]]
    assert numbers == [0, 1, count - 1]
    assert told["tags"] == [{"name": "", "count": 0}, {"name": "x", "count": len(ids)}]
    assert {word for each in told["regions"] for word in each["words"]} & {"tea", "kettle", "green"}


def test_points_that_did_not_move_are_not_sent_again(gateway: Gateway, ids: list[str]) -> None:
    """Who has the points is told so, until something is remembered or forgotten."""
    settled(gateway)
    version = gateway.get("/api/v1/memory/map/points").headers["ETag"]
    path, known = "/api/v1/memory/map/points", {"If-None-Match": version}

    same = gateway.ask("GET", path, headers=known)
    gateway.post("/api/v1/memory/records", {"text": "one more comet"})
    other = gateway.ask("GET", path, headers=known)

    assert (same.status, other.status) == (304, 200)


def test_a_version_that_nobody_has_is_a_conflict(gateway: Gateway) -> None:
    """Ids of a map that moved are refused, and numbers beyond it."""
    told = gateway.get("/api/v1/memory/map").json
    path = "/api/v1/memory/map/ids"

    moved = gateway.post(path, {"version": "0" * 24, "ranges": [[0, 1]]})
    beyond = gateway.post(path, {"version": told["version"], "ranges": [[0, 10_000]]})

    assert (moved.status, moved.error) == (409, "conflict")
    assert (beyond.status, beyond.error) == (422, "invalid")


def test_many_are_read_tagged_and_forgotten(gateway: Gateway) -> None:
    """One request reads, tags or forgets many records, and tells which those were."""
    path = "/api/v1/memory/"
    made = [gateway.post(path + "records", {"text": f"n{n}"}).json["id"] for n in range(3)]

    tagged = gateway.post(path + "many/tag", {"ids": [*made, "nobody"], "add": ["t"]}).json
    read = gateway.post(path + "many/get", {"ids": [*reversed(made), "nobody"]}).json["records"]
    gone = gateway.post(path + "many/forget", {"ids": made}).json

    assert tagged == {"changed": made}
    assert [(each["id"], each["tags"]) for each in read] == [(each, ["t"]) for each in made[::-1]]
    assert gone["forgotten"] == 3
    assert gone["receipt"]["gone"] is True
    assert gateway.post(path + "many/get", {"ids": made}).json == {"records": []}
