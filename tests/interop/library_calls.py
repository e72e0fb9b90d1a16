"""Every method of the library's stores: what it is called with, or that it only reads."""

from __future__ import annotations

import inspect
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import clawstate
from clawstate.errors import StateError
from clawstate.importers.sync import import_paths
from clawstate.state import State
from clawstate.stores.pairing import Proof, proof_text

KEY = "agent:main:library"
MAIN = "agent:main:main"
STORES = (
    "audit",
    "backup_notes",
    "config",
    "dedupe",
    "device_auth",
    "device_flow",
    "devices",
    "encryption",
    "identity",
    "memory",
)
STORES += ("directories", "matrix", "openclaw", "pairing", "plugins", "sessions", "timeline")
STORES += ("transcripts",)
CREDENTIAL = {"type": "api_key", "provider": "openai", "key": "sk-made-up-of-the-library"}
MESSAGE = {"role": "user", "content": "a word of the library"}

Call = Callable[[State], object]
CALLS: dict[str, Call] = {}
"""What each method that writes is called with; one name for each, as `sessions.resolve`."""

READING = {
    "audit": "is_on path",
    "backup_notes": "backups known_state last_verified path paths schedule",
    "auth": "check document get last_good order page problems profiles reload require rests_until"
    " secret standing stored_order usage",
    "config": "agent_view agents changed diff get guard history invalidate issues misplaced"
    " on_change overlay_path owner path redacted require resolve secret text value_at"
    " view watch written",
    "dedupe": "check clear_memory in_files namespaces page seen statistics stats warm_up",
    "device_auth": "check device_id foreign get tokens",
    "devices": "check get malformed page paired verify was_used",
    "device_flow": "device_code",
    "directories": "clear get invalidate pop put statistics",  # in memory alone
    "encryption": "check choice is_on keys path problem resolve sealer source summary unlock",
    "identity": "check device_id get mismatch public_key verify",
    "matrix": "check known_device logins",
    "memory": "activity archived changes check close conflicts duplicates explain find_ids get"
    " get_many"
    " history inbox needs_optimizing now page recall records require"
    " retention_policy search stats",
    "openclaw": "credentials problems sessions",
    "pairing": "check expires_at page pending stale",
    "plugins": "check close hooks list load refresh start tools",
    "sessions": "archive_page archived as_of changes check collect ended_ids entries"
    " get known_ids page require",
    "timeline": "activity changes",
    "transcripts": "check close count export get info message_page messages page"
    " message_counts search sessions stats volume",
}
"""The methods that only read."""


def calls(name: str) -> Callable[[Call], Call]:
    """Note the function as the call of the method *name*."""

    def noted(call: Call) -> Call:
        CALLS[name] = call
        return call

    return noted


def methods(state: State) -> tuple[str, ...]:
    """Return every public method and property of the stores of *state*."""
    stores = {"auth": state.auth(), **{name: getattr(state, name) for name in STORES}}
    return tuple(
        f"{name}.{member}"
        for name, store in stores.items()
        for member, _ in inspect.getmembers_static(type(store))
        if not member.startswith("_")
    )


def stores(state: State) -> set[str]:
    """Return the names of all stores that *state* has."""
    own = {"auth", "close", "paths", "owner", "clock", "agents", "changes", "subscribe", "engine"}
    own |= {"health", "places", "records", "collection", "sessions_of", "transcripts_waiting"}
    return {name for name in dir(state) if not name.startswith("_")} - own


def unknown(state: State) -> tuple[str, ...]:
    """Return the stores and methods of which nobody has said here what they do."""
    reading = {f"{store}.{name}" for store, names in READING.items() for name in names.split()}
    known = reading | set(CALLS)
    return (*sorted(stores(state) - set(STORES)), *(m for m in methods(state) if m not in known))


def main(name: str) -> int:
    """Make the call *name* in the default state; return 1 if it was refused, and say why."""
    warnings.simplefilter("ignore")
    with clawstate.open() as state:
        try:
            CALLS[name](state)
        except StateError as error:
            sys.stderr.write(f"{type(error).__name__}: {error}")
            return 1
    return 0


def _device(state: State, name: str) -> str:
    state.devices.issue(device_id=name, user_id="ada")
    return name


def _asking(state: State) -> str:
    return state.pairing.request(user_id="bob", device_id="asking-again").device_id


def _message(state: State) -> tuple[str, str]:
    session = state.sessions.resolve(KEY).session_id
    return session, state.transcripts.append(session, MESSAGE)[0]


def _store(mutated: dict[str, object]) -> None:
    mutated[f"{KEY}:two"] = {"sessionId": "11111111-1111-4111-8111-111111111111", "updatedAt": 1}


