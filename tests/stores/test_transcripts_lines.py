from __future__ import annotations

import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clawstate
from clawstate.errors import InvalidError
from clawstate.files.json_text import dump_compact
from clawstate.stores.transcripts import read_lines

MIRROR = (
    '{"type":"message","id":"8c5343b7","parentId":null,"timestamp":"2026-11-22T19:20:33.352Z",'
    '"message":{"role":"assistant","content":[{"type":"text","text":"hello there"}],'
    '"api":"openai-responses","provider":"openclaw","model":"delivery-mirror",'
    '"usage":{"input":0,"output":0,"cacheRead":0,"cacheWrite":0,"totalTokens":0,"cost":{"total":0}},'
    '"stopReason":"stop","timestamp":1795375233352}}'
)
HEADER = (
    '{"type":"session","version":3,"id":"s","timestamp":"2026-11-22T19:20:33.352Z",'
    '"cwd":"/home/ada","parentSession":"/home/ada/x.jsonl","mine":[1]}'
)
LINES = [
    HEADER,
    MIRROR,
    (
        '{"type":"model_change","id":"00000001","parentId":"8c5343b7","timestamp":'
        '"2026-11-22T19:20:34.000Z","provider":"anthropic","modelId":"claude"}'
    ),
    (
        '{"type":"message","id":"00000002","parentId":"00000001","timestamp":'
        '"2026-11-22T19:20:35.000Z","message":{"role":"user",'
        '"content":"große Frage 网关 \\ud83d\\ude00",'
        '"timestamp":1.5e3,"future":{"b":1,"a":[null,true,1.0,12345678901234567890]}}}'
    ),
    (
        '{"type":"compaction","id":"00000003","parentId":"00000002","timestamp":'
        '"2026-11-22T19:20:36.000Z","summary":"a crab",'
        '"firstKeptEntryId":"00000002","tokensBefore":5}'
    ),
    (
        '{"type":"label","id":"00000004","parentId":"00000003","timestamp":'
        '"2026-11-22T19:20:37.000Z","targetId":"00000002","label":null}'
    ),
    '{"type":"from_the_future","id":"00000005","parentId":"8c5343b7","timestamp":5,"x":{}}',
]
TEXT = "".join(f"{line}\n" for line in LINES).encode()


@pytest.fixture
def store(state):
    yield state.transcripts
    state.transcripts.close()


def exported(store, session="s", **options):
    out = io.BytesIO()
    store.export(session, out, **options)
    return out.getvalue()


def told(report):
    return [(each.line, each.message) for each in report.problems]


def test_a_transcript_of_openclaw_comes_back_byte_by_byte(store) -> None:
    """Header, known and unknown entries, their ids, parents and times are exported as they came."""
    report = store.import_lines("s", io.BytesIO(TEXT))

    assert (report.added, report.kept, report.problems) == (6, 0, ())
    assert exported(store) == TEXT
    assert store.messages("s")[0].text == "hello there"
    assert store.messages("s")[-1].parent == "8c5343b7"
    assert store.check() == []


def test_an_export_is_what_openclaw_writes(store, clock) -> None:
    """A new transcript has the header, ids, chain and times of OpenClaw's version 3."""
    store.append("s", [{"role": "user", "content": "a"}, {"type": "custom", "data": 1}])

    header, first, second = map(json.loads, exported(store).splitlines())

    assert list(header) == ["type", "version", "id", "timestamp", "cwd"]
    assert (header["type"], header["version"], header["id"]) == ("session", 3, "s")
    assert list(first) == ["type", "id", "parentId", "timestamp", "message"]
    assert (first["parentId"], second["parentId"]) == (None, first["id"])
    assert first["timestamp"] == header["timestamp"] == clawstate.clock.to_iso(clock())
    assert first["message"] == {"role": "user", "content": "a"}


def test_importing_again_changes_nothing(store) -> None:
    """A second import adds nothing, however the lines are laid out; a longer one adds the rest."""
    store.import_lines("s", TEXT.splitlines())
    loose = [json.dumps(json.loads(line), indent=None) for line in LINES]

    again = store.import_lines("s", loose)
    new = {"type": "custom", "id": "n", "parentId": "00000005", "timestamp": "x"}
    longer = store.import_lines("s", [*LINES, json.dumps(new)])

    assert (again.added, again.kept, longer.added, longer.kept) == (0, 6, 1, 6)
    assert exported(store).startswith(TEXT)


def test_an_import_under_another_id_names_it(store) -> None:
    """A transcript that is imported into another session has that one's id in its header."""
    store.import_lines("t", io.BytesIO(TEXT))

    assert exported(store, "t") == TEXT.replace(b'"id":"s"', b'"id":"t"')


