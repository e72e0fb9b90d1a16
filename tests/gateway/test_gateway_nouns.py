"""Sessions, transcripts, settings, credentials, devices and the rest over HTTP."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from running_gateway import Answer, Gateway

import clawstate

API = "/api/v1"
SECRET = "sk-planted-0123456789abcdefghij"
FILE = {"Content-Type": "application/octet-stream"}
KEYS = ["telegram:42", "agent:main:a/b?c#d", "päivä", "100%", "archive", "..", " "]


@pytest.mark.parametrize("key", KEYS)
def test_a_session_of_any_key(gateway: Gateway, key: str) -> None:
    """A session is made, changed, taken away and brought back, whatever its key is."""
    path = f"{API}/sessions/entries/{quote(key, safe='')}"
    made = gateway.post(f"{API}/sessions", {"key": key})
    changed = gateway.ask("PATCH", path, {"label": "tea"})

    assert (made.status, changed.status) == (201, 200)
    assert gateway.get(path).json["label"] == "tea"
    assert gateway.ask("DELETE", path).json == {"deleted": key}
    assert gateway.get(path).status == 404
    assert gateway.post(f"{API}/sessions/restore", {"name": key}).json["label"] == "tea"


def test_a_session_changes_only_in_the_version_that_was_read(gateway: Gateway) -> None:
    """Who has read an older version of a session changes nothing."""
    path = f"{API}/sessions/entries/versions"
    gateway.post(f"{API}/sessions", {"key": "versions"})
    old = gateway.get(path).headers["ETag"]

    first = gateway.ask("PATCH", path, {"label": "one"}, headers={"If-Match": old})
    second = gateway.ask("PATCH", path, {"label": "two"}, headers={"If-Match": old})

    assert (first.status, second.status) == (200, 412)
    assert gateway.get(path).json["label"] == "one"


def test_sessions_are_found_by_what_they_are_called(gateway: Gateway) -> None:
    """Words of key, id and label find a session, page by page, and its label is in the list."""
    for number in range(7):
        gateway.post(f"{API}/sessions", {"key": f"agent:main:named-{number}"})
    gateway.ask("PATCH", f"{API}/sessions/entries/agent%3Amain%3Anamed-3", {"label": "Tee Öl"})
    found, after = [], ""
    while after is not None:
        page = gateway.get(f"{API}/sessions?q=NAMED%20agent&limit=2{after and '&after=' + after}")
        found += page.json["sessions"]
        after = page.json["next"]

    assert sorted(each["key"][-1] for each in found) == list("0123456")
    assert [each["label"] for each in found if "label" in each] == ["Tee Öl"]
    assert len(gateway.get(f"{API}/sessions?q={quote('öl tee')}").json["sessions"]) == 1
    assert gateway.get(f"{API}/sessions?q=nobody-is-called-so").json["sessions"] == []


def test_a_transcript_is_read_on_in_both_directions(gateway: Gateway) -> None:
    """What lies just before or behind a message comes in its order, and what was captured of it."""
    turn = [{"role": "user", "content": f"I prefer the tea number {n}."} for n in range(6)]
    ids = gateway.post(f"{API}/transcripts/messages/s-2", {"messages": turn}).json["ids"]
    path = f"{API}/transcripts/beside/s-2"

    before = gateway.get(f"{path}?before={ids[3]}&limit=2").json["messages"]
    behind = gateway.get(f"{path}?behind={ids[3]}").json["messages"]
    gateway.post(f"{API}/memory/capture", {"messages": turn[:1], "session": "s-2"})
    born = gateway.get(f"{API}/transcripts/memories/s-2").json["records"]

    assert [each["id"] for each in before] == ids[1:3]
    assert [each["id"] for each in behind] == ids[4:]
    assert gateway.get(path).status == 422
    assert [each["metadata"]["captured"]["session"] for each in born] == ["s-2"]


def test_messages_are_kept_found_and_led_to(gateway: Gateway) -> None:
    """A turn is appended once, read page by page, found by its words, and shown in its place."""
    turn = {"messages": [{"role": "user", "content": f"cup {n} of tea"} for n in range(5)]}
    path = f"{API}/transcripts/messages/s-1"

    made = gateway.post(path, {**turn, "turn": "first"}).json["ids"]
    again = gateway.post(path, {**turn, "turn": "first"}).json["ids"]

    assert again == made
    first = gateway.get(f"{path}?limit=3").json
    rest = gateway.get(f"{path}?limit=3&after={first['next']}").json
    assert [each["id"] for each in (*first["messages"], *rest["messages"])] == made[::-1]
    found = gateway.post(f"{API}/transcripts/search", {"text": '"cup 3"'}).json["results"]
    assert found[0]["id"] == made[3]
    around = gateway.get(f"{API}/transcripts/around/s-1?message={made[3]}&limit=1").json
    assert [each["id"] for each in around["messages"]] == made[2:5]


def test_a_setting_is_set_compared_and_taken_back(gateway: Gateway) -> None:
    """A setting is changed in the version that was read, its change is shown, and undone."""
    path = f"{API}/config/value?path=pairing.limit"
    old = gateway.get(path).headers["ETag"]
    value = {"path": "pairing.limit", "value": 5}

    done = gateway.ask("PUT", f"{API}/config/value", value, headers={"If-Match": old})
    late = gateway.ask("PUT", f"{API}/config/value", value, headers={"If-Match": old})

    assert (done.json["changed"], late.status) == (True, 412)
    assert gateway.get(path).json["value"] == 5
    assert "+" in gateway.get(f"{API}/config/diff").json["diff"]
    assert gateway.get(f"{API}/config/history?limit=1").json["changes"][0]["paths"]
    assert gateway.post(f"{API}/config/undo", {}).json["changed"] is True
    assert gateway.get(path).json["value"] == 3
    assert gateway.get(f"{API}/config/issues").json["valid"] is True
    assert gateway.get(f"{API}/config/schema").json["type"] == "object"


def test_no_change_is_lost_between_clients_that_name_versions(gateway: Gateway) -> None:
    """Clients that each count one up in the version that they read lose none of their counts."""
    path = f"{API}/config/value?path=pairing.limit"
    gateway.ask("PUT", f"{API}/config/value", {"path": "pairing.limit", "value": 10})
    refused: list[Answer] = []

    def count_up(times: int) -> None:
        while times:
            read = gateway.get(path)
            value = {"path": "pairing.limit", "value": read.json["value"] + 1}
            version = {"If-Match": read.headers["ETag"]}
            done = gateway.ask("PUT", f"{API}/config/value", value, headers=version)
            times -= done.status == 200
            if done.status != 200:
                refused.append(done)

    with ThreadPoolExecutor(4) as clients:
        list(clients.map(count_up, [8] * 4))

    assert gateway.get(path).json["value"] == 42
    assert {(each.status, each.headers["ETag"] is not None) for each in refused} <= {(412, True)}


def test_a_refusal_tells_the_present_version(gateway: Gateway) -> None:
    """Who names an old version deletes and orders nothing, and is told the version of now."""
    gateway.post(f"{API}/sessions", {"key": "present"})
    key = {"type": "api_key", "provider": "order", "key": SECRET}
    gateway.ask("PUT", f"{API}/auth/profiles/order%3Ame", key)
    places = {
        f"{API}/sessions/entries/present": ("DELETE", None, 200),
        f"{API}/auth/order/order": ("PUT", {"ids": ["order:me"]}, 200),
        f"{API}/config/value?path=gateway.port": ("DELETE", None, 404),  # there is none
    }
    for path, (method, body, status) in places.items():
        old = gateway.ask(method, path, body, headers={"If-Match": '"old"'})
        now = gateway.get(path).headers["ETag"]

        assert (old.status, old.error, old.headers["ETag"]) == (412, "changed", now)
        assert gateway.ask(method, path, body, headers={"If-Match": now}).status == status


def test_a_setting_that_cannot_be_is_refused(gateway: Gateway) -> None:
    """A value that the schema refuses is not written, and the answer names the setting."""
    refused = gateway.ask("PUT", f"{API}/config/value", {"path": "pairing.limit", "value": -1})

    assert refused.status == 422
    assert "pairing.limit" in refused.json["error"]["message"]


def test_a_text_that_is_no_configuration_is_refused(gateway: Gateway) -> None:
    """A broken text is the fault of who sent it, and the file stays as it was."""
    path = f"{API}/config/text"
    before = gateway.get(path)

    refused = gateway.ask("PUT", path, {"text": "{ broken"})

    assert (refused.status, refused.error) == (422, "invalid")
    assert gateway.get(path).body == before.body


def test_a_credential_goes_in_and_never_comes_out(gateway: Gateway) -> None:
    """A secret is taken from the body, and no answer of any operation holds it again."""
    body = {"type": "api_key", "provider": "openai", "key": SECRET}

    put = gateway.ask("PUT", f"{API}/auth/profiles/openai:default", body)
    answers = [
        put,
        gateway.get(f"{API}/auth/profiles"),
        gateway.get(f"{API}/auth/profiles/openai:default"),
        gateway.get(f"{API}/auth/order/openai"),
        gateway.get(f"{API}/config/value"),
        gateway.get(f"{API}/status"),
        gateway.ask("PUT", f"{API}/auth/profiles/openai:x", {"type": "nonsense", "key": SECRET}),
        gateway.ask("PUT", f"{API}/auth/profiles/openai:x", {"type": "api_key", "key": [SECRET]}),
    ]

    assert put.json == {
        "id": "openai:default",
        "provider": "openai",
        "type": "api_key",
        "replaced": False,
    }
    assert [SECRET.encode() in each.body for each in answers] == [False] * len(answers)
    assert [each.status for each in answers] == [200] * 6 + [422] * 2
    with clawstate.open(gateway.root) as state:
        assert state.auth().secret("openai:default") == SECRET


def test_a_device_is_approved_with_no_more_than_its_approver_has(gateway: Gateway) -> None:
    """Whoever may only let devices in lets none in that could do more than that device itself."""
    with clawstate.open(gateway.root) as state:
        rights = ("operator.pairing", "operator.read")
        token = state.devices.issue(device_id="porter", user_id="ada", scopes=rights).token
        state.pairing.request(user_id="ada", device_id="phone", scopes=("operator.write",))
        state.pairing.request(user_id="ada", device_id="tablet", scopes=("operator.read",))

    more = gateway.post(f"{API}/pairing/approve", {"deviceId": "phone"}, token=token)
    same = gateway.post(f"{API}/pairing/approve", {"deviceId": "tablet"}, token=token)

    assert (more.status, same.status) == (422, 201)
    assert gateway.get(f"{API}/devices/self", token=same.json["token"]).json["deviceId"] == "tablet"
    waiting = gateway.get(f"{API}/pairing/requests").json["requests"]
    assert [each["deviceId"] for each in waiting] == ["phone"]
    assert gateway.post(f"{API}/pairing/reject", {"deviceId": "phone"}).json["rejected"] is True


def test_a_device_is_renamed_rotated_and_revoked(gateway: Gateway) -> None:
    """A token that was rotated is good in the place of the old one, until it is revoked."""
    with clawstate.open(gateway.root) as state:
        old = state.devices.issue(device_id="watch", user_id="ada").token
    path = f"{API}/devices/paired/watch"

    named = gateway.ask("PATCH", path, {"name": "Ada's watch"})
    new = gateway.post(f"{API}/devices/rotate/watch", {}).json["token"]

    assert named.json["name"] == "Ada's watch"
    assert gateway.get(f"{API}/agents", token=old).status == 401
    assert gateway.get(f"{API}/agents", token=new).json["agents"][0] == "main"
    assert gateway.post(f"{API}/devices/revoke/watch").json["revoked"] is True
    assert gateway.get(f"{API}/agents", token=new).status == 401


def test_a_key_is_new_once(gateway: Gateway) -> None:
    """A key is new once, until its mark is forgotten."""
    mark = {"key": "update-4711", "namespace": "telegram"}

    told = [gateway.post(f"{API}/dedupe/check", mark).json["new"] for _ in range(2)]
    forgotten = gateway.post(f"{API}/dedupe/forget", mark).json["forgotten"]

    assert (told, forgotten) == ([True, False], True)
    assert gateway.get(f"{API}/dedupe").json["namespaces"]["telegram"]["marks"] == 0


def test_an_uploaded_file_is_taken_in_and_followed(gateway: Gateway) -> None:
    """A file is taken in from the body; another of its name takes its place, and leaves no file."""
    path = f"{API}/memory/import?name=notes.md&namespace=uploads"

    first = gateway.post(path, b"# Tea\n\nGreen tea is best at 80 degrees.\n", headers=FILE)
    second = gateway.post(path, b"# Tea\n\nBlack tea is best at 95 degrees.\n", headers=FILE)

    assert (first.json["added"], first.json["problems"]) == (1, [])
    assert second.json["files"] == 1
    kept = gateway.get(f"{API}/memory/records?namespace=uploads").json["records"]
    assert ["Black" in each["text"] for each in kept] == [True]
    assert list(gateway.root.rglob("notes.md")) == []


@pytest.mark.parametrize("name", ["../x.md", "a/b.md", ".hidden", ".."])
def test_an_uploaded_file_has_a_plain_name(gateway: Gateway, name: str) -> None:
    """A name that leads elsewhere is refused."""
    path = f"{API}/memory/import?name={quote(name, safe='')}"

    answer = gateway.post(path, b"tea", headers=FILE)

    assert answer.status == 422


def test_what_was_captured_is_accepted_or_rejected(gateway: Gateway) -> None:
    """What a stranger said waits in the inbox until a person accepts or rejects it."""
    said = [
        {"role": "user", "content": "I prefer green tea"},
        {"role": "tool", "content": "I prefer cocoa"},
    ]
    captured = gateway.post(f"{API}/memory/capture", {"messages": said, "namespace": "said"}).json
    (waiting,) = captured["inbox"]

    items = gateway.get(f"{API}/memory/inbox").json["items"]
    accepted = gateway.post(f"{API}/memory/inbox/accept/{waiting}", {"text": "Ada likes cocoa"})

    assert [each["id"] for each in items] == [waiting]
    assert gateway.get(f"{API}/memory/records/{accepted.json['id']}").json["text"][-5:] == "cocoa"
    recalled = gateway.post(f"{API}/memory/recall", {"query": "cocoa", "namespace": "said"}).json
    assert recalled["hits"]


def test_a_record_gives_way_to_another_and_is_remembered(gateway: Gateway) -> None:
    """What took the place of a record is shown, and its history tells both."""
    old = gateway.post(f"{API}/memory/records", {"text": "Standup at 9"}).json["id"]

    new = gateway.post(f"{API}/memory/supersede", {"old": old, "new": "Standup at 10"}).json["id"]
    versions = gateway.get(f"{API}/memory/history/{new}").json["versions"]

    assert [each["record"]["text"] for each in versions] == ["Standup at 9", "Standup at 10"]
    verdict = gateway.post(f"{API}/memory/explain", {"query": "standup", "name": old}).json
    assert verdict["verdicts"][0]["reason"] != "shown"


def test_a_policy_only_tells_unless_it_is_meant(gateway: Gateway) -> None:
    """Rules and demands that forget are tried first, unless the caller says that they are meant."""
    made = gateway.post(f"{API}/memory/records", {"text": "old", "tags": ["temporary"]}).json["id"]
    rule = {"rules": [{"action": "archive", "tag": "temporary"}]}

    tried = gateway.post(f"{API}/memory/retain", rule).json
    done = gateway.post(f"{API}/memory/retain", {**rule, "dryRun": False}).json

    assert (tried["archived"], tried["dryRun"]) == ([made], True)
    assert (done["archived"], done["dryRun"]) == ([made], False)
    archived = gateway.get(f"{API}/memory/archive").json["archived"]
    assert [each["record"]["id"] for each in archived] == [made]
    assert gateway.post(f"{API}/memory/restore", {"ids": [made]}).json == {"count": 1}
    assert gateway.post(f"{API}/memory/forget", {"tags": ["temporary"]}).json == {"count": 1}
    assert gateway.get(f"{API}/memory/records/{made}").status == 200


def test_the_same_as_on_the_command_line(gateway: Gateway, run: Any) -> None:
    """Status, store and plugins tell what the commands of these names print."""
    for path, words in [("status", ["status"]), ("store", ["store", "status"])]:
        told, printed = gateway.get(f"{API}/{path}").json, json.loads(run(*words))

        assert told.keys() == printed.keys()
    plugins = gateway.get(f"{API}/plugins").json
    assert plugins["plugins"] == json.loads(run("plugins", "list"))["plugins"]


def test_the_doctor_looks_and_mends(gateway: Gateway) -> None:
    """Findings are told without a change, and mended where that is asked for."""
    looked = gateway.get(f"{API}/doctor").json
    mended = gateway.post(f"{API}/doctor/fix").json

    assert looked["findings"] == [] or {"code", "fix"} <= looked["findings"][0].keys()
    assert mended["ok"] is True
