from __future__ import annotations

import json
from pathlib import Path

import pytest

NAME = "a\nforged\x1b[2J\u202eb\rforged"
FORGED = ("forged", "\x1b", "\u202e")

VERBS = [
    ["status"],
    ["doctor"],
    ["doctor", "--fix"],
    ["store", "status"],
    ["config", "path"],
    ["config", "validate"],
    ["config", "get", "nothing.there"],
    ["config", NAME],
    ["config", "set", "a", "1", f"--{NAME}"],
    ["auth", "list"],
    ["auth", "audit"],
    ["auth", "show", NAME],
    ["auth", "import"],
    ["auth", "encrypt", "--key", f"file:{NAME}"],
    ["sessions", "list"],
    ["sessions", "show", NAME],
    ["transcripts", "list"],
    ["transcripts", "export", NAME, "-o", NAME],
    ["pairing", "list"],
    ["pairing", "approve", NAME],
    ["devices", "list"],
    ["devices", "rotate", NAME],
    ["dedupe", "stats"],
    ["dedupe", "check", NAME, "-n", NAME],
    ["import", "openclaw", NAME],
    ["memory", "list"],
    ["memory", "list", "--after", NAME],
    ["memory", "list", "--source", NAME],
    ["memory", "search", "lobster"],
    ["memory", "search", "lobster", "--explain"],
    ["memory", "search", "lobster", "--where", f"${NAME}=1"],
    ["memory", "explain", "lobster", NAME],
    ["memory", "explain", "lobster", "notes"],
    ["memory", "get", NAME],
    ["memory", "forget", NAME],
    ["memory", "forget", NAME, "--receipt"],
    ["memory", "history", NAME],
    ["memory", "supersede", NAME, NAME],
    ["memory", "inbox"],
    ["plugins", "list"],
    ["memory", "stats"],
    ["memory", "compact"],
    ["memory", "reembed", "--dry-run"],
    ["memory", "fetch-model", "--from", NAME],
    ["memory", "import", NAME],
    ["memory", "import", "notes", "--dry-run"],
    ["memory", "import", "notes"],
    ["memory", "export", f"{NAME}/x"],
    ["--agent", NAME, "auth", "list"],
    ["--store", NAME, "status"],
    [NAME],
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a state whose directory and files have names that would forge lines."""
    state = tmp_path / f"state {NAME}"
    notes = tmp_path / "notes"
    for folder in (state, notes, state / "agents" / NAME, state / "dedupe", state / "memory"):
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    (notes / f"{NAME}.md").write_text(f"---\ntitle: {json.dumps(NAME)}\n---\n# lobster\n\nsleeps\n")
    (notes / f"{NAME}.json").write_text("{")
    (notes / f"{NAME}.odd").write_text("")
    (state / "dedupe" / f"{NAME}.json").write_text("[")
    (state / "dedupe" / "open.json").write_text("{}")
    (state / "dedupe" / "open.json").chmod(0o666)
    (state / "sessions").symlink_to(f"nowhere {NAME}")
    (state / "openclaw.json").write_text(json.dumps({"$include": f"./{NAME}.json5", NAME: NAME}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(state))
    return state


def is_forged(told: str) -> bool:
    """Tell whether a line of *told* begins with what a name wanted, or steers the terminal."""
    return any(line.startswith(FORGED[0]) for line in told.splitlines()) or any(
        each in told for each in FORGED[1:]
    )


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: " ".join(verb).replace(NAME, "NAME"))
@pytest.mark.parametrize("is_sound", [True, False], ids=["sound", "broken"])
def test_no_name_adds_a_line(cli, place, monkeypatch, verb, is_sound) -> None:
    """Names of files, directories, records and settings stand within the line that tells them."""
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(place))
    if is_sound:
        (place / "openclaw.json").unlink()
        (place / "sessions").unlink()
        cli("memory", "import", "notes")

    ran = cli(*verb)

    assert "Traceback" not in ran.err
    assert not is_forged(ran.out), ran.out
    assert not is_forged(ran.err), ran.err


def test_a_bar_shows_names_as_they_are(terminal, place, tmp_path: Path) -> None:
    """While an import runs, a name is neither markup nor a line of its own, and stops nothing."""
    for name in ("[red]x.md", f"{NAME}.md"):
        (tmp_path / "notes" / name).write_text("# lobster\n\nsleeps")

    watched = terminal("memory", "import", tmp_path / "notes")

    assert "importing" in watched.out
    assert not any(line.startswith("forged") for line in watched.out.splitlines())
