"""The key pair and the held tokens of one device, used by clawstate and by the real OpenClaw."""

from __future__ import annotations

import hashlib
import json
import os
from itertools import combinations

import pytest

import clawstate
from clawstate.errors import CorruptWarning
from clawstate.stores.devices import covers
from clawstate.stores.identity import verify

pytestmark = pytest.mark.interop

IDENTITY = "async (by, input) => by.loadOrCreateDeviceIdentity(input.path)"
VERIFY = "async (by, input) => by.verifyDeviceSignature(input.key, input.payload, input.signature)"
# The package does not export these functions: their regions of its text are run as they are.
HIDDEN = """async (by, input) => {
  const [fs, path, crypto] = ["fs", "path", "crypto"].map(process.getBuiltinModule);
  const names = "{ signDevicePayload, loadDeviceAuthToken, storeDeviceAuthToken }";
  const made = new Function(
    "fs", "path", "crypto", "resolveStateDir", `${input.text}; return ${names}`);
  const state = (env) => env.OPENCLAW_STATE_DIR;
  return made(fs, path, crypto, state)[input.name](...input.given);
}"""
REGIONS = (
    "src/infra/device-identity.ts",
    "src/shared/device-auth.ts",
    "src/infra/device-auth-store.ts",
)
COVERS = """async (by, input) =>
  input.map(([granted, requested]) => by.roleScopesAllow({
    role: "operator", requestedScopes: requested, allowedScopes: granted }))"""
RACE = """async (by, input) => {
  while (Date.now() < input.at);
  return by.loadOrCreateDeviceIdentity(input.path).deviceId;
}"""
PAYLOAD = "v2|device|client|node|operator|operator.read|1800000000000|token|nonce é"


@pytest.fixture
def place(state):
    return state.paths.device_identity


@pytest.fixture
def env(state):
    return {"OPENCLAW_STATE_DIR": str(state.paths.root)}


@pytest.fixture(scope="module")
def hidden(openclaw, peer):
    """Call a function of OpenClaw that it keeps to itself."""
    chunk = next(openclaw.dist.glob("client-*.js")).read_text(encoding="utf-8")
    starts = [chunk.index(f"//#region {each}\n") for each in REGIONS]
    text = "".join(chunk[start : chunk.index("//#endregion", start)] for start in starts)

    def call(name, *given):
        return peer.run("client", HIDDEN, text=text, name=name, given=given)

    return call


def test_openclaw_is_the_device_that_we_are(state, place, peer) -> None:
    """OpenClaw reads our key pair, has our id, and leaves the file as it is."""
    made = state.identity.load_or_create()
    before = place.read_bytes()

    found = peer.run("client", IDENTITY, path=place)

    assert found["deviceId"] == made.device_id
    assert place.read_bytes() == before


def test_we_are_the_device_that_openclaw_is(state, place, peer) -> None:
    """We read the key pair that OpenClaw made, have its id, and leave the file as it is."""
    found = peer.run("client", IDENTITY, path=place)
    before = place.read_bytes()

    assert state.identity.device_id == found["deviceId"]
    assert state.identity.mismatch() is None
    assert place.read_bytes() == before
    assert place.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("maker", ["ours", "theirs"])
def test_signatures_are_good_on_both_sides(state, place, peer, hidden, maker) -> None:
    """What one signs the other verifies, whoever made the key pair; a changed text is refused."""
    if maker == "theirs":
        peer.run("client", IDENTITY, path=place)
    key, mine = state.identity.public_key, state.identity.sign(PAYLOAD)
    pem = json.loads(place.read_bytes())["privateKeyPem"]

    theirs = hidden("signDevicePayload", pem, PAYLOAD)

    assert theirs == mine
    assert verify(key, PAYLOAD, theirs)
    assert peer.run("client", VERIFY, key=key, payload=PAYLOAD, signature=mine)
    assert not peer.run("client", VERIFY, key=key, payload=PAYLOAD + "x", signature=mine)


