"""Laws of appending, importing and reading entries."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from clawstate.errors import ConflictError, InvalidError, NotFoundError
from clawstate.stores.transcripts import Transcripts
from clawstate.testing.forked import in_threads
from clawstate.testing.hooks import ManualTime
from clawstate.testing.transcript_hooks import (
    LONG,
    TranscriptHooks,
    export_lines,
    make_message,
    texts,
)


class EntryLaws(TranscriptHooks):
    """What holds of the entries of a session."""

    def test_nothing_is_found_before_the_first_append(self, store: Transcripts) -> None:
        """Every read of an unknown session finds nothing."""
        assert (store.messages("s"), store.get("s", "x"), store.info("s")) == ([], None, None)
        assert (store.search("word"), store.sessions(), store.count("s")) == ([], [], 0)
        assert not store.delete("s")
        assert store.append("s", []) == []
        assert store.stats()["sessions"] == 0

    def test_a_turn_is_kept_in_order(self, store: Transcripts) -> None:
        """Entries come back in their order, each with the one before it as its parent."""
        first = store.append("s", [make_message("user", "a"), make_message("assistant", "b")])
        second = store.append("s", make_message("user", "c"))

        found = store.messages("s")

        assert [each.id for each in found] == [*first, *second]
        assert [each.parent for each in found] == [None, *first]
        assert [(each.role, each.text) for each in found] == [
            ("user", "a"),
            ("assistant", "b"),
            ("user", "c"),
        ]
        assert [each.position for each in found] == sorted(each.position for each in found)

    def test_lines_are_as_they_were_given(self, store: Transcripts) -> None:
        """Unknown members, their order, numbers and long values are exported byte by byte."""
        header = '{"type":"session","version":3,"id":"s","extra":[1.50]}'
        lines = [
            '{"z":1e2,"type":"custom","id":"a","parentId":null,"timestamp":"x","y":{"b":1,"a":2}}',
            json.dumps({"type": "custom", "id": "b", "parentId": "a", "data": LONG}),
            json.dumps({"type": "custom", "id": "c", "parentId": "b", "data": [LONG, "", LONG]}),
        ]

        store.import_lines("s", [header, *lines])

        assert export_lines(store) == [header, *lines]
        assert store.messages("s")[2].entry == json.loads(lines[2])

    @pytest.mark.parametrize(
        "bad",
        [
            {"role": "user"},
            {"content": "no role"},
            {"type": "custom", "id": "known"},
            {"type": "custom", "id": "new", "parentId": "unknown"},
            {"type": "custom", "data": json.loads("[" * 300 + "]" * 300)},
        ],
        ids=["no-content", "no-role", "taken-id", "unknown-parent", "deep"],
    )
    def test_a_turn_is_kept_whole_or_not_at_all(
        self, store: Transcripts, bad: dict[str, Any]
    ) -> None:
        """A turn with an entry that cannot be kept leaves everything as it was."""
        store.append("s", {"type": "custom", "id": "known"})
        before = export_lines(store), store.stats()

        with pytest.raises((InvalidError, NotFoundError)):
            store.append("s", [make_message("user", "good"), bad])
        with pytest.raises((InvalidError, NotFoundError)):
            store.append(
                "new", [make_message("user", "good"), {**bad, "id": "x", "parentId": "none"}]
            )

        assert (export_lines(store), store.stats()) == before
        assert store.search("good") == []
        assert store.info("new") is None

    def test_an_expected_leaf_is_required(self, store: Transcripts) -> None:
        """A turn that expects another newest entry is refused; `None` expects an empty session."""
        (leaf,) = store.append("s", make_message("user", "a"), expect_leaf=None)
        with pytest.raises(ConflictError):
            store.append("s", make_message("user", "b"), expect_leaf=None)
        with pytest.raises(ConflictError):
            store.append("s", make_message("user", "b"), expect_leaf="other")

        store.append("s", make_message("user", "b"), expect_leaf=leaf)

        assert texts(store) == ["a", "b"]

    def test_a_named_turn_is_kept_once(self, store: Transcripts) -> None:
        """A turn that is repeated under its name is not added again; another one is refused."""
        turn = [make_message("user", "a"), make_message("assistant", "b")]
        ids = store.append("s", turn, turn="t")

        assert store.append("s", turn, turn="t") == ids
        with pytest.raises(ConflictError, match="name"):
            store.append("s", make_message("user", "c"), turn="t")
        store.append("other", turn, turn="t")

        assert texts(store) == texts(store, "other") == ["a", "b"]

    def test_results_of_tools_answer_calls(self, store: Transcripts) -> None:
        """With *strict* a result needs a call, in its turn or before, that has none yet."""
        call = {"role": "assistant", "content": [{"type": "toolCall", "id": "c", "name": "x"}]}
        result = {"role": "toolResult", "toolCallId": "c", "content": "done"}
        with pytest.raises(InvalidError, match="without"):
            store.append("s", result, strict=True)
        store.append("s", call)
        store.append("s", result, strict=True)
        with pytest.raises(InvalidError, match="second"):
            store.append("s", result, strict=True)

        assert store.count("s") == 2

    def test_pages_go_both_ways(self, store: Transcripts) -> None:
        """A page is the newest, the one before or the one behind an entry, in their order."""
        ids = store.append("s", [make_message("user", str(number)) for number in range(7)])
        store.append("other", make_message("user", "x"))

        assert texts(store, limit=3) == ["4", "5", "6"]
        assert texts(store, limit=3, before=ids[4]) == ["1", "2", "3"]
        assert texts(store, limit=2, after=ids[4]) == ["5", "6"]
        assert texts(store, after=ids[1], before=ids[4]) == ["2", "3"]
        assert texts(store, after=ids[4], before=ids[1]) == []
        assert texts(store, limit=0) == []
        with pytest.raises(NotFoundError):
            store.messages("s", before=store.messages("other")[0].id)

    def test_sessions_have_ids_of_their_own(self, store: Transcripts) -> None:
        """The same id of an entry in two sessions is two entries."""
        for session_id in ("one", "two"):
            store.append(session_id, {"type": "custom", "id": "a", "data": session_id})

        found = store.get("one", "a"), store.get("two", "a")

        assert [each.entry["data"] for each in found if each] == ["one", "two"]

    def test_an_import_is_repeated_without_effect(self, store: Transcripts) -> None:
        """What is there stays; what contradicts it is told by its line and left out."""
        lines = [f'{{"type":"custom","id":"e{n}","parentId":null,"n":{n}}}' for n in range(3)]
        store.import_lines("s", lines[:2])

        again = store.import_lines("s", lines)
        other = store.import_lines("s", ['{"type":"custom","id":"e1","parentId":null,"n":9}'])

        assert (again.added, again.kept, again.problems) == (1, 2, ())
        assert (other.added, [each.line for each in other.problems]) == (0, [1])
        assert export_lines(store)[1:] == lines

    @pytest.mark.parametrize(
        ("again", "is_kept"),
        [
            ('{"parentId": null, "n": [1, true], "type": "custom", "id": "e"}', True),
            ('{"type":"custom","id":"e","parentId":null,"n":[1.0,true]}', True),
            ('{"type":"custom","id":"e","parentId":null,"n":[true,true]}', False),
            ('{"type":"custom","id":"e","parentId":null,"n":[1,1]}', False),
            ('{"type":"custom","id":"e","parentId":null,"n":[1,1.0]}', False),
        ],
    )
    def test_an_import_is_compared_as_json(
        self, store: Transcripts, again: str, *, is_kept: bool
    ) -> None:
        """The order of members and the form of a number say nothing; `true` is no number."""
        store.import_lines("s", ['{"type":"custom","id":"e","parentId":null,"n":[1,true]}'])

        found = store.import_lines("s", [again])

        assert (found.kept, len(found.problems)) == ((1, 0) if is_kept else (0, 1))

    def test_a_fork_has_what_leads_to_an_entry(self, store: Transcripts) -> None:
        """A fork holds the chain of an entry under the same ids, and grows by itself."""
        ids = store.append("s", [make_message("user", each) for each in ("a", "b", "c")])
        store.append("s", make_message("user", "beside"), parent=ids[0])

        assert store.fork("s", ids[1], "f") == 2
        store.append("f", make_message("user", "later"))

        assert texts(store, "f") == ["a", "b", "later"]
        assert [each.id for each in store.messages("f")][:2] == ids[:2]
        assert texts(store) == ["a", "b", "c", "beside"]
        assert json.loads(export_lines(store, "f")[0])["parentSession"] == "s"
        with pytest.raises(InvalidError, match="already"):
            store.fork("s", ids[0], "f")
        with pytest.raises(NotFoundError):
            store.fork("s", "unknown", "g")
        with pytest.raises(NotFoundError):
            store.fork("unknown", ids[0], "g")

    def test_threads_append_whole_turns(self, store: Transcripts, time: ManualTime) -> None:
        """Turns of several threads are all there, each without another's entry inside."""
        names = itertools.count()

        def work() -> None:
            for _ in range(5):
                name = str(next(names))
                store.append("s", [make_message("user", name) for _ in range(3)])

        in_threads(4, work)

        found = texts(store)
        assert {tuple(found[at : at + 3]) for at in range(0, 60, 3)} == {
            (str(name),) * 3 for name in range(20)
        }
        messages = store.messages("s")
        assert [each.parent for each in messages][1:] == [each.id for each in messages][:-1]
        held = store.info("s")
        assert held is not None
        assert (held.count, held.updated_at) == (60, time.now)
