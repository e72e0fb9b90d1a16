"""Operations that answer as they go."""

from __future__ import annotations

import json

from running_gateway import Gateway

API = "/api/v1/memory"


def lines(body: bytes) -> list[dict]:
    return [json.loads(each) for each in body.splitlines()]


def test_all_records_are_exported_and_taken_in_again(gateway: Gateway) -> None:
    """What is exported is what was kept, a line each, and an import takes it."""
    for text in ("Ada drinks green tea", "Ada lives in Łódź"):
        gateway.post(f"{API}/records", {"text": text, "namespace": "exported", "tags": ["a"]})

    answer = gateway.get(f"{API}/export?namespace=exported")
    sent = {"Content-Type": "application/octet-stream"}
    taken = gateway.ask("POST", f"{API}/import?name=all.jsonl", answer.body, headers=sent).json

    told = lines(answer.body)
    assert answer.headers["Content-Type"].startswith("application/jsonl")
    assert [each["text"] for each in told] == ["Ada drinks green tea", "Ada lives in Łódź"]
    assert all((each["tags"], each["namespace"]) == (["a"], "exported") for each in told)
    assert (taken["unchanged"], taken["added"]) == (2, 0)


def test_another_embedder_is_told_as_it_goes(gateway: Gateway) -> None:
    """A plan comes first, the end last; what cannot be is refused before anything begins."""
    gateway.post(f"{API}/records", {"text": "Ada drinks green tea", "namespace": "vectors"})

    plan = lines(gateway.post(f"{API}/reembed", {}).body)
    done = lines(gateway.post(f"{API}/reembed", {"embedder": "static", "dryRun": False}).body)
    refused = gateway.post(f"{API}/reembed", {"embedder": "nothing", "dryRun": False})

    assert [each["type"] for each in plan] == ["plan"]
    assert (done[0]["type"], done[-1]["type"]) == ("plan", "done")
    assert {each["type"] for each in done[1:-1]} <= {"progress"}
    assert (refused.status, refused.error) == (422, "invalid")