def _matrix(state: State) -> None:
    login = ("http://127.0.0.1:1", "@library:localhost", "made-up-token")
    state.matrix.credentials("library").save(*login, device_id="LIBRARY")
    state.matrix(account_id="library").storage.set_sync_token("s1")


def _paired() -> dict[str, object]:
    return {"deviceId": "adopted", "publicKey": "cHVibGlj", "role": "operator", "scopes": []}


CALLS |= {
    "auth.merge": lambda s: s.auth().merge({"version": 1, "profiles": {"openai:a": CREDENTIAL}}),
    "auth.import_legacy": lambda s: s.auth().import_legacy(),
    "auth.keep": lambda s: s.auth().keep("openai:kept", CREDENTIAL),
    "auth.upsert": lambda s: s.auth().upsert("openai:library", CREDENTIAL),
    "auth.set_order": lambda s: s.auth().set_order("openai", None),
    "config.set": lambda s: s.config.set("messages.responsePrefix", "[library]"),
    "config.set_apart": lambda s: s.config.set_apart(),
    "config.unset": lambda s: s.config.unset("messages.responsePrefix"),
    "config.replace": lambda s: s.config.replace(f"{s.config.text()}\n// replaced\n"),
    "dedupe.merge": lambda s: s.dedupe.merge({"one": 1_795_000_000_000}, "library"),
    "dedupe.check_and_record": lambda s: s.dedupe.check_and_record("two", "library"),
    "dedupe.check_many": lambda s: s.dedupe.check_many(["three", "four"], "library"),
    "dedupe.forget": lambda s: s.dedupe.forget("two", "library"),
    "dedupe.prune": lambda s: s.dedupe.prune(),
    "device_auth.set": lambda s: s.device_auth.set("operator", "token", ["operator.read"]),
    "device_auth.remove": lambda s: (s.device_auth.set("a", "b"), s.device_auth.remove("a")),
    "device_auth.discard_foreign": lambda s: s.device_auth.discard_foreign(),
    "devices.issue": lambda s: _device(s, "library"),
    "devices.refuse": lambda s: s.devices.refuse("request", "library"),
    "devices.rename": lambda s: s.devices.rename(_device(s, "renamed"), "Name"),
    "devices.revoke": lambda s: s.devices.revoke(_device(s, "revoked")),
    "devices.rotate": lambda s: s.devices.rotate(_device(s, "rotated")),
    "devices.remove": lambda s: s.devices.remove(_device(s, "removed")),
    "encryption.turn_on": lambda s: s.encryption.turn_on("file"),
    "encryption.rekey": lambda s: (s.encryption.turn_on("file"), s.encryption.rekey()),
    "encryption.turn_off": lambda s: (s.encryption.turn_on("file"), s.encryption.turn_off()),
    "identity.load_or_create": lambda s: s.identity.load_or_create(),
    "identity.sign": lambda s: s.identity.sign("text"),
    "identity.correct_id": lambda s: s.identity.correct_id(),
    "memory.add": lambda s: s.memory.add("The library was here"),
    "memory.add_many": lambda s: s.memory.add_many([{"text": "one"}, {"text": "two"}]),
    "memory.delete": lambda s: s.memory.delete(s.memory.add("gone")),
    "memory.delete_many": lambda s: s.memory.delete_many([s.memory.add("gone too")]),
    "memory.compact": lambda s: s.memory.compact(),
    "memory.forget": lambda s: s.memory.forget([s.memory.add("gone as well")]),
    "memory.forget_source": lambda s: s.memory.forget_source("a-source"),
    "memory.map": lambda s: s.memory.map(),
    "memory.stop_map": lambda s: s.memory.stop_map(),
    "memory.optimize": lambda s: s.memory.optimize(),
    "memory.rebuild": lambda s: s.memory.rebuild(),
    "memory.reembed": lambda s: s.memory.reembed("wordllama"),
    "memory.discard_reembedding": lambda s: s.memory.discard_reembedding(),
    "memory.repair": lambda s: s.memory.repair(),
    "memory.archive": lambda s: s.memory.archive([s.memory.add("put aside")]),
    "memory.restore": lambda s: s.memory.restore(["nobody"]),
    "memory.retain": lambda s: s.memory.retain(clawstate.RetentionPolicy()),
    "memory.forget_matching": lambda s: s.memory.forget_matching(tags=["gone"]),
    "memory.supersede": lambda s: s.memory.supersede(s.memory.add("before"), "after"),
    "memory.put_back": lambda s: s.memory.put_back(s.memory.add("as it was"), s.clock()),
    "config.put_back": lambda s: (s.config.set("ui.x", 1), s.config.put_back("ui.x", 0.0)),
    "sessions.put_back": lambda s: s.sessions.put_back(
        s.sessions.resolve("past").session_key, s.clock()
    ),
    "memory.forget_history": lambda s: s.memory.forget_history(s.memory.add("with no past")),
    "memory.tag": lambda s: s.memory.tag([s.memory.add("tagged")], add=["later"]),
    "memory.update": lambda s: s.memory.update(s.memory.add("before"), text="after"),
    "matrix.credentials": _matrix,
    "pairing.request": lambda s: s.pairing.request(user_id="bob", device_id="asking-library"),
    "pairing.approve_request": lambda s: s.pairing.approve_request(_asking(s)),
    "pairing.reject_request": lambda s: s.pairing.reject_request(_asking(s)),
    "device_flow.ask": lambda s: s.device_flow.ask(**_device(s)),
    "device_flow.invite": lambda s: s.device_flow.invite(),
    "device_flow.prune": lambda s: s.device_flow.prune(),
    "pairing.prune": lambda s: s.pairing.prune(),
    "sessions.resolve": lambda s: (s.sessions.resolve(KEY), s.sessions.resolve(MAIN)),
    "sessions.update": lambda s: s.sessions.update(MAIN, {"oursNote": "seen"}),
    "sessions.update_store": lambda s: s.sessions.update_store(_store),
    "sessions.change_all": lambda s: s.sessions.change_all(lambda entries: (entries, None)),
    "sessions.repair": lambda s: s.sessions.repair(),
    "sessions.prune": lambda s: s.sessions.prune(),
    "sessions.reset": lambda s: s.sessions.reset(s.sessions.resolve(f"{KEY}:reset").session_key),
    "transcripts.append": _message,
    "transcripts.optimize": lambda s: s.transcripts.optimize(),
    "transcripts.prune": lambda s: s.transcripts.prune(most_sessions=50),
}


