"""The memory over HTTP."""

from __future__ import annotations

import pytest
from running_gateway import Gateway


@pytest.fixture
def record(gateway: Gateway) -> str:
    made = gateway.post(
        "/api/v1/memory/records", {"text": "Ada prefers green tea", "tags": ["taste"]}
    )
    assert made.status == 201
    return made.json["id"]


def test_what_is_added_is_found(gateway: Gateway, record: str) -> None:
    """A record that was added is found, with its reasons where they are asked for."""
    question = {"query": "what does Ada drink?", "tags": ["taste"], "explain": True}

    found = gateway.post("/api/v1/memory/search", question).json

    assert record in [each["id"] for each in found["results"]]
    assert found["results"][0]["explanation"]["parts"]


def test_a_change_takes_the_version_that_was_read(gateway: Gateway, record: str) -> None:
    """Who read an older version is refused; who read the present one changes it."""
    path = f"/api/v1/memory/records/{record}"
    version = gateway.get(path).headers["ETag"]

    first = gateway.ask("PATCH", path, {"text": "Coffee"}, headers={"If-Match": version})
    second = gateway.ask("PATCH", path, {"text": "Water"}, headers={"If-Match": version})

    assert first.status == 200
    assert (second.status, second.error) == (412, "changed")
    assert gateway.get(path).json["text"] == "Coffee"


def test_what_did_not_change_is_not_sent_again(gateway: Gateway, record: str) -> None:
    """Who has the present version is told so, without the document."""
    path = f"/api/v1/memory/records/{record}"
    version = gateway.get(path).headers["ETag"]

    again = gateway.get(path, headers={"If-None-Match": version})

    assert (again.status, again.body) == (304, b"")


def test_what_is_forgotten_is_gone(gateway: Gateway, record: str) -> None:
    """A record that is forgotten is not found, and its receipt tells that no byte is left."""
    path = f"/api/v1/memory/records/{record}"

    done = gateway.ask("DELETE", f"{path}?receipt=true")

    assert done.json["receipt"]["gone"] is True
    assert (gateway.get(path).status, gateway.ask("DELETE", path).status) == (404, 404)


def test_pages_have_cursors(gateway: Gateway) -> None:
    """Pages follow one another without a gap, and end."""
    made = {
        gateway.post("/api/v1/memory/records", {"text": f"n{n}", "namespace": "pages"}).json["id"]
        for n in range(5)
    }

    seen, after = [], ""
    while after is not None:
        page = gateway.get(
            f"/api/v1/memory/records?namespace=pages&limit=2{after and f'&after={after}'}"
        )
        seen += [each["id"] for each in page.json["records"]]
        after = page.json["next"]

    assert len(seen) == 5
    assert set(seen) == made


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "malformed"),
        (b"\xff", 400, "malformed"),
        (b"[]", 422, "invalid"),
        ({"text": 3}, 422, "invalid"),
        ({"text": ""}, 422, "invalid"),
        ({"text": "x", "sercet": "hunter2"}, 422, "invalid"),
        ({"text": "x", "metadata": {"a": "b" * 70_000}}, 422, "invalid"),
    ],
)
def test_what_cannot_be_kept_is_refused(gateway: Gateway, body, status, kind) -> None:
    """A body that makes no record is refused with its reason, and never repeated."""
    answer = gateway.post("/api/v1/memory/records", body)

    assert (answer.status, answer.error) == (status, kind)
    assert b"hunter2" not in answer.body


def test_half_a_character_does_no_harm(gateway: Gateway) -> None:
    """Half of a surrogate pair, which no text can hold, is refused, not stumbled over."""
    answer = gateway.post("/api/v1/memory/records", rb'{"text": "half \ud83d"}')

    assert answer.status == 422


def test_a_text_of_the_largest_size_is_kept(gateway: Gateway) -> None:
    """The largest text that is kept comes through; a request that is too large does not."""
    kept = gateway.post("/api/v1/memory/records", {"text": "word " * 199_999, "namespace": "large"})
    refused = gateway.post("/api/v1/memory/records", b"x" * (25 << 20))
    chunked = gateway.post("/api/v1/memory/records", (b"x" * (1 << 20) for _ in range(25)))

    assert kept.status == 201
    assert (refused.status, refused.error) == (413, "too_large")
    assert (chunked.status, chunked.error) == (413, "too_large")


def test_near_duplicates_come_in_pages(gateway: Gateway) -> None:
    """Groups of records that say the same come page by page; a bound out of range is refused."""
    for text in ("Tea at five", "tea at  five", "A red bike", "a red BIKE"):
        gateway.post("/api/v1/memory/records", {"text": text, "namespace": "alike"})
    path = "/api/v1/memory/duplicates?limit=1&namespace=alike"

    first = gateway.get(path).json
    second = gateway.get(f"{path}&after={first['next']}").json

    assert [len(each["groups"][0]["records"]) for each in (first, second)] == [2, 2]
    assert first["groups"][0]["similarities"] == [1, 1]
    assert second["next"] is None
    assert gateway.get(f"{path}&minSimilarity=0.5").status == 422
