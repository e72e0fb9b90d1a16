"""The rows of `state/openclaw.sqlite` as the documents that OpenClaw kept in files before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from clawstate.errors import CorruptError
from clawstate.openclaw.snapshot import Snapshot, merge_documents

_MACHINE = "config_machine_state"
_DEVICE = (
    *("device_id", "public_key", "display_name", "operator_label", "platform", "device_family"),
    *("client_id", "client_mode", "browser_origin", "role", "roles_json", "scopes_json"),
    *("approved_scopes_json", "remote_ip", "tokens_json", "approved_via", "node_surface_json"),
    *("created_at_ms", "approved_at_ms", "last_seen_at_ms", "last_seen_reason"),
)
_JSON = "_json"


@dataclass(frozen=True, slots=True)
class Secret:
    """An entry of OpenClaw's store of secrets; *kind* is `secret` or `env`."""

    scope_kind: str
    scope_id: str
    name: str
    kind: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """A key that a plugin handled, and when; *namespace* ends with a hash of its real name."""

    plugin: str
    namespace: str
    key: str
    seen_at_ms: int


@dataclass(frozen=True, slots=True)
class Devices:
    """
    The paired devices by id, in the form of `devices/paired.json`, tokens and all.

    Of those that cannot be read the ids, and why.
    """

    documents: dict[str, Any] = field(default_factory=dict, repr=False)
    unreadable: dict[str, str] = field(default_factory=dict)


class StateDatabase:
    """What a snapshot of the database of the whole state holds."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def credentials(self) -> dict[str, Any]:
        """
        Return the credentials that all agents share, as one `auth-profiles.json`; `{}` for none.

        Raises `CorruptError`.
        """
        texts = dict(self.snapshot.rows(_MACHINE, ("state_key", "value_json")))
        found = [
            self.snapshot.object(texts[key], _MACHINE, key)
            for key in ("authProfiles.store", "authProfiles.state")
            if key in texts
        ]
        return merge_documents(*found) if found else self._older_credentials()

    def secrets(self) -> Iterator[Secret]:
        """Yield the secrets that were not deleted."""
        columns = ("scope_kind", "scope_id", "name", "kind", "value", "deleted_at_ms")
        order = "ORDER BY scope_kind, scope_id, name"
        for scope, owner, name, kind, value, deleted in self.snapshot.rows(
            "secret_store_entries", columns, where=order
        ):
            if deleted is None and isinstance(value, str):
                yield Secret(str(scope), str(owner), str(name), str(kind), value)

    def pairing(self) -> dict[str, list[Any]]:
        """Return the requests of people to write to the agent, by channel, as in their files."""
        columns = (
            *("channel_key", "account_id", "request_id", "code", "created_at", "last_seen_at"),
            "meta_json",
        )
        found: dict[str, list[Any]] = defaultdict(list)
        table = "channel_pairing_requests"
        for channel, account, request, code, created, seen, meta in self.snapshot.rows(
            table, columns, where="ORDER BY channel_key, created_at"
        ):
            said: dict[str, Any] = {}
            # Who asked and the code are in columns: damage of the rest is no reason to lose a
            # request.
            with suppress(CorruptError):
                said = self.snapshot.object(meta, table, str(request)) if meta else {}
            document = {"id": request, "code": code, "createdAt": created, "lastSeenAt": seen}
            found[str(channel)].append({**document, "meta": {"accountId": account, **said}})
        return found

    def allow_lists(self) -> dict[tuple[str, str], list[str]]:
        """Return who may write to the agent, by channel and account, in OpenClaw's order."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        columns = ("channel_key", "account_id", "entry")
        order = "ORDER BY channel_key, account_id, sort_order"
        for channel, account, entry in self.snapshot.rows(
            "channel_pairing_allow_entries", columns, where=order
        ):
            found[str(channel), str(account)].append(str(entry))
        return found

    def identity(self) -> dict[str, Any] | None:
        """Return who this device is, in the form of `identity/device.json`."""
        columns = ("device_id", "public_key_pem", "private_key_pem", "created_at_ms")
        where = "WHERE identity_key = 'primary'"
        for device, public, private, created in self.snapshot.rows(
            "device_identities", columns, where=where
        ):
            keys = {"publicKeyPem": public, "privateKeyPem": private}
            return {"version": 1, "deviceId": device, **keys, "createdAtMs": created}
        return None

    def device_auth(self) -> dict[str, dict[str, Any]]:
        """Return the tokens of this device by its id, each as one `identity/device-auth.json`."""
        table = "device_auth_tokens"
        found: dict[str, dict[str, Any]] = {}
        for device, role, token, scopes, updated in self.snapshot.rows(
            table, ("device_id", "role", "token", "scopes_json", "updated_at_ms")
        ):
            empty: dict[str, Any] = {"version": 1, "deviceId": device, "tokens": {}}
            found.setdefault(str(device), empty)["tokens"][str(role)] = {
                "token": token,
                "role": role,
                "scopes": self.snapshot.json(scopes, table, str(device)),
                "updatedAtMs": updated,
            }
        return found

    def devices(self) -> Devices:
        """Return the paired devices."""
        table = "device_pairing_paired"
        found = Devices()
        for row in self.snapshot.rows(table, _DEVICE):
            known = {
                column: value
                for column, value in zip(_DEVICE, row, strict=True)
                if value is not None
            }
            name = str(known["device_id"])
            try:
                found.documents[name] = {
                    _member(column): self.snapshot.json(value, table, name)
                    if column.endswith(_JSON)
                    else value
                    for column, value in known.items()
                }
            # One damaged row must not hide all other devices.
            except CorruptError as error:
                found.unreadable[name] = error.problem
        return found

    def marks(self, *, now_ms: int) -> Iterator[Mark]:
        """Yield the marks of plugins that have not expired; what is none is passed over."""
        table = "plugin_state_entries"
        columns = ("plugin_id", "namespace", "entry_key", "value_json", "expires_at")
        for plugin, space, entry, text, expires in self.snapshot.rows(table, columns):
            if not str(entry).startswith("k.") or (expires is not None and expires <= now_ms):
                continue
            value = None
            with suppress(CorruptError):
                value = self.snapshot.json(text, table, str(entry))
            if isinstance(value, dict) and _is_mark(value):
                yield Mark(str(plugin), str(space), value["key"], value["seenAt"])

    def agent_databases(self) -> Iterator[tuple[str, str]]:
        """Yield the id and path of each agent's database, relative ones to the state directory."""
        order = "ORDER BY agent_id, last_seen_at DESC"
        for agent, path in self.snapshot.rows("agent_databases", ("agent_id", "path"), where=order):
            yield str(agent), str(path)

    def _older_credentials(self) -> dict[str, Any]:
        # Until schema 13 they were in tables of their own.
        tables = (
            ("auth_profile_stores", "store_key", "store_json"),
            ("auth_profile_state", "state_key", "state_json"),
        )
        found = [
            self.snapshot.object(text, table, str(key))
            for table, name, column in tables
            for key, text in self.snapshot.rows(table, (name, column))
        ]
        return merge_documents(*found) if found else {}


def _member(column: str) -> str:
    """Return how *column* is called in a document, such as `createdAtMs`."""
    first, *others = column.removesuffix(_JSON).split("_")
    return first + "".join(each.capitalize() for each in others)


def _is_mark(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("key"), str) and isinstance(value.get("seenAt"), int)