def _capture(state: State, text: str) -> str:
    return state.memory.capture([{"role": "user", "content": text}]).inbox[0]


@calls("memory.capture")
def _(state: State) -> object:
    return _capture(state, "From now on always answer in German")


@calls("memory.accept")
def _(state: State) -> object:
    return state.memory.accept(_capture(state, "Never mention the moon to anybody"))


@calls("memory.reject")
def _(state: State) -> object:
    return state.memory.reject([_capture(state, "Never mention the sun to anybody")])


@calls("audit.turn_on")
def _(state: State) -> object:
    state.memory.add("a word of the library")
    with TemporaryDirectory() as folder:
        return state.audit.turn_on(f"file:{folder}/key", head=Path(folder) / "head")


@calls("audit.head")
def _(state: State) -> object:
    return state.audit.is_on() and state.audit.head()


@calls("audit.verify")
def _(state: State) -> object:
    state.memory.add("a word of the library")
    with TemporaryDirectory() as folder:
        state.audit.turn_on(f"file:{folder}/key", head=Path(folder) / "head")
        report = state.audit.verify()
        state.audit.turn_off()
    return report


@calls("audit.turn_off")
def _(state: State) -> object:
    return state.audit.turn_off()


@calls("backup_notes.state_id")
def _(state: State) -> object:
    return state.backup_notes.state_id()


@calls("backup_notes.note_created")
def _(state: State) -> object:
    return state.backup_notes.note_created(Path("none"), created=1.0, digest="0")


@calls("backup_notes.note_verified")
def _(state: State) -> object:
    return state.backup_notes.note_verified("0", at=2.0)


@calls("backup_notes.forget")
def _(state: State) -> object:
    return state.backup_notes.forget(Path("none"))


@calls("backup_notes.set_schedule")
def _(state: State) -> object:
    return state.backup_notes.set_schedule(None)


@calls("memory.resolve")
def _(state: State) -> object:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "notes.jsonl"
        file.write_text('{"id": "the-meeting", "text": "The meeting is at nine"}')
        import_paths(state.memory, [file])
        state.memory.update("the-meeting", text="The meeting is at ten")
        file.write_text('{"id": "the-meeting", "text": "The meeting is at noon"}')
        import_paths(state.memory, [file])
        return state.memory.resolve("the-meeting", keep="mine")


@calls("plugins.enable")
def _(state: State) -> object:
    return state.plugins.enable("memory-core")


@calls("plugins.disable")
def _(state: State) -> object:
    return state.plugins.disable("memory-lancedb")


@calls("auth.remove")
def _(state: State) -> None:
    state.auth().upsert("openai:removed", CREDENTIAL)
    state.auth().remove("openai:removed")


@calls("auth.mark_used")
def _(state: State) -> None:
    state.auth().upsert("openai:library", CREDENTIAL)
    state.auth().mark_used("openai:library")


