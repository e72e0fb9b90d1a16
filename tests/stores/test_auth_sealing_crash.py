from __future__ import annotations

import os
import random
import re
import shutil
import sys
from contextlib import contextmanager

import pytest

import clawstate
from clawstate.errors import StateError
from clawstate.state.encryption import Encryption
from faults import strace
from faults.victim import Victim
from seeds import seed

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
KILLS, FAULTS = (None, None) if FULL else (8, 6)
ERRORS = ("EIO", "ENOSPC", "EMFILE", "EACCES")
SEED = seed()
# Counts differ a little from run to run, as the scheduler wills.
MOST = 0.7 if FULL else 0.2  # of a few points, chance may leave out most

# Memory and threads of the interpreter, not files.
NO_FILES = re.compile(
    r"mremap|rseq|set_robust_list|clone3?|ioctl|prctl|clock_nanosleep|getrandom|uname|sendmsg|recvmsg"
)

SECRETS = (
    "sk-canary-0123456789-abcdefgh",
    "ya29-canary-access-01234",
    "1//canary-refresh-01234",
    "syt_canary_matrix_0123456789",
    "canary-pickle-key-0123456789=",
)
MATRIX = {"userId": "@bot:h.org", "deviceId": "DEV", "pickleKey": SECRETS[4]}

# Changes the encryption of a state, and says what came of it.
SCRIPT = """
import os, sys, warnings
import clawstate.config.editing, clawstate.config.writing
from pathlib import Path
from clawstate.config.issues import check
from clawstate.errors import StateError
from clawstate.encryption.ciphertext import new_key, open_text, seal_text
from clawstate.state import open_state
from clawstate.state.encryption import Encryption
import clawstate.records.sqlite, clawstate.stores.auth, clawstate.state.matrix
warnings.simplefilter("ignore")
check({"gateway": {"port": "wrong"}})  # loads the schema
key = new_key()
open_text(key, seal_text(key, "x", place="y"), place="y")  # loads the ciphers
print("WARM")
root, store, action, config = sys.argv[1:]
os.umask(0)
os.environ["XDG_CONFIG_HOME"] = config
print("READY")
try:
    with open_state(root, store=store, lock_timeout=5) as state:
        encryption = Encryption(state._context)
        if action == "encrypt":
            encryption.turn_on("file")
        elif action == "decrypt":
            encryption.turn_off()
        else:
            encryption.rekey()
except StateError as error:
    print("ERR", str(error).replace(chr(10), " "))
else:
    print("ACK")
print("END")
"""

pytestmark = pytest.mark.crash

CASES = [
    (store, action) for store in ("file", "sqlite") for action in ("encrypt", "decrypt", "rekey")
]
every = pytest.mark.parametrize(("store", "action"), CASES, ids=map("-".join, CASES))


@pytest.fixture(scope="module")
def victim():
    if (reason := strace.available()) is not None:
        pytest.skip(reason)
    with Victim(SCRIPT, timeout=60) as made:
        yield made


@pytest.fixture(autouse=True)
def shown_seed():
    sys.stdout.write(f"seed {SEED}\n")


