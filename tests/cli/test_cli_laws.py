from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from clawstate.clock import from_iso


def ids(ran) -> list[str]:
    return [each["id"] for each in ran.json["records"]]


def test_add_prints_the_id_alone(cli) -> None:
    """Without `--json`, add prints one line: the id that get understands."""
    added = cli("memory", "add", "Ada prefers green tea")

    made = added.out.removesuffix("\n")
    assert "\n" not in made
    assert cli("memory", "get", made, "--json").json["text"] == "Ada prefers green tea"


def test_every_field_of_a_record_can_be_given(cli) -> None:
    """Each option of add stands in the record that get prints."""
    options = ["--tag", "b", "--tag", "a", "--namespace", "work", "--source", "mail"]
    options += ["--meta", "year=2026", "--importance", "0.25", "--category", "fact"]
    options += ["--thread", "talk", "--position", "7", "--title", "On texts"]

    made = cli("memory", "add", "text", *options, "--json").json["id"]

    record = cli("memory", "get", made, "--json").json
    created = record.pop("createdAt")
    assert record.pop("updatedAtMs") == record.pop("createdAtMs")
    assert record.pop("expiresAtMs") is None
    assert record == {
        "id": made,
        "text": "text",
        "title": "On texts",
        "headings": [],
        "names": [],
        "source": "mail",
        "tags": ["a", "b"],
        "metadata": {"year": 2026},
        "importance": 0.25,
        "category": "fact",
        "namespace": "work",
        "thread": "talk",
        "position": 7,
        "updatedAt": created,
        "expiresAt": None,
    }


@pytest.mark.parametrize("text", ["plain\n", "naïve ☕\nsecond line", "  spaces around  "])
def test_a_dash_reads_the_text_from_stdin(cli, text: str) -> None:
    """`add -` remembers stdin to the letter."""
    made = cli("memory", "add", "-", "--json", stdin=text.encode()).json["id"]

    assert cli("memory", "get", made, "--json").json["text"] == text


def test_stdin_that_is_not_utf8_is_a_usage_error(cli) -> None:
    """Bytes that are no UTF-8 are refused with the place of the first, and nothing is kept."""
    refused = cli("memory", "add", "-", stdin=b"caf\xe9")

    assert refused.code == 2
    assert "byte 3" in refused.err
    assert ids(cli("memory", "list", "--json")) == []


def test_a_lifetime_counts_from_now(cli) -> None:
    """A record added with `--ttl 2h` ends two hours after it was made."""
    made = cli("memory", "add", "meeting", "--ttl", "2h", "--json").json["id"]

    record = cli("memory", "get", made, "--json").json
    assert from_iso(record["expiresAt"]) - from_iso(record["createdAt"]) == pytest.approx(7200)


def test_what_has_expired_is_gone(cli, tmp_path: Path) -> None:
    """A record whose time is over is neither got, listed nor found."""
    line = {"id": "r", "text": "a meeting", "expiresAt": "2020-01-01T00:00:00Z"}
    (tmp_path / "old.jsonl").write_text(json.dumps(line))
    cli("memory", "import", str(tmp_path / "old.jsonl"))

    assert cli("memory", "get", "r").code == 3
    assert ids(cli("memory", "list", "--json")) == []
    assert cli("memory", "search", "meeting", "--json").json["results"] == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a=1", 1),
        ("a=1.5", 1.5),
        ("a=true", True),
        ("a=null", None),
        ('a="1"', "1"),
        ("a=[1, 2]", [1, 2]),
        ('a={"b": [null]}', {"b": [None]}),
        ("a=plain words", "plain words"),
        ("a=", ""),
        ("a=b=c", "b=c"),
        (" a =x", "x"),
    ],
)
def test_metadata_is_json_or_text(cli, given: str, kept: object) -> None:
    """A value of `--meta` is what it says as JSON, and text where it says nothing as JSON."""
    made = cli("memory", "add", "x", "--meta", given, "--json").json["id"]

    assert cli("memory", "get", made, "--json").json["metadata"] == {"a": kept}


