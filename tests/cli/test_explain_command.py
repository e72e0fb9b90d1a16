"""The reasons of a search on the command line: `memory search --explain` and `memory explain`."""

from __future__ import annotations

import re

import pytest


@pytest.fixture
def noted(cli, tmp_path, monkeypatch):
    """Give the command line over notes of a folder, and a talk."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "tea.md").write_text("# Teas\n\nSencha is best at 70 degrees.\n")
    (tmp_path / "notes" / "gone.md").write_text("# Gone\n\nMatcha is whisked.\n")
    monkeypatch.chdir(tmp_path)
    cli("memory", "import", "notes")
    cli("memory", "add", "Ada: where is the sencha?", "--thread", "talk")
    cli("memory", "add", "In the shed", "--thread", "talk")
    return cli


def test_a_search_shows_reasons_under_each_hit(noted) -> None:
    """Under each hit stand lines of reasons whose points add up; without `--explain` none."""
    plain = noted("memory", "search", "sencha of Ada", "--mode", "words").out.splitlines()
    lines = noted("memory", "search", "sencha of Ada", "--mode", "words", "--explain").out
    found = noted("memory", "search", "sencha of Ada", "--mode", "words", "--explain", "--json")

    assert [line for line in lines.splitlines() if line in plain] == plain
    assert "words                " in lines
    assert "neighbours' words    " in lines
    assert "speaker              " in lines
    assert lines.splitlines()[-1].startswith("All scores are shares of that of the best hit, ")
    for hit in found.json["results"]:
        points = sum(each["points"] for each in hit["explanation"]["parts"])
        assert points == pytest.approx(hit["score"], abs=1e-3)


@pytest.mark.parametrize(
    "query", ["which sencha does Ada seek in the morning", "when did Ada meet the plumber?"]
)
def test_the_points_that_are_shown_add_up(noted, query: str) -> None:
    """Every kind of reason has a line: what the lines say is, summed up, the score of the hit."""
    noted("memory", "add", "Ada: on 3 March 2026 we met the plumber", "--thread", "c")
    noted("memory", "add", "Bob: the plumber likes sencha", "--thread", "c")
    noted("memory", "add", "Ada: the plumber came at 5 pm on Tuesday")
    lines = noted("memory", "search", query, "--explain").out.splitlines()

    scores: list[float] = []
    sums: list[float] = []
    for line in lines:
        if found := re.match(r"(\d\.\d\d)  ", line):
            scores.append(float(found[1]))
            sums.append(0.0)
        elif found := re.match(r"      [a-z' ]+? +(-?\d\.\d\d) [= ]", line):
            sums[-1] += float(found[1])

    assert scores
    assert sums == pytest.approx(scores, abs=0.04)


def test_documents_without_reasons_are_as_before(noted) -> None:
    """A search that is not asked for reasons has no member for them."""
    found = noted("memory", "search", "sencha", "--json").json

    assert all("explanation" not in each for each in found["results"])


def test_a_file_is_named_as_people_name_it(noted, tmp_path) -> None:
    """A path, relative or not, a folder, and a file that is gone name what was imported."""
    (tmp_path / "notes" / "gone.md").unlink()

    for name in ("notes/tea.md", tmp_path / "notes" / "tea.md"):
        (verdict,) = noted("memory", "explain", "sencha", name, "--json").json["verdicts"]
        assert (verdict["reason"], verdict["hits"]) == ("shown", 4)
    (gone,) = noted("memory", "explain", "sencha", "notes/gone.md", "--json").json["verdicts"]
    assert gone["source"] == str(tmp_path / "notes" / "gone.md")
    both = noted("memory", "explain", "sencha", "notes", "--json").json["verdicts"]
    assert {each["source"] for each in both} == {verdict["source"], gone["source"]}


def test_a_verdict_is_told_in_a_sentence(noted) -> None:
    """Each named record has its reason, its place and a sentence; a hit its reasons as well."""
    told = noted("memory", "explain", "sencha", "notes/tea.md", "nope", "--tag", "work").out
    shown = noted("memory", "explain", "sencha", "notes/tea.md", "--mode", "words").out

    lines = told.splitlines()
    assert lines[0].startswith("filtered  notes/tea.md  ")
    assert lines[1].strip() == 'the filter leaves it out: tag "work" (it has none)'
    assert lines[2] == "unknown  nope"
    assert lines[3].strip().startswith("no such record is kept, and none from such a source; ")
    assert shown.splitlines()[1].strip().startswith("hit 2 of 3, with a score of ")
    assert "Sencha" in shown


def test_a_forgotten_record_does_not_come_back(noted) -> None:
    """Of a forgotten record its id is told, and nothing of its text."""
    made = noted("memory", "add", "the lighthouse secret").out.strip()
    noted("memory", "forget", made, "--receipt")

    told = noted("memory", "explain", "lighthouse secret", made)

    assert told.out.splitlines() == [f"forgotten  {made}", "      it was forgotten"]
    assert told.code == 0


def test_what_steers_a_terminal_is_written_out(cli) -> None:
    """Words of records and names that hold control signs cannot steer the terminal."""
    cli("memory", "add", "green \x1b[31mtea \x1b[2J kettle", "--source", "a\u202eb")

    told = cli("memory", "search", "kettle", "--explain").out
    told += cli("memory", "explain", "kettle", "a\u202eb").out

    assert "\x1b" not in told
    assert "\u202e" not in told


def test_many_records_of_a_folder_are_counted(cli) -> None:
    """A folder with many records tells of the best, and how many are behind; `--json` has all."""
    for number in range(23):
        cli("memory", "add", f"tea {number}", "--source", "/notes/a.md")

    lines = cli("memory", "explain", "tea", "/notes", "--mode", "words").out.splitlines()
    found = cli("memory", "explain", "tea", "/notes", "--mode", "words", "--json").json

    assert lines[-1] == "and 3 records behind these; --json tells of all"
    assert len(found["verdicts"]) == 23