def test_broken_lines_are_told_and_passed_over(store) -> None:
    """Each line that cannot be kept is told with its number, and all others are kept."""
    lines = [
        HEADER,
        MIRROR,
        "{",
        "",
        "   ",
        b"\xff\xfe",
        "[]",
        "5",
        '{"no": "type"}',
        '{"type":"message","id":"m"}',
        '{"type":"custom","id":5}',
        '{"type":"custom","id":"a b"}',
        HEADER,
        '{"type":"session","version":9}',
        MIRROR.replace("hello there", "something else"),
        '{"type":"custom","id":"deep","parentId":null,"x":' + "[" * 300 + "]" * 300 + "}",
        '{"type":"custom","id":"nan","parentId":null,"x":NaN}',
        "x" * 100 + "\ud800",
        LINES[2],
    ]

    report = store.import_lines("s", lines)

    assert (report.added, report.kept) == (2, 0)
    assert [line for line, _ in told(report)] == [3, *range(6, 19)]
    assert "another entry has its id" in dict(told(report))[15]
    assert "nested" in dict(told(report))[16]
    assert [each.id for each in store.messages("s")] == ["8c5343b7", "00000001"]


def test_a_newer_version_is_told(store) -> None:
    """A header of a version to come is a problem of its line."""
    report = store.import_lines("s", ['{"type":"session","version":5,"id":"s"}'])

    assert "version 5" in told(report)[0][1]


def test_old_versions_are_brought_up(store) -> None:
    """Version 1 gets ids and a chain, the same ones each time, and `hookMessage` is `custom`."""
    lines = [
        '{"type":"session","id":"old","timestamp":"2025-01-01T00:00:00.000Z","cwd":"/"}',
        (
            '{"type":"message","timestamp":"2025-01-01T00:00:01.000Z","message":{"role":"user",'
            '"content":"hi"}}'
        ),
        (
            '{"type":"message","timestamp":"2025-01-01T00:00:02.000Z","message":{"role":"hookMessage",'
            '"content":"hook"}}'
        ),
        (
            '{"type":"message","timestamp":"2025-01-01T00:00:02.000Z","message":{"role":"hookMessage",'
            '"content":"hook"}}'
        ),
    ]

    first = store.import_lines("old", lines)
    before = exported(store, "old")
    again = store.import_lines("old", lines)

    a, b, c = store.messages("old")
    assert (first.added, again.added, again.kept) == (3, 0, 3)
    assert (a.parent, b.parent, c.parent) == (None, a.id, b.id)
    assert [each.role for each in (a, b, c)] == ["user", "custom", "custom"]
    assert json.loads(before.splitlines()[0])["version"] == 3
    assert exported(store, "old") == before


def test_an_old_compaction_names_what_it_kept(store) -> None:
    """The index by which version 1 names an entry becomes that entry's id."""
    lines = [
        '{"type":"session","id":"old"}',
        '{"type":"message","message":{"role":"user","content":"one"}}',
        '{"type":"message","message":{"role":"user","content":"two"}}',
        '{"type":"compaction","summary":"both","firstKeptEntryIndex":2}',
        '{"type":"compaction","summary":"none","firstKeptEntryIndex":99}',
    ]

    store.import_lines("old", lines)

    _, two, both, none = store.messages("old")
    assert both.entry["firstKeptEntryId"] == two.id
    assert "firstKeptEntryIndex" not in both.entry
    assert "firstKeptEntryId" not in none.entry


def test_an_import_goes_on_behind_what_is_there(store) -> None:
    """An import into a session with messages adds behind them, and keeps its header."""
    (first,) = store.append("s", {"role": "user", "content": "before"})
    header = exported(store).splitlines()[0]

    store.import_lines("s", TEXT.splitlines())

    assert [each.id for each in store.messages("s", limit=7)][:2] == [first, "8c5343b7"]
    assert exported(store).splitlines()[0] == header


def test_a_long_import_is_kept_whole(store) -> None:
    """An import of several batches gives each line once and in order."""
    lines = [HEADER] + [
        f'{{"type":"custom","id":"n{n}","parentId":null,"timestamp":"x","n":{n}}}'
        for n in range(2_500)
    ]

    assert store.import_lines("s", lines).added == 2_500
    assert [each.entry["n"] for each in store.messages("s")] == list(range(2_500))
    assert store.import_lines("s", lines).kept == 2_500


def test_a_line_that_is_too_long_is_one_problem(store, monkeypatch) -> None:
    """A line over the bound is told once, by its number, and the lines behind it are kept."""
    monkeypatch.setattr("clawstate.stores.transcripts.importing.MOST_BYTES", 1_000)
    stream = io.BytesIO(f"{HEADER}\n{'x' * 5_000_000}\n{MIRROR}\n".encode())

    report = store.import_lines("s", read_lines(stream))

    assert [line for line, _ in told(report)] == [2]
    assert report.added == 1


