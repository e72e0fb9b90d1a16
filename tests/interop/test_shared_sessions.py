"""One index of sessions, kept by clawstate and by the real OpenClaw at once."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import clawstate
from clawstate.state.sessions import open_index
from clawstate.stores.sessions.openclaw_normalisation import normalise_entry
from seeds import seed

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SOURCE = Path(clawstate.__file__).parents[1]
COUNTER = Path(__file__).with_name("session_counter.py")
SEED = seed()
CASES = 20_000 if FULL else 2_000
OURS, THEIRS, TIMES = (8, 4, 200) if FULL else (4, 2, 15)

LOAD = "async (by, input) => by.loadSessionStore(input.path, { skipCache: true })"
PUT = """async (by, input) => by.updateSessionStore(input.path, (store) => {
  store[input.key] = input.entry;
})"""
PATCH = """async (by, input) => by.updateSessionStoreEntry({
  storePath: input.path, sessionKey: input.key, update: async () => input.patch,
})"""
COUNT = """async (by, input) => {
  const failed = [];
  for (let n = 0; n < input.times; n += 1) {
    try {
      await by.updateSessionStore(input.path, (store) => {
        const shared = store["agent:main:shared"];
        shared[input.name] = (shared[input.name] ?? 0) + 1;
        store[`${input.name}:${n}`] = { sessionId: `${input.name}-${n}`, updatedAt: Date.now() };
      });
    } catch (error) {
      failed.push(error.message);
    }
  }
  return failed;
}"""
SAVE = """async (by, input) => by.updateSessionStore(input.path, (store) => {
  Object.assign(store, input.entries);
})"""
TEXTS = ["", " ", "x", " Telegram ", "gchat\u00a0", "IMSG", "internet-relay-chat", "webchat", "42"]
TEXTS += ["\ufeffa\u3000", "a\x85", "__proto__", "constructor", "--Ada B!--", "\u212a1", "-", "_a_"]
TEXTS += ["\u0130s", "A" * 70, "a-" * 40, "\x1cb"]
NUMBERS = [0, 1, 7, 3.7, -0.5, -2.9, 1e21, 12345678901]
WHERE = ["channel", "to", "accountId", "threadId"]
ID = "11111111-1111-4111-8111-111111111111"

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]


@pytest.fixture
def path(tmp_path) -> Path:
    found = tmp_path / "state/agents/main/sessions/sessions.json"
    found.parent.mkdir(parents=True, mode=0o700)
    return found


@pytest.fixture
def sessions(path):
    return open_index(path)


@pytest.fixture
def ask(peer, path):
    def ask(source, **data):
        return peer.run("sessions", source, path=str(path), **data)

    return ask


def test_openclaw_reads_what_we_write(sessions, ask) -> None:
    """A session that is made here is one there, with all its members."""
    made = sessions.resolve("agent:main:main")
    sessions.update("agent:main:main", {"label": "Ada", "deep": {"n": [1.5, None]}})

    found = ask(LOAD)["agent:main:main"]

    assert found["sessionId"] == made.session_id
    assert (found["label"], found["deep"]) == ("Ada", {"n": [1.5, None]})
    assert found["sessionFile"] == f"{made.session_id}.jsonl"


def test_we_read_what_openclaw_writes(sessions, ask, path) -> None:
    """A session that is made there is one here at once, also after it was looked at before."""
    sessions.resolve("agent:main:main")
    assert sessions.get("agent:main:other") is None
    file = str(path.parent / f"{ID}.jsonl")
    entry = {"sessionId": ID, "updatedAt": 1, "sessionFile": file, "custom": {"a": 1}}

    ask(PUT, key="agent:main:other", entry=entry)

    found = sessions.get("agent:main:other")
    assert (found.session_id, found.session_file) == (ID, f"{ID}.jsonl")
    assert found.fields["custom"] == {"a": 1}
    assert {each.session_key for each in sessions.entries()} == {
        "agent:main:main",
        "agent:main:other",
    }


def test_both_keep_what_the_other_does_not_know(sessions, ask, path) -> None:
    """Updates in turn leave each other's members; the time never runs backwards."""
    sessions.resolve("agent:main:k")
    times = []
    for number in range(4):
        ask(PATCH, key="agent:main:k", patch={f"node{number}": number})
        sessions.update("agent:main:k", {f"ours{number}": number})
        times.append(json.loads(path.read_text())["agent:main:k"]["updatedAt"])

    found = ask(LOAD)["agent:main:k"]

    assert {name for name in found if name[:4] in {"ours", "node"}} == {
        f"{who}{n}" for who in ("ours", "node") for n in range(4)
    }
    assert times == sorted(times)
    assert sessions.check() == ()


