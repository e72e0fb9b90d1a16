"""The commands that list, page by page."""

from __future__ import annotations

import json

import pytest

from openclaw.openclaw_databases import OpenClawDatabases

ID = "11111111-1111-4111-8111-11111111111"
SAID = b'{"role": "user", "content": "tea"}'


@pytest.fixture
def filled(cli, clock, tmp_path):
    """Run a command on a state that has some of everything, made in the order of names."""
    for number, name in enumerate("abcde"):
        cli("config", "set", "pairing.limit", "9") if not number else None
        cli("sessions", "create", name)
        cli("transcripts", "append", "--session", name, stdin=SAID)
        cli("memory", "add", f"note {name}", "--source", name)
        code = cli("pairing", "request", "--user", "ada", "--device", name, "--json").json["code"]
        cli("pairing", "approve", code)
        cli("pairing", "request", "--user", "ada", "--device", f"{name}2")
        cli("dedupe", "check", "key", "--namespace", name)
        cli("auth", "add", f"openai:{name}", stdin=b"sk-made-up-secret-of-ours")
        clock.advance(1)
    return cli


LISTS = {
    "sessions": (["sessions", "list"], "sessions", "key", "edcba"),
    "transcripts": (["transcripts", "list"], "transcripts", "sessionId", "edcba"),
    "memory": (["memory", "list", "--newest"], "records", "source", "edcba"),
    "devices": (["devices", "list"], "devices", "deviceId", "edcba"),
    "pairing": (["pairing", "list"], "requests", "deviceId", "edcba"),
    "auth": (["auth", "list"], "profiles", "id", "abcde"),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_goes_on_where_its_page_ended(filled, name) -> None:
    """Pages give everything once; text and JSON carry the same cursor, and the last has none."""
    command, member, key, order = LISTS[name]
    seen, after = [], []
    while True:
        page = filled(*command, "--limit", "2", *after, "--json").json
        seen.append([each[key].removeprefix("openai:")[0] for each in page[member]])
        told = filled(*command, "--limit", "2", *after).out.splitlines()
        if not page.get("next"):
            assert not told[-1].startswith("more:")
            break
        assert told[-1] == f"more: --after {page['next']}"
        after = ["--after", page["next"]]

    assert [len(each) for each in seen] == [2, 2, 1]
    assert "".join("".join(each) for each in seen) == order


def test_namespaces_are_told_by_pages(filled) -> None:
    """`dedupe stats` prints the namespaces of a page, and the cursor of the next."""
    first = filled("dedupe", "stats", "--limit", "3", "--json").json
    rest = filled("dedupe", "stats", "--after", first["next"], "--json").json

    assert (list(first["namespaces"]), list(rest["namespaces"])) == (["a", "b", "c"], ["d", "e"])
    assert (first["marks"], rest["marks"], "next" in rest) == (3, 2, False)


def test_the_messages_of_a_session_tell_of_the_next_page(cli) -> None:
    """With a limit `transcripts show` tells which option gives what came before, or behind."""
    lines = b"\n".join(json.dumps({"role": "user", "content": f"m{n}"}).encode() for n in range(5))
    ids = cli("transcripts", "append", "k", "--json", stdin=lines).json["ids"]

    def page(*options):
        found = cli("transcripts", "show", "k", "--limit", "2", *options, "--json").json
        more = {name: found.get(name) for name in ("before", "after")}
        return [each["id"] for each in found["messages"]], more

    assert page() == (ids[3:], {"before": ids[3], "after": None})
    assert page("--before", ids[3]) == (ids[1:3], {"before": ids[1], "after": None})
    assert page("--before", ids[1]) == (ids[:1], {"before": None, "after": None})
    assert page("--after", ids[0]) == (ids[1:3], {"before": None, "after": ids[2]})
    assert page("--after", ids[2]) == (ids[3:], {"before": None, "after": None})
    assert f"of 5; more: --before {ids[3]}" in cli("transcripts", "show", "k", "-k", "2").out


def test_pages_of_both_join_to_the_whole(cli, tmp_path, clock) -> None:
    """Sessions of ours and of the OpenClaw beside us are on the pages of one list, each once."""
    made = OpenClawDatabases(tmp_path / "state", clock())
    for number in range(4):
        made.session("main", f"agent:main:{number}", f"{ID}{number}")
    for name in "abc":
        clock.advance(1)
        cli("sessions", "create", name)

    whole = cli("sessions", "list", "--json").json
    for limit in ("1", "2", "3", "6", "7"):
        keys, after = [], []
        while True:
            page = cli("sessions", "list", "--limit", limit, *after, "--json").json
            keys += [each["key"] for each in page["sessions"]]
            if "next" not in page:
                break
            after = ["--after", page["next"]]
        assert keys == [each["key"] for each in whole["sessions"]]
    assert (len(whole["sessions"]), "next" in whole) == (7, False)
