from __future__ import annotations

import json
import os

import pytest

import clawstate
from clawstate.health import repair_all


@pytest.fixture(params=["file", "sqlite"])
def dedupe(cli, request):
    """Run a verb of the noun on each engine."""
    return lambda *words: cli("--store", request.param, "dedupe", *words)


def test_a_key_is_checked_with_exit_code_0(dedupe) -> None:
    """`check` tells a person whether the key is new, and never by its exit code."""
    first, second = dedupe("check", "msg 1"), dedupe("check", "msg 1")

    assert (first.code, second.code) == (0, 0)
    assert first.out == "'msg 1' is new in 'global', and is marked now\n"
    assert second.out == "'msg 1' was seen before in 'global'\n"


def test_a_program_gets_one_member(dedupe) -> None:
    """With `--json` the answer is exactly whether the key is new."""
    answers = [dedupe("check", "a", "--namespace", "telegram", "--json") for _ in range(2)]

    assert [each.json for each in answers] == [{"new": True}, {"new": False}]
    assert dedupe("check", "a", "-n", "matrix", "--json").json == {"new": True}


def test_the_default_engine_serves(cli) -> None:
    """Without a choice of engine, marks lie in a file."""
    assert cli("dedupe", "check", "a").code == 0
    assert "seen before" in cli("--store", "file", "dedupe", "check", "a").out


def test_an_empty_key_is_refused(dedupe) -> None:
    """An empty key is an error that says what to give."""
    ran = dedupe("check", "  ")

    assert ran.code == 1
    assert ran.err == (
        "error: key: is empty; give what tells one message from another, such as its id\n"
    )


def test_an_empty_namespace_is_told_by_its_name(dedupe) -> None:
    """Without a name it is the namespace `global`, and the answer says so."""
    assert "in 'global'" in dedupe("check", "k", "-n", "").out
    assert "in 'global'" in dedupe("forget", "k", "-n", " ").out
    assert "in 'global'" in dedupe("forget", "k", "-n", "").err


def test_stats_of_nothing_are_a_sentence(dedupe) -> None:
    """Without marks a person is told so, and a program gets empty figures."""
    assert dedupe("stats").out == "nothing is marked yet\n"
    assert dedupe("stats", "--json").json == {"marks": 0, "namespaces": {}}


def test_stats_name_each_namespace(dedupe) -> None:
    """Each namespace is told with its marks and the time of the newest."""
    for key in ("a", "b"):
        dedupe("check", key, "-n", "tele_gram")
    dedupe("check", "a")

    lines = dedupe("stats").out.splitlines()
    document = dedupe("stats", "--json").json

    assert lines[0].startswith("'global'     1 mark, the newest 2")
    assert lines[1].startswith("'tele_gram'  2 marks, the newest 2")
    assert document["marks"] == 3
    assert document["namespaces"]["tele_gram"]["marks"] == 2
    assert document["namespaces"]["tele_gram"]["newest"].endswith("Z")


def test_stats_survive_times_of_no_calendar(cli, tmp_path) -> None:
    """A mark far beyond every calendar is shown as it is, and members that are none are told."""
    (tmp_path / "state/dedupe").mkdir(parents=True, mode=0o700)
    (tmp_path / "state/dedupe/t.json").write_text('{"far": 1e300, "odd": "x"}')

    ran = cli("--store", "file", "dedupe", "stats")

    assert (ran.code, ran.err) == (0, "")
    assert "1 mark, the newest 1e+297, 1 ignored (no time)" in ran.out


def test_a_forgotten_key_is_new(dedupe) -> None:
    """`forget` makes a key new again; an unknown one ends with exit code 3."""
    dedupe("check", "a")

    assert dedupe("forget", "a").out == "'a' is new again in 'global'\n"
    again = dedupe("forget", "a")
    assert again.code == 3
    assert "no mark in 'global' of 'a'" in again.err
    assert dedupe("check", "a", "--json").json == {"new": True}
    assert dedupe("forget", "a", "--json").json == {"forgotten": True}


def test_pruning_tells_what_went(dedupe, cli) -> None:
    """`prune` counts what it removed, of one namespace or all."""
    for key in "abc":
        dedupe("check", key)
    assert dedupe("prune").out == "nothing to remove\n"
    cli("config", "set", "caches.dedupe.fileMaxEntries", "1")

    assert dedupe("prune", "-n", "other", "--json").json == {"pruned": 0}
    assert dedupe("prune").out == "removed 2 marks\n"


def test_a_damaged_file_is_told_and_kept(cli, tmp_path) -> None:
    """A file that cannot be read is an error that names it, and stays as it is."""
    cli("--store", "file", "dedupe", "check", "a")
    path = tmp_path / "state/dedupe/global.json"
    path.write_bytes(b"{")
    os.utime(path, (0, 0))

    ran = cli("--store", "file", "dedupe", "check", "b", "--json")

    assert ran.code == 1
    assert ran.json["error"]["type"] == "corrupt"
    assert str(path) in ran.json["error"]["message"]
    assert path.read_bytes() == b"{"


def test_the_doctor_finds_nothing_wrong(state) -> None:
    """Marks as they should be are no finding."""
    assert list(state.health.check("dedupe")) == []
    state.dedupe.check_and_record("a")

    assert list(state.health.check("dedupe")) == []


def test_the_doctor_finds_odd_marks(tmp_path, clock) -> None:
    """Members that are no marks, marks from the future and unreadable files are found."""
    folder = tmp_path / "dedupe"
    folder.mkdir(mode=0o700)
    ahead = int((clock.now + 3600) * 1000)
    (folder / "t.json").write_text(json.dumps({"a": ahead, "odd": "x"}))
    (folder / "torn.json").write_bytes(b"{")
    os.utime(folder / "torn.json", (0, 0))

    with clawstate.open(tmp_path, store="file", clock=clock) as state:
        found = repair_all(state.health.check("dedupe"))

    assert [(each.severity, each.code) for each in found] == [
        ("info", "dedupe-members"),
        ("warning", "dedupe-future"),
        ("error", "corrupt"),
    ]
    assert "3600 s longer" in found[1].fix
    assert (folder / "torn.json").read_bytes() == b"{"


def test_the_doctor_leaves_to_others_what_they_mend(tmp_path, clock) -> None:
    """A damaged file with a last good copy is told once, by the check of all documents."""
    with clawstate.open(tmp_path, store="file", clock=clock) as state:
        state.dedupe.check_and_record("a")
        path = tmp_path / "dedupe/global.json"
        path.write_bytes(b"{")
        os.utime(path, (0, 0))

        assert list(state.health.check("dedupe")) == []
