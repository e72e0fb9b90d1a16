"""What changed and what was, over HTTP."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest
from running_gateway import Gateway

API = "/api/v1"
LINE = f"{API}/timeline"


@pytest.fixture
def edited(gateway: Gateway) -> tuple[str, float]:
    """Give the id of a record that was edited, and the moment before that."""
    record_id = gateway.post(f"{API}/memory/records", {"text": "kettle is red"}).json["id"]
    time_of = gateway.get(f"{API}/memory/records/{record_id}").json["createdAtMs"] / 1000
    while time.time() <= time_of + 0.002:
        pass
    gateway.ask("PATCH", f"{API}/memory/records/{record_id}", {"text": "kettle is blue"})
    return record_id, time_of


def test_changes_come_in_pages_over_http(gateway: Gateway, edited) -> None:
    """Each with what was before and after, in all parts or in one."""
    _, before = edited
    gateway.post(f"{API}/sessions", {"key": "timeline:1"})
    found, after = [], ""
    while after is not None:
        asked = f"{LINE}/changes?since={before - 1}&limit=1{after and '&after=' + after}"
        page = gateway.get(asked).json
        found += page["changes"]
        after = page["next"]

    told = {(each["part"], each["kind"], each["after"]) for each in found}
    assert ("memory", "updated", "kettle is blue") in told
    assert ("sessions", "added", None) in told
    alone = gateway.get(f"{LINE}/changes?since={before - 1}&part=sessions").json["changes"]
    assert {each["part"] for each in alone} == {"sessions"}
    assert gateway.get(f"{LINE}/changes?since=someday").status == 422


def test_a_record_is_made_what_it_was_over_http(gateway: Gateway, edited) -> None:
    """It is shown as of a moment, listed as of it, and put back."""
    record_id, before = edited
    path = f"{LINE}/records/{record_id}"

    assert gateway.get(f"{path}?as_of={before}").json["text"] == "kettle is red"
    assert gateway.get(f"{path}?as_of={before - 5}").status == 404
    listed = gateway.get(f"{LINE}/records?as_of={before}&limit=1").json["records"]
    assert listed[0]["text"] == "kettle is red"
    assert gateway.post(path, {"asOf": before}).json["text"] == "kettle is red"
    assert gateway.get(f"{API}/memory/records/{record_id}").json["text"] == "kettle is red"


def test_sessions_and_settings_are_made_what_they_were_over_http(gateway: Gateway) -> None:
    """The session with its label of then, the setting with its value of then."""
    key = "timeline:2"
    path = f"{API}/sessions/entries/{quote(key, safe='')}"
    gateway.post(f"{API}/sessions", {"key": key})
    first = gateway.ask("PATCH", path, {"label": "tea"}).json["updatedAtMs"] / 1000
    gateway.ask("PUT", f"{API}/config/value", {"path": "ui.seamColor", "value": "#ff0000"})
    moment = time.time()
    gateway.ask("PATCH", path, {"label": "coffee"})
    gateway.ask("PUT", f"{API}/config/value", {"path": "ui.seamColor", "value": "#00ff00"})

    then = gateway.get(f"{LINE}/sessions?as_of={first}").json["sessions"]
    assert {each["key"]: each.get("label") for each in then}[key] == "tea"
    assert "#ff0000" in gateway.get(f"{LINE}/config?as_of={moment}").json["text"]
    assert gateway.post(f"{LINE}/sessions", {"key": key, "asOf": first}).json["label"] == "tea"
    done = gateway.post(f"{LINE}/config", {"path": "ui.seamColor", "asOf": moment}).json
    assert (done["changed"], done["change"]["paths"]) == (True, ["ui.seamColor"])


def test_activity_is_told_by_spans_over_http(gateway: Gateway, edited) -> None:
    """As many spans as the time has, the last with all that there is."""
    _, before = edited
    spans = gateway.get(f"{LINE}/activity?since={before - 86_400 * 6}").json["spans"]

    assert len(spans) == 7
    assert spans[-1]["records"] >= 1
    assert sum(each["updated"] for each in spans) >= 1
    assert gateway.get(f"{LINE}/activity?since=0&step=1").status == 422