@pytest.fixture
def books(cli) -> dict[str, str]:
    """Keep three records with years and topics; ids by title."""
    shelf = {
        "old": ("year=1950", 'topics=["sea"]', "lent=true"),
        "middle": ("year=1980", 'topics=["sea", "fish"]', "author=Ada"),
        "new": ("year=2010", "topics=sea", "author=Bob"),
    }
    made = {}
    for title, facts in shelf.items():
        options = [part for fact in facts for part in ("--meta", fact)]
        made[title] = cli("memory", "add", f"a {title} book", *options, "--json").json["id"]
    return made


@pytest.mark.parametrize(
    ("conditions", "titles"),
    [
        (["year=1980"], ["middle"]),
        (["year!=1980"], ["old", "new"]),
        (["year>1980"], ["new"]),
        (["year>=1980"], ["middle", "new"]),
        (["year<1980"], ["old"]),
        (["year<=1980"], ["old", "middle"]),
        (["year>=1960", "year<2000"], ["middle"]),
        (["year=[1950, 2010]"], ["old", "new"]),
        (['year="1980"'], []),
        (["topics~fish"], ["middle"]),
        (["topics~sea"], ["old", "middle"]),
        (["topics=sea"], ["new"]),
        (["author=Ada"], ["middle"]),
        (["author>Ada"], ["new"]),
        (["lent=true"], ["old"]),
        (["lent=null"], ["middle", "new"]),
        (["year>1980", "author=Ada"], []),
    ],
    ids=" and ".join,
)
def test_where_demands_of_metadata(cli, books, conditions, titles) -> None:
    """Each operator of `--where` means the same for list and search, and all demands must hold."""
    options = [part for condition in conditions for part in ("--where", condition)]

    listed = cli("memory", "list", *options, "--json")
    found = cli("memory", "search", "book", "--mode", "words", *options, "--json")

    assert sorted(ids(listed)) == sorted(books[title] for title in titles)
    assert {hit["id"] for hit in found.json["results"]} == {books[title] for title in titles}


@pytest.mark.parametrize("condition", ["year", "=3", "", ">=2"])
def test_a_condition_without_key_or_operator_is_a_usage_error(cli, condition: str) -> None:
    """What is no condition is refused with the form that one has."""
    refused = cli("memory", "list", "--where", condition)

    assert refused.code == 2
    assert "KEY=VALUE" in refused.err


def test_tags_source_and_times_restrict(cli) -> None:
    """`--tag` (all of them), `--source`, `--since` and `--until` let only matches through."""
    tea = cli("memory", "add", "tea", "-t", "a", "-t", "b", "--source", "s", "--json").json["id"]
    milk = cli("memory", "add", "milk", "-t", "a", "--json").json["id"]

    assert ids(cli("memory", "list", "-t", "a", "-t", "b", "--json")) == [tea]
    assert ids(cli("memory", "list", "-t", "a", "--json")) == [tea, milk]
    assert ids(cli("memory", "list", "--source", "s", "--json")) == [tea]
    assert ids(cli("memory", "list", "--until", "2020-01-01", "--json")) == []
    assert ids(cli("memory", "list", "--since", "2020-01-01", "--json")) == [tea, milk]


def test_namespaces_do_not_see_each_other(cli) -> None:
    """A record is listed and found in its own namespace only."""
    cli("memory", "add", "green tea", "--namespace", "ada")

    assert ids(cli("memory", "list", "--json")) == []
    assert cli("memory", "search", "tea", "--json").json["results"] == []
    assert len(cli("memory", "search", "tea", "-n", "ada", "--json").json["results"]) == 1


def test_pages_of_a_list_join_to_the_whole(cli) -> None:
    """Following `next` visits each record once, in the order of ids, and ends with null."""
    made = [cli("memory", "add", f"note {number}", "--json").json["id"] for number in range(5)]

    page = cli("memory", "list", "-k", "2", "--json")
    visited = ids(page)
    while page.json["next"]:
        page = cli("memory", "list", "-k", "2", "--after", page.json["next"], "--json")
        visited += ids(page)

    assert visited == sorted(made)


