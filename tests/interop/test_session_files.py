from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.interop

SCRIPT = Path(__file__).parent / "session_files.mjs"


@pytest.fixture
def store(state):
    yield state.transcripts
    state.transcripts.close()


@pytest.fixture
def manager(openclaw, tmp_path):
    """Run the session manager that OpenClaw uses, on one file or directory."""
    home = tmp_path / "home"
    home.mkdir()
    package = openclaw.root / "node_modules" / "@mariozechner" / "pi-coding-agent" / "dist"

    def run(action, path):
        done = subprocess.run(
            [openclaw.node, SCRIPT, package, action, path],
            env=openclaw.environment(home),
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return run


def exported(store, session):
    out = io.BytesIO()
    store.export(session, out)
    return out.getvalue()


def test_what_openclaw_wrote_comes_back_byte_by_byte(store, manager, tmp_path) -> None:
    """A session of every kind of entry is imported and exported without a byte changed."""
    told = manager("write", tmp_path)
    written = Path(told["file"]).read_bytes()

    report = store.import_lines(told["id"], io.BytesIO(written))

    assert report.problems == ()
    assert report.added == len(told["entries"])
    assert exported(store, told["id"]) == written
    assert [each.entry for each in store.messages(told["id"])] == told["entries"]
    assert store.info(told["id"]).leaf == told["leaf"]


def test_openclaw_goes_on_with_what_we_export(store, manager, tmp_path) -> None:
    """OpenClaw reads an export as the same chain, goes on in it, and that comes back to us."""
    ids = store.append(
        "s-1",
        [
            {"role": "user", "content": "x" * 20_000, "timestamp": 1},
            {"type": "model_change", "provider": "anthropic", "modelId": "claude"},
            {"role": "assistant", "content": [{"type": "text", "text": "网关"}], "timestamp": 2},
        ],
    )
    file = tmp_path / "s-1.jsonl"
    store.export("s-1", file)

    told = manager("append", file)

    assert told["id"] == "s-1"
    assert [each["id"] for each in told["entries"]][:3] == ids
    assert [each["parentId"] for each in told["entries"]] == [
        None,
        *(each["id"] for each in told["entries"][:-1]),
    ]
    assert told["messages"] == ["user", "assistant", "user", "assistant"]
    with file.open("rb") as lines:
        report = store.import_lines("s-1", lines)
    assert (report.added, report.kept) == (2, 3)
    assert exported(store, "s-1") == file.read_bytes()
