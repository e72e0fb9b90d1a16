from __future__ import annotations

import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clawstate
from clawstate.errors import CorruptWarning, StateError
from clawstate.records.contract import CollectionSpec
from clawstate.records.inmemory import InMemoryBackend
from clawstate.records.layouts import MapLayout
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.legacy import LEDGER_LAYOUT, Legacy, LegacySource, from_agent_file
from clawstate.stores.auth.profile_store import LAYOUT, ProfileStore
from clawstate.stores.auth.profiles import AuthProfiles

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
STRIDE = 1 if FULL else 17
NOW = 1_800_000_000.0
KEY = {"type": "api_key", "provider": "openai", "key": "sk-1"}
DOCUMENT = {
    "version": 1,
    "profiles": {"openai:a": KEY, "openai:b": {**KEY, "keyRef": {"source": "env", "id": "X"}}},
    "order": {"openai": ["openai:b", "openai:a"]},
    "lastGood": {"openai": "openai:a"},
    "usageStats": {"openai:a": {"errorCount": 2, "failureCounts": {"timeout": 2}}},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e6, 1e6) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from([*KEY, "profiles"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
IDS = st.sampled_from(["openai:a", "openai:b", "openai:", "x", "a:\ud800", ""]) | st.text()
PROFILES = st.dictionaries(
    IDS,
    JSON
    | st.builds(
        lambda more: {**KEY, **more},
        st.dictionaries(
            st.sampled_from([*KEY, "keyRef", "expires", "metadata", "mode"]), JSON, max_size=3
        ),
    ),
)
SECTION = st.dictionaries(st.sampled_from(["openai", "openai:a", "openai:b", ""]), JSON) | JSON
DOCUMENTS = st.fixed_dictionaries(
    {"profiles": PROFILES},
    optional={"order": SECTION, "lastGood": SECTION, "usageStats": SECTION, "zebra": JSON},
)


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "agents/main/agent/auth-profiles.json"
    found.parent.mkdir(parents=True)
    return found


def look(auth):
    """Look at all there is."""
    for profile in auth.profiles():
        repr(profile)
        for each in (auth.get, auth.require, auth.usage, auth.rests_until, auth.secret):
            try:
                each(profile.id)
            except StateError:
                continue
    auth.order("openai")
    auth.order("openai", preferred="openai:b")
    auth.last_good("openai")
    auth.problems()
    json.dumps(auth.document())


def change(auth, *, used="openai:a"):
    """Change all there is; return how often that was refused."""
    refused = 0
    for each in (
        lambda: auth.mark_failure(used, "timeout"),
        lambda: auth.mark_used(used),
        lambda: auth.set_order("openai", [used]),
        lambda: auth.mark_good(used),
        lambda: auth.upsert("openai:new", KEY),
        lambda: auth.remove(used),
        auth.import_legacy,
    ):
        try:
            each()
        except StateError:
            refused += 1
    return refused


@settings(max_examples=settings().max_examples // 2)
@given(document=DOCUMENTS)
def test_any_document_is_looked_at_and_changed(tmp_path_factory, document) -> None:
    """Whatever the file says, no look and no change fails in an unknown way."""
    root = tmp_path_factory.mktemp("state")
    path = root / "agents/main/agent/auth-profiles.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(document))

    with warnings.catch_warnings(), clawstate.open(root, store="file", clock=lambda: NOW) as state:
        warnings.simplefilter("ignore", CorruptWarning)
        look(state.auth())
        look(state.auth("work"))
        change(state.auth("work"))
        change(state.auth())
        look(state.auth())


@settings(max_examples=settings().max_examples // 2)
@given(document=DOCUMENTS)
def test_a_change_leaves_all_that_it_is_not_about(tmp_path_factory, document) -> None:
    """Whatever is in the file, a new profile is all that is new after it was stored."""
    root = tmp_path_factory.mktemp("state")
    path = root / "agents/main/agent/auth-profiles.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(document))
    before = json.loads(path.read_text())

    with clawstate.open(root, store="file", clock=lambda: NOW) as state:
        try:
            state.auth().upsert("zebra:new", KEY)
        except StateError:
            assert json.loads(path.read_text()) == before
            return

    wanted = {**before["profiles"], "zebra:new": KEY}
    assert json.loads(path.read_text()) == {"version": 1, **before, "profiles": wanted}


@settings(max_examples=settings().max_examples // 2)
@given(old=JSON)
def test_any_old_file_is_looked_at(old) -> None:
    """Whatever is in a file of an older release, it is looked at and imported as far as it goes."""
    backend = InMemoryBackend()
    source = backend.collection(spec("legacy", MapLayout()))
    for key, value in old.items() if isinstance(old, dict) else ():
        try:
            source.put(key, value)
        except StateError:
            continue
    codec = CredentialCodec("main")
    legacy = Legacy(
        (LegacySource("auth:main/auth.json", source, from_agent_file),),
        backend.collection(spec("imports", LEDGER_LAYOUT)),
        codec,
    )
    collection = backend.collection(spec("auth:main", LAYOUT))
    auth = AuthProfiles(
        ProfileStore("main", collection, codec, legacy=legacy, clock=lambda: NOW), clock=lambda: NOW
    )

    look(auth)
    seen = {profile.id for profile in auth.profiles()}
    change(auth)

    assert seen - {"openai:a"} <= {profile.id for profile in auth.profiles()}


def spec(kind, layout):
    return CollectionSpec(kind, PurePosixPath("any.json"), layout)


def damages():
    text = (json.dumps(DOCUMENT, indent=2) + "\n").encode()
    for place in range(0, len(text), STRIDE):
        yield text[:place]
        for bit in (0x01, 0x20, 0x80):
            yield text[:place] + bytes([text[place] ^ bit]) + text[place + 1 :]


@pytest.mark.filterwarnings("ignore::clawstate.errors.CorruptWarning")
def test_no_damage_is_overwritten(path, tmp_path) -> None:
    """Cut or flipped anywhere, the file is read as far as it can be, or left exactly as it is."""
    refused = 0
    for number, damage in enumerate(damages()):
        path.write_bytes(damage)
        os.utime(path, (0, number))  # so that nobody waits for a writer that might be at it
        with clawstate.open(tmp_path, store="file", clock=lambda: NOW) as state:
            try:
                look(state.auth())
                state.auth().upsert("zebra:new", KEY)
            except StateError:
                refused += 1
                assert path.read_bytes() == damage
            else:
                kept = json.loads(path.read_bytes())
                assert kept == {"version": 1, **json.loads(damage), "profiles": kept["profiles"]}
                assert json.loads(damage).get("profiles", {}).items() <= kept["profiles"].items()
    assert refused > 10


def test_threads_share_one_store(tmp_path) -> None:
    """Many threads that mark, store and look lose nothing, and see no half of anything."""
    with clawstate.open(tmp_path, store="file", clock=lambda: NOW) as state:
        auth = state.auth()
        auth.upsert("openai:a", KEY)

        def work(number):
            auth.mark_failure("openai:a", "timeout")
            auth.upsert(f"openai:{number}", {**KEY, "key": f"sk-{number}"})
            return auth.secret(f"openai:{number}"), len(auth.order("openai"))

        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(work, range(18)))

        assert [secret for secret, _ in found] == [f"sk-{number}" for number in range(18)]
        assert auth.usage("openai:a").error_count == 18
        assert len(auth.profiles()) == 19