def test_search_puts_the_best_first(cli) -> None:
    """Scores fall along the results, `--limit` cuts the end and `--min-score` the low ones."""
    for text in ("green tea", "tea and milk and honey and lemon", "a boat on the lake"):
        cli("memory", "add", text)

    everything = cli("memory", "search", "green tea", "--json").json["results"]
    two = cli("memory", "search", "green tea", "-k", "2", "--json").json["results"]
    bound = str(everything[0]["score"] - 0.001)
    high = cli("memory", "search", "green tea", "--min-score", bound, "--json").json["results"]

    scores = [hit["score"] for hit in everything]
    assert everything[0]["text"] == "green tea"
    assert scores == sorted(scores, reverse=True)
    assert two == everything[:2]
    assert high == everything[:1]


@pytest.mark.parametrize("mode", ["words", "vector", "hybrid"])
def test_each_mode_says_what_it_used(cli, mode: str) -> None:
    """The document names the mode, and each hit has the scores of that mode's legs."""
    cli("memory", "add", "green tea")

    document = cli("memory", "search", "tea", "--mode", mode, "--json").json

    (hit,) = document["results"]
    assert document["mode"] == mode
    assert (hit["wordsScore"] is None) == (mode == "vector")
    assert (hit["vectorScore"] is None) == (mode == "words")


def test_a_search_shows_place_tags_and_words(cli, tmp_path: Path, monkeypatch) -> None:
    """For people a hit shows its score, its file with lines, its heading, its tags and its text."""
    monkeypatch.chdir(tmp_path)
    Path("home.md").write_text("# Garden\n\nTomatoes need water.\n")
    cli("memory", "import", "home.md", "--tag", "house")

    first, second = cli("memory", "search", "tomatoes").out.splitlines()

    (record,) = cli("memory", "list", "--json").json["records"]
    assert first.split("  ", 1)[1] == f"home.md:1-3  Garden  #house  {record['id']}"
    assert 0 < float(first.split()[0]) <= 1
    assert second == "      # Garden Tomatoes need water."


def test_nothing_found_is_no_failure(cli) -> None:
    """A search without a hit says so, and ends with exit code 0."""
    nothing = cli("memory", "search", "anything")

    assert (nothing.code, nothing.out) == (0, "nothing found\n")


def test_update_changes_only_what_is_named(cli) -> None:
    """Fields that update does not name stay, `updatedAt` moves, and the answer is the record."""
    made = cli("memory", "add", "x", "-t", "a", "--meta", "k=1", "--source", "s", "--json").json
    before = cli("memory", "get", made["id"], "--json").json

    after = cli("memory", "update", made["id"], "--category", "fact", "--json").json

    assert after == cli("memory", "get", made["id"], "--json").json
    assert after["updatedAt"] > before["updatedAt"]
    moved = {"category": "other", "updatedAt": None, "updatedAtMs": None}
    assert after | moved == before | moved


def test_update_merges_metadata(cli) -> None:
    """`update --meta` sets the named keys, null takes one away, and the others stay."""
    made = cli("memory", "add", "x", "--meta", "a=1", "--meta", "b=2", "--json").json["id"]

    cli("memory", "update", made, "--meta", "a=null", "--meta", "c=3")

    assert cli("memory", "get", made, "--json").json["metadata"] == {"b": 2, "c": 3}


def test_update_replaces_or_takes_tags(cli) -> None:
    """`--tag` gives all tags anew, and `--no-tags` takes them away."""
    made = cli("memory", "add", "x", "-t", "a", "-t", "b", "--json").json["id"]

    assert cli("memory", "update", made, "-t", "c", "--json").json["tags"] == ["c"]
    assert cli("memory", "update", made, "--no-tags", "--json").json["tags"] == []