def test_an_entry_is_saved_as_openclaw_saves_it(ask, path) -> None:
    """What is made of where answers go, and of the model, is what OpenClaw makes of it."""
    sys.stdout.write(f"seed {SEED}\n")
    chance = random.Random(SEED)
    entries = {f"k{number}": entry_of(chance) for number in range(CASES)}

    ask(SAVE, entries=entries)

    theirs = json.loads(path.read_text())
    assert {key: list(each.items()) for key, each in theirs.items()} == {
        key: list(normalise_entry(each).items()) for key, each in entries.items()
    }


def entry_of(chance: random.Random) -> dict[str, object]:
    """Return an entry whose members are of the types that OpenClaw can save."""
    entry = {"sessionId": ID, "updatedAt": 5, "custom": {"a": 1}}
    texts = ["model", "modelProvider", "channel", "lastChannel", "lastTo", "lastAccountId"]
    for name in chance.sample(texts, chance.randrange(len(texts) + 1)):
        entry[name] = chance.choice([*TEXTS, None])
    if chance.random() < 0.5:
        entry["lastThreadId"] = chance.choice([*TEXTS, *NUMBERS, None, True])
    for name in ("deliveryContext", "origin"):
        if chance.random() < 0.6:
            entry[name] = context_of(chance)
    return dict(chance.sample(list(entry.items()), len(entry)))


def context_of(chance: random.Random) -> object:
    if chance.random() < 0.1:
        return chance.choice([None, "text", 7, [], {}])
    found = {"accountId": chance.choice([*TEXTS, None])}
    for name in WHERE:
        if name != "accountId" and chance.random() < 0.6:
            found[name] = chance.choice([*TEXTS, *NUMBERS, None, True])
    return dict(chance.sample(list(found.items()), chance.randrange(len(found) + 1)))


def test_a_deleted_session_is_gone_for_both_and_comes_back_for_both(sessions, ask) -> None:
    """What is deleted and restored here is so there."""
    made = sessions.resolve("agent:main:k")
    sessions.delete("agent:main:k")
    assert ask(LOAD) == {}

    sessions.restore("agent:main:k")

    assert ask(LOAD)["agent:main:k"]["sessionId"] == made.session_id


def test_among_openclaws_nothing_of_ours_is_lost(
    tmp_path, path, sessions, start_peers, tell
) -> None:
    """
    With several OpenClaws and several of us at one index, each of our updates is in it.

    OpenClaw may time out, and may lose updates of its own by its own race.
    """
    sessions.resolve("agent:main:shared")
    peers = start_peers(THEIRS)
    ours = [started(path, f"ours{number}") for number in range(OURS)]
    for each in ours:
        assert each.stdout.readline() == "READY\n"

    asked = [
        each.send(
            "run",
            chunk="sessions",
            source=COUNT,
            input={"path": str(path), "name": f"node{number}", "times": TIMES},
        )
        for number, each in enumerate(peers)
    ]
    said = [each.communicate("go\n") for each in ours]
    failed = [each.answer(number)["value"] for each, number in zip(peers, asked, strict=True)]

    assert [(each.returncode, err) for each, (_, err) in zip(ours, said, strict=True)] == [
        (0, "")
    ] * OURS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shared = sessions.get("agent:main:shared").fields
        keys = {each.session_key for each in sessions.entries()}
    theirs = sum(shared.get(f"node{number}", 0) for number in range(THEIRS))
    tell(
        f"{OURS} of ours and {THEIRS} OpenClaws, {TIMES} updates each: {theirs} of theirs are"
        f" there, {sum(map(len, failed))} timed out; ours waited"
        f" {max(float(out) for out, _ in said):.1f} s at most"
    )
    assert {name: shared.get(name) for name in map("ours{}".format, range(OURS))} == {
        f"ours{number}": TIMES for number in range(OURS)
    }
    assert keys >= {f"agent:main:ours{w}:{n}" for w in range(OURS) for n in range(TIMES)}


def started(path, name):
    return subprocess.Popen(
        [sys.executable, COUNTER, path, name, str(TIMES)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