@pytest.fixture
def template(tmp_path, monkeypatch, store, action):
    """Return a state as it is before the *action*."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "keys"))
    root = tmp_path / "template"
    with clawstate.open(root, store=store) as state:
        state.auth().upsert(
            "openai:default", {"type": "api_key", "provider": "openai", "key": SECRETS[0]}
        )
        tokens = {"access": SECRETS[1], "refresh": SECRETS[2], "expires": 4_000_000_000_000}
        state.auth("bob").upsert("google:me", {"type": "oauth", "provider": "google", **tokens})
        state.matrix.credentials().save("https://h.org", "@bot:h.org", SECRETS[3])
        state.matrix().keys._records.put("key", MATRIX)
        if action != "encrypt":
            Encryption(state._context).turn_on("file")
    return root


@contextmanager
def fresh(template, tmp_path, name):
    """Give a copy of the state, and a place for its new keys, for a while."""
    place = tmp_path / name
    place.mkdir(mode=0o700)
    shutil.copytree(template, place / "state")
    try:
        yield place / "state", place / "keys"
    finally:
        shutil.rmtree(place)


def problems_of(root, store):
    """Tell of secrets that cannot be read, and of files that others may read."""
    wrong = [
        f"{each} has mode {each.stat().st_mode & 0o777:o}"
        for each in root.parent.rglob("*")
        if each.lstat().st_mode & 0o077 and not each.name.startswith("openclaw.json")
    ]
    try:
        with clawstate.open(root, store=store) as state:
            bob = state.auth("bob").require("google:me")
            matrix = state.matrix()
            found = state.auth().secret("openai:default"), bob.access, bob.refresh
            if (*found, matrix.access_token, matrix.keys.require().pickle_key) != SECRETS:
                wrong.append("a secret is another one")
    except StateError as error:
        wrong.append(f"a secret cannot be read: {error}")
    return wrong


def repeated(root, store, action):
    """Do again what was broken off, and tell what is not as it should be then."""
    with clawstate.open(root, store=store) as state:
        encryption = Encryption(state._context)
        if action == "encrypt":
            encryption.turn_on("file")
        elif action == "decrypt":
            encryption.turn_off()
        else:
            encryption.rekey()
        summary = encryption.summary()
    if action == "decrypt":
        return [] if (summary.clear, summary.sealed) == (5, 0) else [str(summary)]
    if (summary.clear, summary.sealed, len(summary.keys)) != (0, 5, 1):
        return [str(summary)]
    files = [each for each in root.rglob("*") if each.is_file()]
    return [
        f"{each} holds a secret in the clear"
        for each in files
        if any(secret.encode() in each.read_bytes() for secret in SECRETS)
    ]


def is_of_files(point):
    is_memory = NO_FILES.fullmatch(point.call) or "MAP_ANONYMOUS" in point.text
    return point.fallible and not is_memory


def some(points, most):
    if most is None or len(points) <= most:
        return points
    step = len(points) / most
    chance = random.Random(SEED)
    return [points[int((number + chance.random()) * step)] for number in range(most)]


def judged(template, tmp_path, store, action, harms):
    """Return how many of *harms* met their point; fail with all that were not survived."""
    wrong, met = [], 0
    for number, (name, harm) in enumerate(harms):
        with fresh(template, tmp_path, f"run{number}") as (root, keys):
            outcome = harm(root, keys)
            met += outcome.killed or bool(outcome.injected)
            found = problems_of(root, store)
            if not found:
                found = repeated(root, store, action)
            found = found or problems_of(root, store)
            if any(secret in line for line in outcome.lines for secret in SECRETS):
                found.append("an error shows a secret")
            wrong += [f"{name}: {each}" for each in found]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
    return met


@every
def test_a_kill_leaves_every_secret_readable(victim, template, tmp_path, store, action) -> None:
    """Killed at any system call, every secret can be read, and repeating it completes it."""
    with fresh(template, tmp_path, "whole") as (root, keys):
        points = strace.trace(victim, root, store, action, keys)

    def harms():
        for point in some(points, KILLS):
            yield (
                str(point),
                lambda root, keys, point=point: strace.run_killed(
                    victim, point, root, store, action, keys
                ),
            )

    chosen = list(harms())
    met = judged(template, tmp_path, store, action, chosen)

    assert met >= MOST * len(chosen)


@every
def test_a_failing_call_leaves_every_secret_readable(
    victim, template, tmp_path, store, action
) -> None:
    """When any system call fails, every secret can be read, and repeating it completes it."""
    with fresh(template, tmp_path, "whole") as (root, keys):
        points = [
            each for each in strace.trace(victim, root, store, action, keys) if is_of_files(each)
        ]

    def harms():
        for number, point in enumerate(some(points, FAULTS)):
            error = ERRORS[number % len(ERRORS)]
            yield (
                f"{error} at {point}",
                lambda root, keys, point=point, error=error: strace.run_failing(
                    victim, point, error, root, store, action, keys
                ),
            )

    chosen = list(harms())
    met = judged(template, tmp_path, store, action, chosen)

    assert met >= MOST * len(chosen)