def test_update_with_new_text_is_found_by_it(cli) -> None:
    """After `update --text -` the new text is found, the old one no longer, under the same id."""
    made = cli("memory", "add", "green tea", "--json").json["id"]

    cli("memory", "update", made, "--text", "-", stdin=b"black coffee")

    def found(query: str) -> list[str]:
        document = cli("memory", "search", query, "--mode", "words", "--json").json
        return [hit["id"] for hit in document["results"]]

    assert (found("coffee"), found("tea")) == ([made], [])


def test_update_without_a_change_is_a_usage_error(cli) -> None:
    """Update that names no change is refused and points to the help."""
    made = cli("memory", "add", "x", "--json").json["id"]

    refused = cli("memory", "update", made)

    assert refused.code == 2
    assert "--help" in refused.err


def test_forget_takes_many_or_a_source(cli, tmp_path: Path) -> None:
    """Forget removes the records named, or all that came from one source, and says how many."""
    first = cli("memory", "add", "one", "--json").json["id"]
    second = cli("memory", "add", "two", "--json").json["id"]
    notes = tmp_path / "notes.md"
    notes.write_text("# A\n\none\n\n# B\n\ntwo\n")
    cli("memory", "import", notes)

    named = cli("memory", "forget", first, second, "unknown", "--json")
    sourced = cli("memory", "forget", "--source", notes, "--json")

    assert named.json == {"forgotten": 2, "missing": ["unknown"]}
    assert sourced.json == {"forgotten": 2}
    assert ids(cli("memory", "list", "--json")) == []


@pytest.mark.parametrize("arguments", [[], ["x", "--source", "s"]])
def test_forget_wants_records_or_a_source(cli, arguments: list[str]) -> None:
    """Forget without a name, or with both kinds of names, is a usage error."""
    assert cli("memory", "forget", *arguments).code == 2


def test_import_counts_what_it_did(cli, tmp_path: Path) -> None:
    """Import prints what was read, added, changed and removed, and the problems with place."""
    (tmp_path / "a.md").write_text("# A\n\none\n\n# B\n\ntwo\n")
    (tmp_path / "b.jsonl").write_text('{"text": "three"}\n{"no": "text"}\n')

    first = cli("memory", "import", tmp_path / "a.md", tmp_path / "b.jsonl", "--json")
    again = cli("memory", "import", tmp_path / "a.md", tmp_path / "b.jsonl")

    (problem,) = first.json.pop("problems")
    document = json.loads(first.out)
    assert first.code == 0
    assert (document["files"], document["added"]) == (2, 3)
    assert (problem["path"], problem["line"]) == (str(tmp_path / "b.jsonl"), 2)
    lines = again.out.splitlines()
    assert lines[0] == "2 files read (1 of them unchanged): 1 unchanged"
    assert f"{tmp_path / 'b.jsonl'}:2:" in lines[1]


def test_an_import_of_nothing_but_problems_fails(cli, tmp_path: Path) -> None:
    """When no file could be read the report is printed and the exit code is 1."""
    pipe = tmp_path / "pipe.md"
    os.mkfifo(pipe)

    failed = cli("memory", "import", pipe, "--json")

    assert failed.code == 1
    assert failed.json["files"] == 0
    assert "named pipe" in failed.json["problems"][0]["message"]


def test_long_lists_of_problems_are_cut_for_people(cli, tmp_path: Path) -> None:
    """People see the first twenty problems and how to get the rest; programs see all."""
    file = tmp_path / "bad.jsonl"
    file.write_text("no json\n" * 25 + '{"text": "good"}\n')

    read = cli("memory", "import", file)
    (file).write_text("no json\n" * 25 + '{"text": "better"}\n')
    document = cli("memory", "import", file, "--json").json

    assert read.out.count("bad.jsonl:") == 20
    assert "5 more" in read.out
    assert len(document["problems"]) == 25