def test_a_wrong_id_is_the_same_for_both(state, place, peer) -> None:
    """Both go by the key where the file has another id; only OpenClaw writes that down."""
    made = state.identity.device_id
    place.write_text(json.dumps({**json.loads(place.read_bytes()), "deviceId": "0" * 64}))

    assert state.identity.device_id == made
    assert state.identity.mismatch() == ("0" * 64, made)

    assert peer.run("client", IDENTITY, path=place)["deviceId"] == made
    assert state.identity.mismatch() is None


def test_made_at_the_same_moment_they_end_as_one(tmp_path, peer) -> None:
    """However both begin at once, afterwards both read the same key pair from the file."""
    rounds = 40 if os.environ.get("CLAWSTATE_FULL") == "1" else 8
    for number in range(rounds):
        with clawstate.open(tmp_path / f"state{number}") as state:
            place = state.paths.device_identity
            place.parent.mkdir(parents=True, mode=0o700)
            moment = peer.run("client", "async () => Date.now() + 60")
            asked = peer.send(
                "run", chunk="client", source=RACE, input={"path": place, "at": moment}
            )
            while state._context.clock() * 1000 < moment + number % 4:
                pass
            state.identity.load_or_create()
            peer.answer(asked)

            assert state.identity.device_id == peer.run("client", IDENTITY, path=place)["deviceId"]
            assert verify(state.identity.public_key, "x", state.identity.sign("x"))


def test_we_keep_what_openclaw_would_throw_away(state, place, peer) -> None:
    """A damaged key pair is replaced there and is refused here; the old one is still ours."""
    made = state.identity.device_id
    place.write_text("{")

    with pytest.warns(CorruptWarning):
        assert state.identity.device_id == made
    assert place.read_text() == "{"

    assert peer.run("client", IDENTITY, path=place)["deviceId"] != made


def test_we_hold_what_openclaw_holds(state, hidden, env) -> None:
    """A token that OpenClaw stored for this device is given here, with its scopes."""
    owner = state.identity.device_id
    scopes = ["operator.write", " operator.read "]
    wanted = {"deviceId": owner, "role": "operator", "token": "secret", "scopes": scopes}
    hidden("storeDeviceAuthToken", {**wanted, "env": env})

    found = state.device_auth.get("operator")

    assert (found, found.role) == ("secret", "operator")
    assert found.scopes == ("operator.read", "operator.write")


def test_openclaw_reads_the_form_that_we_write(state, hidden, env) -> None:
    """A token with scopes is one that OpenClaw reads in its own place; one without is none."""
    theirs = state.paths.device_identity.with_name("device-auth.json")
    state.device_auth.set("operator", "secret", ["operator.read"])
    state.device_auth.set("plain", "text")
    theirs.write_bytes(state.paths.device_auth.read_bytes())
    owner = state.identity.device_id

    def load(device_id, role):
        return hidden("loadDeviceAuthToken", {"deviceId": device_id, "role": role, "env": env})

    assert load(owner, "operator")["token"] == "secret"
    assert load(owner, "operator")["scopes"] == ["operator.read"]
    assert load(owner, "plain") is None
    assert load("other", "operator") is None


def test_tokens_of_another_device_are_used_by_nobody(state, hidden, env) -> None:
    """What OpenClaw stored for another id is given neither there nor here."""
    owner = state.identity.device_id
    other = hashlib.sha256(b"another").hexdigest()
    stored = {"deviceId": other, "role": "operator", "token": "secret", "scopes": [], "env": env}
    hidden("storeDeviceAuthToken", stored)

    wanted = {"deviceId": owner, "role": "operator", "env": env}
    assert hidden("loadDeviceAuthToken", wanted) is None
    assert state.device_auth.tokens() == {}
    assert state.device_auth.foreign() == other


def test_scopes_include_each_other_as_they_do_there(peer) -> None:
    """Whether scopes are allowed is answered as OpenClaw answers it, for every pair of sets."""
    names = ["operator.admin", "operator.read", "operator.write", "operator.pairing", "other"]
    sets = [list(each) for size in range(4) for each in combinations(names, size)]
    pairs = [[granted, wanted] for granted in sets for wanted in sets]

    theirs = peer.ask("run", chunk="client", source=COVERS, input=pairs)["value"]

    assert theirs == [covers(granted, wanted) for granted, wanted in pairs]
