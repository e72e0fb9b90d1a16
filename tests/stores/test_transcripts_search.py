from __future__ import annotations

import random

import pytest

import clawstate
from clawstate.clock import to_iso
from clawstate.errors import InvalidError
from clawstate.stores.transcripts.backends.inmemory import InMemoryTranscripts
from clawstate.stores.transcripts.service import Transcripts


@pytest.fixture
def store(state):
    yield state.transcripts
    state.transcripts.close()


def said(text, role="user"):
    return {"role": role, "content": [{"type": "text", "text": text}]}


def found(store, query, *settings, **named):
    return [each.message.text for each in store.search(query, *settings, **named)]


def marked(hit):
    return [hit.snippet[start:end] for start, end in hit.matches]


def test_words_are_found_in_all_forms(store) -> None:
    """A word finds its other forms, in any case, with or without accents."""
    store.append("s", [said("The gateway was RESTARTING"), said("le café"), said("nothing")])

    assert found(store, "restarted Gateways") == ["The gateway was RESTARTING"]
    assert found(store, "CAFE") == ["le café"]
    assert found(store, "lobster") == []


def test_what_has_all_words_comes_first(store) -> None:
    """Messages with all words come before those with some; the newer first among equals."""
    store.append("filler", [said(f"filler {number}") for number in range(20)])
    store.append("s", [said("red"), said("blue"), said("a red sea and a blue sea"), said("red")])

    assert found(store, "red blue") == ["a red sea and a blue sea", "blue", "red", "red"]
    hits = store.search("red")
    assert [hit.message.position for hit in hits if hit.message.text == "red"] == sorted(
        (hit.message.position for hit in hits if hit.message.text == "red"), reverse=True
    )
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_words_in_quotes_stand_together(store) -> None:
    """What stands in double quotes is found as it stands."""
    store.append("s", [said("the sea is red"), said("the red sea")])

    assert found(store, '"red sea"') == ["the red sea"]


@pytest.mark.parametrize(
    ("text", "query", "match"),
    [
        ("请重启网关服务", "网关", "网关"),
        ("请重启网关服务", "重启网关", "重启网关"),
        ("ゲートウェイを再起動してください", "再起動", "再起動"),
        ("รีสตาร์ทเกตเวย์", "เกต", "เกต"),
        ("게이트웨이를 다시 시작", "다시", "다시"),
        ("Перезапустите шлюз", "шлюз", "шлюз"),
        ("the gateway 网关 is down", "网关 down", "网关down"),
        ("𠮷野家 is open", "𠮷野", "𠮷野"),
    ],
)
def test_other_scripts_are_found_and_marked(store, text, query, match) -> None:
    """Text of any script is found by its words, or by its signs where there are no blanks."""
    store.append("s", [said(text), said("something else")])

    (hit,) = store.search(query)

    assert hit.message.text == text
    assert "".join(marked(hit)) == match


def test_part_of_a_long_run_of_signs_is_enough(store) -> None:
    """A question in Chinese finds what shares a pair of signs with it."""
    store.append("s", [said("网关已经重启"), said("天气很好")])

    assert found(store, "什么时候重启的") == ["网关已经重启"]


def test_a_search_can_be_bounded(store, clock) -> None:
    """Session, role, time and number bound what is found."""
    start = clock()
    store.append("s", [said("lobster one"), said("lobster two", "assistant")])
    clock.advance(100)
    store.append("t", said("lobster three"))
    later = start + 50

    assert found(store, "lobster", "t") == ["lobster three"]
    assert found(store, "lobster", session_id="u") == []
    assert found(store, "lobster", role="assistant") == ["lobster two"]
    assert found(store, "lobster", role="assist") == []
    assert found(store, "lobster", since=later) == ["lobster three"]
    assert found(store, "lobster", until=to_iso(later)) == ["lobster two", "lobster one"]
    assert found(store, "lobster", since=start, until=start) == []
    assert found(store, "lobster", limit=1) == ["lobster three"]
    assert found(store, "lobster", limit=0) == []
    with pytest.raises(InvalidError):
        store.search("lobster", limit=-1)
    with pytest.raises(InvalidError):
        store.search("lobster", since="yesterday")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        '"',
        '""',
        "*",
        "a AND",
        "NEAR(",
        "content:x",
        "-",
        "'; DROP",
        "\0",
        "\ud800",
        "()",
    ],
)
def test_any_text_can_be_searched_for(store, query) -> None:
    """No query is an error: signs of a query language mean nothing."""
    store.append("s", said("something"))

    assert store.search(query) == []