def test_export_writes_json_lines(cli, tmp_path: Path) -> None:
    """Export gives one JSON object a line to a file or stdout, of all namespaces or of one."""
    cli("memory", "add", "one")
    cli("memory", "add", "two", "--namespace", "work")
    file = tmp_path / "out.jsonl"

    to_file = cli("memory", "export", file, "--json")
    to_stdout = cli("memory", "export")
    of_one = cli("memory", "export", "--namespace", "work", "--json")

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert to_file.json == {"exported": 2, "path": str(file)}
    assert [json.loads(line) for line in to_stdout.out.splitlines()] == lines
    assert sorted(each["text"] for each in lines) == ["one", "two"]
    assert [each["text"] for each in of_one.json["records"]] == ["two"]


def test_export_of_many_pages_is_complete(cli, tmp_path: Path) -> None:
    """More records than one page holds are all exported, each once."""
    file = tmp_path / "many.jsonl"
    file.write_text("".join(f'{{"text": "note {number}"}}\n' for number in range(2100)))
    cli("memory", "import", file)

    exported = [json.loads(line)["text"] for line in cli("memory", "export").out.splitlines()]

    assert sorted(exported) == sorted(f"note {number}" for number in range(2100))


def test_status_of_an_empty_state_says_so(cli) -> None:
    """Status works before the first write, and afterwards tells the time of the last one."""
    before = cli("status", "--json").json
    cli("memory", "add", "x")
    after = cli("status", "--json").json

    assert (before["exists"], before["lastDurableWrite"]) == (False, None)
    assert after["exists"] is True
    assert from_iso(after["lastDurableWrite"]) > from_iso("2020-01-01")
    assert "nothing is kept yet" not in cli("status").out


def test_the_option_names_the_state(cli, tmp_path: Path) -> None:
    """`--state-dir` wins over the environment."""
    cli("--state-dir", tmp_path / "other", "memory", "add", "x")

    assert cli("--state-dir", tmp_path / "other", "memory", "stats", "--json").json["records"] == 1
    assert cli("memory", "stats", "--json").json["records"] == 0


def test_no_colours_where_nobody_looks(cli) -> None:
    """Output to a pipe or file holds no escape sequences, failures included."""
    cli("memory", "add", "green tea", "-t", "drink")

    for arguments in (["memory", "search", "tea"], ["memory", "get", "x"], ["status"], ["nope"]):
        ran = cli(*arguments)
        assert "\x1b" not in ran.out + ran.err


def test_a_tree_of_demands_is_json(cli) -> None:
    """`--where` takes a JSON object as a search does, beside plain conditions."""
    for year in (2019, 2020, 2021):
        cli("memory", "add", f"year {year}", "--meta", f"year={year}", "--meta", "kind=note")
    tree = '{"$or": [{"year": 2019}, {"year": {"gt": 2020}}]}'

    both = cli("memory", "list", "--where", tree, "--where", "kind=note", "--json").json
    one = cli(
        "memory", "list", "--where", tree, "--where", '{"$not": {"year": 2019}}', "--json"
    ).json

    assert sorted(each["text"] for each in both["records"]) == ["year 2019", "year 2021"]
    assert [each["text"] for each in one["records"]] == ["year 2021"]
    assert cli("memory", "list", "--where", '{"year": ').code == 2


def test_each_record_is_shown_with_its_id(cli, tmp_path) -> None:
    """A list and a search show what `get` and `forget` take, also of records that have a place."""
    (tmp_path / "tea.md").write_text("green tea")
    cli("memory", "import", str(tmp_path / "tea.md"))
    (record,) = cli("memory", "list", "--json").json["records"]

    assert record["id"] in cli("memory", "list").out
    assert record["id"] in cli("memory", "search", "tea").out


def test_a_message_is_shown_with_title_speaker_and_day(cli, tmp_path) -> None:
    """A message of a chat shows its conversation, who said it, and when."""
    message = {"uuid": "m", "sender": "human", "text": "hot?", "created_at": "2026-03-04T05:06:07Z"}
    chat = {"uuid": "c", "name": "Boiler", "chat_messages": [message]}
    (tmp_path / "conversations.json").write_text(json.dumps([chat]))
    cli("memory", "import", str(tmp_path / "conversations.json"))

    out = cli("memory", "list").out

    assert "Boiler" in out
    assert "user, 2026-03-04" in out
