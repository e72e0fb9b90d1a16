"""What the tests of the import of OpenClaw share: reading a state as a whole."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import clawstate


def moved(report) -> int:
    """Return how many things an import wrote."""
    return sum(count.new + count.changed for count in report.counts.values())


def counts(report) -> dict[str, tuple[int, ...]]:
    """Return the counts by kind: found, new, changed, unchanged, skipped, failed."""
    return {
        kind: (
            count.found,
            count.new,
            count.changed,
            count.unchanged,
            count.skipped,
            count.failed,
        )
        for kind, count in report.kinds()
    }


def failures(report) -> list[tuple[str, str]]:
    return [(each.kind, each.path) for each in report.remarks if each.severity == "failed"]


def contents(state: clawstate.State) -> dict[str, Any]:
    """Return all that a state keeps, by its public verbs."""
    return {
        "config": state.config.text(),
        "auth": {agent: state.auth(agent).document() for agent in ("main", "work")},
        "sessions": {each.session_key: each.document() for each in state.sessions.entries()},
        "transcripts": {
            each.session_id: exported(state, each.session_id)
            for each in state.transcripts.sessions()
        },
        "identity": state.identity.get(),
        "held": {name: str(token) for name, token in state.device_auth.tokens().items()},
        "devices": state.devices.paired(revoked=True),
        "memory": sorted(
            (each.namespace, each.text, each.source, str(each.metadata))
            for each in state.memory.records(namespace=None)
        ),
        "files": {
            path: content
            for path, content in files(state.paths.root).items()
            if path.startswith(("media/", "secrets/"))
            and not path.endswith((".tmp", ".turn", ".gate"))
        },
        "marks": {
            (space, key): state.dedupe.seen(key, space)
            for space in state.dedupe.namespaces()
            for key in ("m1", "m2", "old", "bad")
        },
    }


def exported(state: clawstate.State, session_id: str) -> list[str]:
    out = io.BytesIO()
    state.transcripts.export(session_id, out)
    return out.getvalue().decode().splitlines()


def files(root: Path) -> dict[str, bytes]:
    """Return the files below *root*, without what SQLite makes to read, or who had what lease."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm", "leases.json"))
    }
