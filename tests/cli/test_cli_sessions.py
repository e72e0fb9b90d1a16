from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

import clawstate

NOTES = """# Garden

Tomatoes need water every evening.

# Kitchen

The bread rises for twelve hours.
"""

INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from clawstate.cli.main import main
main(sys.argv[1:])
"""


def test_what_is_added_is_found_changed_and_forgotten(program) -> None:
    """A record lives from add over search, get and update to forget, each a process of its own."""
    added = program("memory", "add", "Ada prefers green tea", "--tag", "drink", "--json")
    made = added.json["id"]

    found = program("memory", "search", "what does Ada drink?", "--json").json
    got = program("memory", "get", made, "--json").json
    changed = program("memory", "update", made, "--text", "Ada prefers coffee", "--json").json
    forgot = program("memory", "forget", made, "--json")
    gone = program("memory", "get", made, "--json")

    assert [hit["id"] for hit in found["results"]] == [made]
    assert (got["text"], got["tags"]) == ("Ada prefers green tea", ["drink"])
    assert (changed["id"], changed["text"]) == (made, "Ada prefers coffee")
    assert (forgot.code, forgot.json) == (0, {"forgotten": 1})
    assert (gone.code, gone.json["error"]["type"]) == (3, "not_found")


def test_json_is_one_document_wherever_the_option_stands(program) -> None:
    """`--json` before the noun and after the verb prints the same single document."""
    program("memory", "add", "the boiler is serviced in October")

    before = program("--json", "memory", "search", "boiler")
    after = program("memory", "search", "boiler", "--json")
    both = program("--json", "memory", "list", "--json")

    assert before.json == after.json
    assert before.json["mode"] == "hybrid"
    assert both.json["next"] is None
    assert (before.err, after.err, both.err) == ("", "", "")


def test_a_folder_becomes_a_memory(program, tmp_path: Path) -> None:
    """Import, search, stats, optimize, status and doctor work one after the other."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "home.md").write_text(NOTES)

    imported = program("memory", "import", notes, "--tag", "home", "--json").json
    hits = program("memory", "search", "when do I water tomatoes", "--json").json["results"]
    stats = program("memory", "stats", "--json").json
    optimized = program("memory", "optimize", "--json")
    status = program("status", "--json").json
    doctor = program("doctor", "--json")

    assert (imported["files"], imported["added"], imported["problems"]) == (1, 2, [])
    assert hits[0]["metadata"]["heading"] == "Garden"
    assert hits[0]["source"] == str(notes / "home.md")
    assert stats["records"] == 2
    assert (optimized.code, optimized.json) == (0, {"ok": True, "waiting": 0})
    assert (status["exists"], status["memory"]["records"]) == (True, 2)
    assert (doctor.code, doctor.json) == (0, {"ok": True, "findings": []})


def test_an_export_makes_the_same_memory_elsewhere(program, tmp_path: Path) -> None:
    """What is exported to stdout and imported into an empty state is listed there the same."""
    program("memory", "add", "naïve café ☕", "--source", "diary", "--tag", "b", "--tag", "a")
    program("memory", "add", "step one", "--thread", "t", "--source", "diary", "--ttl", "2d")
    exported = program("memory", "export")
    file = tmp_path / "all.jsonl"
    file.write_text(exported.out)

    other = ("--state-dir", tmp_path / "other")
    imported = program(*other, "memory", "import", file, "--json").json

    assert imported["added"] == 2
    first = {each["id"]: each for each in program("memory", "list", "--json").json["records"]}
    second = {
        each["id"]: each for each in program(*other, "memory", "list", "--json").json["records"]
    }
    assert second == first


def test_the_files_of_a_state_are_private(program, tmp_path: Path) -> None:
    """After a first write nobody else may read the state's files or look into its directory."""
    program("memory", "add", "a secret")

    paths = [tmp_path / "state", *(tmp_path / "state").rglob("*")]

    assert len(paths) > 2
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_help_and_reading_create_nothing(program, tmp_path: Path) -> None:
    """Only a write makes the state directory; help, search, list and doctor do not."""
    for arguments in (["--help"], ["memory", "search", "x"], ["memory", "list"]):
        assert program(*arguments).code == 0
    assert program("doctor").code == 1
    assert program("status", "--json").json["exists"] is False

    assert not (tmp_path / "state").exists()


def test_an_interrupted_import_ends_with_130_and_goes_on_later(
    environment, program, tmp_path: Path
) -> None:
    """Ctrl-C in an import gives exit code 130 without a traceback, and the next one completes."""
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(150):
        (notes / f"{number}.md").write_text(f"note {number} about subject {number}")
    importing = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "memory", "import", str(notes), "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    with clawstate.open(tmp_path / "state") as state:
        while importing.poll() is None and not state.memory.stats()["records"]:
            pass
    importing.send_signal(signal.SIGINT)
    out, err = importing.communicate(timeout=60)

    assert importing.returncode == 130
    assert json.loads(out)["error"]["type"] == "interrupted"
    assert b"Traceback" not in err
    assert program("doctor", "--json").code == 0
    assert program("memory", "import", notes, "--json").json["files"] == 150
    assert program("memory", "stats", "--json").json["records"] == 150


def test_a_reader_that_leaves_is_no_failure(environment, program, tmp_path: Path) -> None:
    """Closing the pipe after one line of `list` or `export` is quiet and ends with exit code 0."""
    lines = (json.dumps({"text": f"{number} " + "x " * 200}) for number in range(1000))
    (tmp_path / "many.jsonl").write_text("\n".join(lines))
    program("memory", "import", tmp_path / "many.jsonl")

    for arguments in (["list", "-k", "1000"], ["list", "-k", "1000", "--json"], ["export"]):
        process = subprocess.Popen(
            [sys.executable, "-m", "clawstate", "memory", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        process.stderr.close()

        assert (err, process.wait(timeout=60)) == (b"", 0), arguments
