# ruff: noqa: T201 - lines are what a victim tells
from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import clawstate
from clawstate.encryption import ciphertext
from clawstate.state.encryption import Encryption

LOGIN = {"type": "oauth", "provider": "google", "access": "a", "refresh": "r", "expires": 1}
ANSWER = {"access_token": "a2", "refresh_token": "r2", "expires_in": 3600}
KEY = {"type": "api_key", "provider": "xai", "key": "xai-1234567890"}


def upsert(state):
    state.auth().upsert("xai:default", KEY)
    state.auth("bob").upsert("xai:default", KEY)


def fail(state):
    upsert(state)
    state.auth().mark_failure("xai:default", "billing")
    state.auth().remove("xai:default")


def refresh(state):
    state.auth().upsert("google:me", LOGIN)
    state.auth().refresh("google:me", lambda _credential: ANSWER)


def encrypt(state):
    upsert(state)
    encryption = Encryption(state._context)
    encryption.turn_on("file")
    encryption.rekey()
    refresh(state)
    encryption.turn_off()


def resolve(state):
    state.sessions.resolve("a")
    state.sessions.resolve("b")
    state.sessions.update("a", {"n": 1})
    state.sessions.delete("a")
    state.sessions.restore("a")
    state.sessions.repair()


def approve(state):
    first = state.pairing.request(user_id="ada", device_id="phone")
    second = state.pairing.request(user_id="ada", device_id="tv")
    issued = state.pairing.approve(first.code)
    state.pairing.reject(second.code)
    state.devices.verify("phone", issued.token)
    state.devices.rotate("phone")
    state.devices.revoke("phone")


def identify(state):
    state.identity.load_or_create()
    state.device_auth.set("gateway", "token", ["operator.read"])
    state.device_auth.remove("gateway")


def mark(state):
    state.dedupe.check_and_record("key", namespace="inbox")


def append(state):
    state.transcripts.append("session", {"role": "user", "content": "hello"})


DEEDS = (upsert, fail, refresh, encrypt, resolve, approve, identify, mark, append)

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    ciphertext.seal_text(ciphertext.new_key(), "", place="")  # loads what takes long
    print("WARM")
    place, engine, deed, umask = Path(sys.argv[1]), *sys.argv[2:]
    os.umask(int(umask, 8))
    os.environ["HOME"] = str(place)
    for name in ("XDG_CONFIG_HOME", "CLAWSTATE_KEY_FILE", "CLAWSTATE_PASSPHRASE_FILE"):
        os.environ.pop(name, None)
    print("READY")
    with clawstate.open(place / "state", store=engine) as opened:
        {each.__name__: each for each in DEEDS}[deed](opened)
    print("END")