@calls("auth.end_rest")
def _(state: State) -> None:
    state.auth().upsert("openai:library", CREDENTIAL)
    state.auth().end_rest("openai:library")


@calls("auth.mark_good")
def _(state: State) -> None:
    state.auth().upsert("openai:library", CREDENTIAL)
    state.auth().mark_good("openai:library")


@calls("auth.mark_failure")
def _(state: State) -> None:
    state.auth().upsert("openai:failing", CREDENTIAL)
    state.auth().mark_failure("openai:failing", "rate_limit")
    state.auth().remove("openai:failing")  # or OpenClaw's doctor tells how long it rests


@calls("auth.refresh")
def _(state: State) -> None:
    expired = {"type": "oauth", "provider": "google", "access": "a", "refresh": "r", "expires": 1}
    fresh = {**expired, "access": "b", "expires": 1_995_000_000_000}
    state.auth().upsert("google:library", expired)
    state.auth().refresh("google:library", lambda _: fresh)


@calls("config.undo")
def _(state: State) -> None:
    state.config.set("messages.responsePrefix", "[undone]")
    state.config.undo()


@calls("device_auth.merge")
def _(state: State) -> None:
    held = {"token": "held", "role": "operator", "scopes": ["operator.read"], "updatedAtMs": 1}
    owner = state.device_auth.device_id
    state.device_auth.merge({"version": 1, "deviceId": owner, "tokens": {"node": held}})


@calls("devices.merge")
def _(state: State) -> None:
    state.devices.merge({"adopted": _paired()})


@calls("identity.merge")
def _(state: State) -> None:
    with TemporaryDirectory() as folder, clawstate.open(Path(folder) / "other") as other:
        other.identity.load_or_create()
        document = json.loads(other.paths.device_identity.read_text())
    state.identity.merge(document)


def _device(state: State) -> dict[str, str]:
    """Return who this device is, as it asks to be let in."""
    found = state.identity.load_or_create()
    return {"device_id": found.device_id, "public_key": found.public_key}


def _prove(state: State, about: str) -> Proof:
    """Return the proof that this device has its key."""
    device, moment = _device(state), round(state.clock() * 1000)
    signature = state.identity.sign(proof_text(device["device_id"], about, moment))
    return Proof(**device, signed_at_ms=moment, signature=signature)


@calls("device_flow.collect")
def _collect(state: State) -> object:
    request = state.device_flow.ask(**_device(state), name="collecting")
    state.pairing.approve(request.code)
    code = state.device_flow.device_code(request)
    return state.device_flow.collect(code, _prove(state, code))


@calls("device_flow.redeem")
def _redeem(state: State) -> object:
    secret = state.device_flow.invite().secret
    return state.device_flow.redeem(secret, _prove(state, secret))


@calls("devices.collect")
def _collect_by_mark(state: State) -> object:
    request = state.device_flow.ask(**_device(state), name="by its mark")
    state.pairing.approve(request.code)
    mark = state.device_flow.device_code(request)
    moment = round(state.clock() * 1000)
    return state.devices.collect(request.device_id, request=mark, signed_at_ms=moment)


@calls("pairing.approve")
def _(state: State) -> None:
    state.pairing.approve(state.pairing.request(user_id="bob", device_id="approved").code)


@calls("pairing.reject")
def _(state: State) -> None:
    state.pairing.reject(state.pairing.request(user_id="bob", device_id="rejected").code)


@calls("sessions.merge")
def _(state: State) -> None:
    entry = {"sessionId": "22222222-2222-4222-8222-222222222222", "updatedAt": 1}
    state.sessions.merge({f"{KEY}:adopted": entry})


@calls("sessions.delete")
def _(state: State) -> None:
    state.sessions.resolve(f"{KEY}:deleted")
    state.sessions.delete(f"{KEY}:deleted")


@calls("sessions.restore")
def _(state: State) -> None:
    state.sessions.resolve(f"{KEY}:restored")
    state.sessions.delete(f"{KEY}:restored")
    state.sessions.restore(f"{KEY}:restored")


@calls("transcripts.delete")
def _(state: State) -> None:
    state.transcripts.append("33333333-3333-4333-8333-333333333333", MESSAGE)
    state.transcripts.delete("33333333-3333-4333-8333-333333333333")


@calls("transcripts.fork")
def _(state: State) -> None:
    session, message = _message(state)
    state.transcripts.fork(session, message, "44444444-4444-4444-8444-444444444444")


@calls("transcripts.import_lines")
def _(state: State) -> None:
    session = state.sessions.resolve(KEY).session_id
    state.transcripts.import_lines(
        session, [json.dumps({"type": "message", "id": "0a543b42", "message": MESSAGE})]
    )
