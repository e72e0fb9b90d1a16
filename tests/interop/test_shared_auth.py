"""One store of credentials, used by clawstate and by the real OpenClaw at the same time."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

import clawstate
from clawstate.clock import from_ms
from clawstate.errors import CorruptWarning
from clawstate.stores.auth.credentials import ApiKey, OAuth, Token
from manual_clock import ManualClock
from seeds import seed

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SEED = seed()
WRITER = Path(__file__).parents[1] / "stores" / "auth_writer.py"
# One of theirs: two of them lose the whole document to each other, writing it in place.
OURS, OUR_TIMES = (11, 200) if FULL else (3, 24)
THEIR_TIMES = 200 if FULL else 20
CASES = 2000 if FULL else 300
NOW = 1_800_000_000_000  # milliseconds
MINUTE, HOUR = 60_000, 3_600_000
NAME = "openai:default"
KEY = {"type": "api_key", "provider": "openai", "key": "sk-1"}
CONFIG = {
    "auth": {
        "cooldowns": {
            "billingBackoffHours": 3,
            "billingBackoffHoursByProvider": {"Z.AI": 1.5},
            "billingMaxHours": 10,
            "failureWindowHours": 2,
        }
    }
}

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1800)]

LOAD = "async (by, input) => by.ensureAuthProfileStore(input.dir)"
# Each step is made at its own moment of OpenClaw's clock.
PLAY = """async (by, input) => {
  const real = Date.now;
  try {
    for (const step of input.steps) {
      Date.now = () => step.at;
      const store = by.ensureAuthProfileStore(input.dir);
      const asked = { store, profileId: step.id, agentDir: input.dir, cfg: input.cfg };
      if (step.reason) await by.markAuthProfileFailure({ ...asked, reason: step.reason });
      else await by.markAuthProfileUsed(asked);
    }
  } finally {
    Date.now = real;
  }
  return by.ensureAuthProfileStore(input.dir).usageStats ?? {};
}"""
ORDERS = """async (by, input) => {
  const real = Date.now;
  Date.now = () => input.now;
  try {
    return input.cases.map(({ store, cfg, provider, preferred }) =>
      by.resolveAuthProfileOrder({ store, cfg, provider, preferredProfile: preferred }));
  } finally {
    Date.now = real;
  }
}"""
WRITE = """async (by, input, tell) => {
  const stored = { refused: 0, last: null };
  for (let nth = 0; nth < input.times; nth += 1) {
    const credential = {
      type: "api_key", provider: "node", key: "k", metadata: { n: String(nth) } };
    const asked = { profileId: "node:own", agentDir: input.dir };
    if (await by.upsertAuthProfileWithLock({ ...asked, credential })) stored.last = String(nth);
    else stored.refused += 1;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return stored;
}"""
WATCH = """async (by, input, tell) => {
  let missing = 0;
  let looks = 0;
  const end = Date.now() + input.ms;
  while (Date.now() < end) {
    looks += 1;
    if (!by.ensureAuthProfileStore(input.dir).profiles[input.id]) missing += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { looks, missing };
}"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(from_ms(NOW))


@pytest.fixture
def state(tmp_path, clock):
    with clawstate.open(tmp_path / "state", store="file", clock=clock) as opened:
        yield opened


@pytest.fixture
def folder(state) -> Path:
    found = state.paths.agent_dir()
    found.mkdir(parents=True)
    return found


@pytest.fixture
def ask(peer, folder):
    def asked(source: str, **data):
        return peer.run("auth-profiles", source, dir=str(folder), **data)

    return asked


def test_openclaw_reads_what_we_write(state, ask) -> None:
    """Profiles, orders, usage and the last good one that are stored here are what it reads."""
    auth = state.auth()
    auth.upsert(NAME, {**KEY, "more": {"deep": [1, None]}})
    auth.upsert("google:me", OAuth(provider="google", access="a", refresh="r", expires=2e9))
    auth.upsert("xai:t", Token(provider="xai", token="t", email="ada@example.com"))
    auth.set_order("openai", [NAME])
    auth.mark_good(NAME)
    auth.mark_failure(NAME, "rate_limit")
    auth.mark_used("xai:t")

    assert ask(LOAD) == auth.document()


def test_we_read_what_openclaw_writes(state, ask) -> None:
    """What it stores by its own functions is read here, and survives our changes."""
    ask(
        """async (by, input) => {
          const own = { agentDir: input.dir };
          by.upsertAuthProfile({ ...own, profileId: "openai:default", credential: input.key });
          await by.upsertAuthProfileWithLock({
            ...own, profileId: "google:me", credential: input.login });
          await by.setAuthProfileOrder({ ...own, provider: "OpenAI", order: ["openai:default"] });
          const store = by.ensureAuthProfileStore(input.dir);
          await by.markAuthProfileUsed({ ...own, store, profileId: "google:me" });
          await by.markAuthProfileGood({
            ...own, store, provider: "openai", profileId: "openai:default" });
        }""",
        key={**KEY, "key": " sk-\r\n1 "},
        login={"type": "oauth", "provider": "google", "access": "a", "refresh": "r", "zebra": 1},
    )
    auth = state.auth()

    assert auth.get(NAME) == ApiKey(provider="openai", key="sk-1")
    assert auth.get("google:me").extra == {"zebra": 1}
    assert auth.stored_order("openai") == (NAME,)
    assert auth.last_good("openai") == NAME
    assert auth.usage("google:me").last_used is not None
    before = auth.document()
    auth.upsert("xai:new", {**KEY, "provider": "xai"})
    assert ask(LOAD) == {
        **before,
        "profiles": {**before["profiles"], "xai:new": {**KEY, "provider": "xai"}},
    }


def test_old_files_give_the_same_profiles(state, ask, folder) -> None:
    """What it imports from a file of an older release is what was seen here before."""
    old = {
        "openai": {"type": "api_key", "key": "sk-1", "email": "ada@example.com"},
        "xai": {"mode": "token", "provider": "x.ai", "type": "token", "token": "t", "expires": 9},
        "google": {"type": "oauth", "access": "a", "refresh": "r", "expires": 5, "projectId": "p"},
        "odd": {"type": "passkey"},
    }
    (folder / "auth.json").write_text(json.dumps(old))
    seen = {profile.id: profile.credential for profile in state.auth().profiles()}
    assert len(seen) == 3

    ask(LOAD)

    assert not (folder / "auth.json").exists()
    assert {each.id: each.credential for each in state.auth().profiles()} == seen


def test_profiles_rest_as_long_as_there(state, ask, clock) -> None:
    """After any row of successes and failures, both keep the same windows and counts."""
    chance = random.Random(SEED)
    state.config.set("auth", CONFIG["auth"])
    auth = state.auth()
    names = [NAME, "zai:a", "openrouter:x"]
    for number in range(40 if FULL else 8):
        for name in names:
            auth.remove(name)
            auth.upsert(name, {**KEY, "provider": name.partition(":")[0]})
        steps, at = [], NOW + number * 1000 * HOUR
        for _ in range(8):
            at += chance.choice([0, 1, 30_000, MINUTE, 5 * MINUTE, HOUR, 2 * HOUR + 1, 30 * HOUR])
            reason = chance.choice([None, "timeout", "rate_limit", "auth", "billing", "billing"])
            reason = chance.choice([reason, reason, "auth_permanent"])
            steps.append({"id": chance.choice(names), "at": at, "reason": reason})

        theirs = ask(PLAY, steps=steps, cfg=CONFIG)
        for name in names:
            auth.remove(name)
            auth.upsert(name, {**KEY, "provider": name.partition(":")[0]})
        for step in steps:
            clock.now = from_ms(step["at"])
            if step["reason"]:
                auth.mark_failure(step["id"], step["reason"])
            else:
                auth.mark_used(step["id"])

        # It notes that there were no errors, where we note nothing.
        ours = auth.document().get("usageStats", {})
        assert {name: {"errorCount": 0, **each} for name, each in ours.items()} == theirs, steps


def test_profiles_come_in_the_same_order(state, ask, clock) -> None:
    """For any store and configuration, both try the same profiles in the same order."""
    chance = random.Random(SEED)
    cases = [case(chance) for _ in range(CASES)]

    theirs = ask(ORDERS, cases=cases, now=NOW)

    path = state.paths.auth_profiles()
    for each, expected in zip(cases, theirs, strict=True):
        path.write_text(json.dumps(each["store"]))
        state.paths.config.write_text(json.dumps(each["cfg"]))
        found = state.auth().order(each["provider"], preferred=each["preferred"])
        assert [*found] == expected, each


def case(chance: random.Random) -> dict[str, object]:
    """Return a store, a configuration and a question; nothing in them is a tie."""
    ids = [f"{provider}:{name}" for provider in ("openai", "zai") for name in "abcd"]
    moments = iter(chance.sample(range(1, 50 * MINUTE), 3 * len(ids)))

    def credential(name):
        provider = name.partition(":")[0]
        provider = chance.choice([provider, provider, provider, "xai", " Z.AI "])
        return chance.choice(
            [
                {"type": "api_key", "provider": provider, "key": chance.choice(["k", "k", " "])},
                {"type": "token", "provider": provider, "token": "t"},
                {"type": "token", "provider": provider, "token": "t", "expires": NOW - 1},
                {"type": "token", "provider": provider, "token": "t", "expires": NOW + 1},
                {"type": "oauth", "provider": provider, "access": "", "refresh": "r"},
                {"type": "oauth", "provider": provider, "access": "", "refresh": ""},
            ]
        )

    def stats():
        found = {"lastUsed": NOW - next(moments)}
        if chance.random() < 0.3:
            found["cooldownUntil"] = NOW + chance.choice([-1, 1]) * next(moments)
        if chance.random() < 0.2:
            found["disabledUntil"] = NOW + chance.choice([-1, 20]) * next(moments)
        return found

    def some(most):
        return chance.sample([*ids, "openai:gone"], chance.randint(1, most))

    # By id: where nothing else decides, it goes by their places in the file, and we by their ids.
    names = sorted(chance.sample(ids, chance.randint(1, len(ids))))
    profiles = {name: credential(name) for name in names}
    store = {
        "version": 1,
        "profiles": profiles,
        "usageStats": {name: stats() for name in ids},
    }
    if chance.random() < 0.4:
        store["order"] = {chance.choice(["openai", "zai"]): some(5)}
    auth = {}
    if chance.random() < 0.4:
        auth["order"] = {chance.choice(["openai", "z-ai"]): some(5)}
    if chance.random() < 0.4:
        auth["profiles"] = {
            name: {
                "provider": name.partition(":")[0],
                "mode": chance.choice(["api_key", "token", "oauth"]),
            }
            for name in some(3)
        }
    return {
        "store": store,
        "cfg": {"auth": auth},
        "provider": chance.choice(["openai", "zai", "z.ai", "OpenAI"]),
        "preferred": chance.choice([None, None, *ids]),
    }


def test_both_write_at_once(tmp_path, start_peers, tell) -> None:
    """None of our changes is lost beside an OpenClaw that writes in place, and no look fails."""
    root = tmp_path / "state"
    names = [f"writer-{number}" for number in range(OURS)]
    with clawstate.open(root, store="file") as state:
        folder = str(state.paths.agent_dir())
        for name in ("shared:all", *(f"own:{each}" for each in names)):
            state.auth().upsert(name, {**KEY, "provider": name.partition(":")[0]})
    (peer,) = start_peers(1)
    writers = [start(root, name) for name in names]
    stop, seen = threading.Event(), {"looks": 0, "missing": 0, "warned": 0}
    reader = threading.Thread(target=watch, args=(root, stop, seen))

    reader.start()
    asked = peer.send(
        "run",
        chunk="auth-profiles",
        source=WRITE,
        input={"dir": folder, "times": THEIR_TIMES},
    )
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    told = [writer.communicate(timeout=1200) for writer in writers]
    theirs = peer.answer(asked)["value"]
    stop.set()
    reader.join()

    removals = peer.ask("increment", times=0)["strays"]
    strays = [each for each in removals if not each["own"]]
    assert [error for _, error in told if error] == []
    lines = [output.splitlines() for output, _ in told]
    assert [len(each) for each in lines] == [OUR_TIMES] * OURS
    with clawstate.open(root, store="file") as state:
        auth = state.auth()
        failures = sum(each.count("FAILED") for each in lines)
        kept = auth.usage("shared:all").error_count
        lost = failures - kept
        for name, each in zip(names, lines, strict=True):
            last = [line.split()[1] for line in each if line.startswith("STORED")][-1]
            lost += auth.require(f"own:{name}").metadata != {"n": last}
    tell(
        f"{OURS} of us made {OURS * OUR_TIMES} changes beside {THEIR_TIMES} of OpenClaw: {lost} of"
        f" ours lost, {theirs['refused']} of its own refused, {len(strays)} foreign locks removed"
        f" by it; {seen['looks']} looks meanwhile, {seen['warned']} with a warning"
    )
    # Who waits in OpenClaw may remove a lock that one of us has just made.
    assert lost == 0 or (strays and lost <= len(strays))
    assert (seen["missing"], seen.get("error")) == (0, None)


def test_openclaw_always_finds_our_profile(tmp_path, start_peers) -> None:
    """While we write, each of its looks finds a whole file."""
    with clawstate.open(tmp_path / "state", store="file") as state:
        auth = state.auth()
        auth.upsert(NAME, KEY)
        (peer,) = start_peers(1)

        data = {"dir": str(state.paths.agent_dir()), "id": NAME, "ms": 10_000 if FULL else 1_500}
        asked = peer.send("run", chunk="auth-profiles", source=WATCH, input=data)
        for number in range(1000 if FULL else 60):
            auth.upsert("openai:other", {**KEY, "key": f"sk-{number}"})

        found = peer.answer(asked)["value"]
        assert found["missing"] == 0
        assert found["looks"] > 10


def start(root, name):
    process = subprocess.Popen(
        [sys.executable, WRITER, root, "file", name, str(OUR_TIMES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "READY\n"
    return process


def watch(root, stop, seen):
    """Look again and again; count the looks, and those that were warned or missed a profile."""
    try:
        with clawstate.open(root, store="file") as state, warnings.catch_warnings(record=True) as w:
            warnings.simplefilter("always", CorruptWarning)
            while not stop.is_set():
                seen["looks"] += 1
                seen["missing"] += state.auth().get("shared:all") is None
            seen["warned"] = len(w)
    except Exception as error:  # noqa: BLE001 - told by the test
        seen["error"] = error