def test_an_entry_over_the_bound_is_refused(store, monkeypatch) -> None:
    """A message larger than the bound raises `InvalidError`, and nothing is kept."""
    monkeypatch.setattr("clawstate.stores.transcripts.entries.MOST_BYTES", 10_000)

    with pytest.raises(InvalidError, match="larger than"):
        store.append("s", {"role": "user", "content": "é" * 6_000})

    assert store.sessions() == []


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-" + "api03-" + "A1b2C3d4" * 4,
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "xoxb-1234567890-abcdef",
        "AKIAABCDEFGHIJKLMNOP",
        "123456789:ABCdefGHIjklMNOpqrSTUvwxYZ012345678",
        "Authorization: Bearer abcdefghijklmnopqrstuvwxyz",
        "postgres://ada:hunter2hunter2@db/x",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc",
    ],
    ids=["openai", "github", "slack", "aws", "telegram", "bearer", "url", "pem", "jwt"],
)
def test_a_copy_can_be_masked(store, secret) -> None:
    """With *redact* a secret of a known form is masked in the copy, which is still JSON."""
    store.append("s", {"role": "user", "content": f'take "{secret}" please'})

    masked = [json.loads(line) for line in exported(store, redact=True).splitlines()]

    assert "[redacted]" in masked[1]["message"]["content"]
    assert secret not in masked[1]["message"]["content"]
    assert secret in store.messages("s")[0].text
    assert json.dumps(secret)[1:-1].encode() in exported(store)


names = st.text(min_size=1, max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)  # halves of surrogate pairs are refused
    | st.sampled_from(["x" * 17_000, "A" * 70_000, "é" * 17_000, "\\" * 9_000, '"' * 8_191, '""'])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
reserved = {"type", "id", "parentId", "timestamp", "message", "role"}
members = st.dictionaries(names.filter(lambda name: name not in reserved), values, max_size=4)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "toolResult", "custom", "x y"])},
).flatmap(
    lambda base: st.tuples(
        members, st.text(max_size=20) | st.lists(st.dictionaries(names, values, max_size=3))
    ).map(lambda parts: {**parts[0], **base, "content": parts[1]})
)
others = members.map(lambda rest: {"type": "custom", **rest})


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(turn=st.lists(messages | others, min_size=1, max_size=4))
def test_any_entry_survives_append_export_and_import(tmp_path_factory, turn) -> None:
    """Whatever JSON a message holds comes back equal, and an import of the export is its twin."""
    with clawstate.open(tmp_path_factory.mktemp("state")) as state:
        store = state.transcripts
        store.append("s", turn)
        found = store.messages("s")
        once = exported(store)
        report = store.import_lines("t", once.splitlines(keepends=True))
        twin = exported(store, "t")
        sound = {each.code for each in store.check()}
        store.close()

    plain = [json.loads(dump_compact(each)) for each in turn]
    kept = [each.entry.get("message", each.entry) for each in found]
    for given_one, kept_one in zip(plain, kept, strict=True):
        assert {name: kept_one[name] for name in given_one} == given_one
    assert report.problems == ()
    assert twin.splitlines()[1:] == once.splitlines()[1:]
    assert sound <= {"transcript-orphan"}


@settings(max_examples=40)
@given(
    data=st.data(),
    noise=st.lists(st.binary(max_size=30) | st.text(max_size=30), max_size=8),
)
def test_no_line_is_fatal(tmp_path_factory, data, noise) -> None:
    """Among any noise, cut lines included, the whole lines are kept and nothing breaks."""
    cut = [line[: data.draw(st.integers(0, len(line) - 1))] for line in LINES]
    lines = data.draw(st.permutations([*noise, *cut, *LINES[1:]]))

    with clawstate.open(tmp_path_factory.mktemp("state")) as state:
        report = state.transcripts.import_lines("s", lines)
        have = {each.id for each in state.transcripts.messages("s")}
        sound = {each.code for each in state.transcripts.check()}
        state.transcripts.close()

    assert {json.loads(line)["id"] for line in LINES[1:]} <= have
    assert len(report.problems) <= len(noise) + len(cut)
    assert sound <= {"transcript-orphan"}


@pytest.mark.parametrize("noise", [b"\xfe\xff", b"\xff\xfe", b"{\0", b"\0{"])
def test_noise_that_looks_like_utf16_hides_no_entry(store, noise: bytes) -> None:
    """A first line that begins as UTF-16 does is told, and the whole lines after it are kept."""
    report = store.import_lines("s", [noise, *LINES[1:]])

    assert [each.line for each in report.problems] == [1]
    assert {each.id for each in store.messages("s")} >= {
        json.loads(each)["id"] for each in LINES[1:]
    }


@pytest.mark.parametrize("between", ["", " ", "\0\0", '{"type":"message","id":"0000'])
def test_every_whole_entry_of_a_damaged_line_is_taken(store, between: str) -> None:
    """Entries that two writers put on one line are both kept, whatever stands between them."""
    lines = [LINES[0], LINES[1] + between + LINES[2], *LINES[3:]]

    done = store.import_lines("s", lines)

    assert done.added == len(LINES) - 1
    assert exported(store).splitlines()[1:] == [each.encode() for each in LINES[1:]]
    assert [each.line for each in done.problems] == ([2] if between.strip() else [])


def test_whole_entries_beside_bytes_that_are_no_text_are_taken(store) -> None:
    """Bytes that are not UTF-8 take only the entry with them that they stand in."""
    bad = LINES[2].replace("claude", "cl\udcffude").encode(errors="surrogateescape")
    line = LINES[1].encode() + bad + LINES[3].encode()

    done = store.import_lines("s", [LINES[0].encode(), line])

    assert done.added == 2
    assert [each.line for each in done.problems] == [2]