def test_only_what_was_said_is_searched(store) -> None:
    """Images, thoughts, arguments and signatures are not found; results and summaries are."""
    data = "QUJDlobster" * 200
    store.append(
        "s",
        [
            {"role": "user", "content": [{"type": "image", "data": data, "mimeType": "lobster"}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "lobster"}]},
            {"role": "assistant", "content": [{"type": "toolCall", "id": "lobster", "name": "x"}]},
            {"role": "user", "content": f"see data:image/png;base64,{data}"},
            {
                "role": "toolResult",
                "toolCallId": "c",
                "content": [{"type": "text", "text": "crab"}],
            },
            {"type": "compaction", "summary": "all about a crab"},
            {"role": "bashExecution", "command": "ls crab", "output": "none"},
        ],
    )

    assert found(store, "lobster") == []
    assert found(store, "QUJDlobster") == []
    assert len(found(store, "crab")) == 3


def test_words_far_behind_are_not_indexed(store) -> None:
    """Only the first 100,000 characters of a message are searched."""
    store.append("s", said("first " + "filler " * 20_000 + "last"))

    assert (len(found(store, "first")), len(found(store, "last"))) == (1, 0)


def test_a_snippet_shows_the_match(store) -> None:
    """A snippet of a long text is one short line around the matches, and marks each form."""
    text = "filler\n" * 500 + "the red\tlobster lobsters " + "filler " * 500
    store.append("s", said(text))

    (hit,) = store.search("lobster")

    assert "the red lobster lobsters" in hit.snippet
    assert len(hit.snippet) <= 202
    assert hit.snippet.startswith("…")
    assert hit.snippet.endswith("…")
    assert marked(hit) == ["lobster", "lobsters"]


def test_matches_lie_on_their_words(store) -> None:
    """Wherever signs, words and blanks of any script stand, marks lie on what was searched."""
    chance = random.Random(7)
    pieces = ["网", "关", " é ", "lobster", " ", "x", "  ", "𠮷", "ก", "-", "\n", "ß"]
    for number in range(60):
        text = "".join(chance.choices(pieces, k=40)) + " lobster 重启"
        store.append(f"s{number}", said(text))
        for query in ("lobster", "重启", "网"):
            for hit in store.search(query, f"s{number}"):
                assert set(marked(hit)) <= {query, query * 2, query * 3, query * 4}
                assert marked(hit)


def test_common_words_choose_nothing_in_a_large_index(store, state) -> None:
    """With many messages a word that most of them have does not bring them all."""
    turn = [said(f"common word{number}") for number in range(21_000)]
    store.append("s", turn)

    hits = found(store, "common word7 unheard")

    assert hits == ["common word7"]
    assert len(found(store, "common", limit=5)) == 5
    assert state.transcripts.check() == []


@pytest.fixture(scope="module", params=["sqlite", "memory"])
def large(request, tmp_path_factory):
    """Give transcripts of more than 20,000 messages, nearly all of them of meetings."""
    with clawstate.open(tmp_path_factory.mktemp("large") / "state") as state:
        is_kept = request.param == "sqlite"
        made = state.transcripts if is_kept else Transcripts(InMemoryTranscripts())
        made.append("s", [said(f"meeting word{number} lobster") for number in range(20_000)])
        made.append("s", [said("zanzibar"), said("zanzibar parrot"), said("meeting parrot")])
        yield made


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("zanzibar meeting", ["zanzibar", "zanzibar parrot"]),
        ("meeting parrot", ["meeting parrot", "zanzibar parrot"]),
        ("parrot meeting unheard", ["meeting parrot", "zanzibar parrot"]),
        ("zanzibar meeting lobster", ["zanzibar", "zanzibar parrot"]),
    ],
)
def test_a_rare_word_finds_its_messages_among_many(large, query, first) -> None:
    """Beside a common word a rare one finds what has both, then what has it."""
    assert found(large, query)[: len(first)] == first
    scores = [hit.score for hit in large.search(query)]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    "query", ["zanzibar meeting", "unheard meeting", "unheard meeting lobster"]
)
def test_common_words_fill_what_rare_ones_leave(large, query) -> None:
    """Where no message has all words, those with common ones follow, as many as are asked for."""
    hits = found(large, query, limit=7)

    assert len(hits) == 7
    assert all("meeting" in text or "zanzibar" in text for text in hits)


@pytest.mark.parametrize("words", ["meeting", "zanzibar", "zanzibar meeting", "meeting lobster"])
def test_a_word_in_no_message_counts_for_nothing(large, words) -> None:
    """A search with a word that nobody said finds what it finds without that word."""
    assert found(large, f"{words} unheard") == found(large, words)
