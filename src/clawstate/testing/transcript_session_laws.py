"""Laws of sessions, of searches, and of what other processes see."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawstate.errors import ClosedError, InvalidError, NotFoundError
from clawstate.paging import Listing
from clawstate.stores.transcripts import Transcripts
from clawstate.stores.transcripts.contract import Capability, TranscriptLog
from clawstate.testing.forked import child_process
from clawstate.testing.hooks import ManualTime, needs
from clawstate.testing.transcript_hooks import (
    LONG,
    TranscriptHooks,
    export_lines,
    make_message,
    texts,
)


class SessionLaws(TranscriptHooks):
    """What holds of sessions as a whole."""

    def test_the_last_changed_come_first(self, store: Transcripts, time: ManualTime) -> None:
        """Sessions are listed by their last change, page by page, with what they hold."""
        for number in range(5):
            time.now += 1
            store.append(f"s{number}", make_message("user", "a"))
        time.now += 1
        store.append("s1", make_message("user", "b"))

        ids = [each.session_id for each in store.sessions()]

        assert ids == ["s1", "s4", "s3", "s2", "s0"]
        assert [each.session_id for each in store.sessions(2)] == ids[:2]
        assert [each.session_id for each in store.sessions(2, after="s4")] == ids[2:4]
        assert store.sessions(limit=0) == []
        assert store.sessions(after="s0") == []
        with pytest.raises(NotFoundError):
            store.sessions(after="unknown")

    def test_pages_go_on_where_another_ended(self, store: Transcripts, time: ManualTime) -> None:
        """Pages of sessions give each once, whatever is said or deleted meanwhile."""
        for number in range(6):
            time.now += number % 2
            store.append(f"s{number}", make_message("user", "a"))
        every = [each.session_id for each in store.sessions()]

        first = store.page(2)
        time.now += 1
        store.delete(every[1])
        store.append(every[3], make_message("user", "b"))
        second = store.page(2, first.after)
        third = store.page(2, second.after)

        assert [each.session_id for each in first] == every[:2] == ["s5", "s4"]
        assert [each.session_id for each in (*second, *third)] == [every[2], *every[4:]]
        assert third.after is None
        cursor = Listing("transcripts").encode_cursor
        for wrong in ("s1", cursor((0.0, "s1")), cursor((float("inf"), "1"))):
            with pytest.raises(InvalidError):
                store.page(2, wrong)

    def test_pages_of_messages_go_back(self, store: Transcripts) -> None:
        """Pages of messages begin with the newest one, and give each once."""
        store.append("s", [make_message("user", f"m{number}") for number in range(7)])

        page = store.message_page("s", 3)
        seen = [*page]
        store.append("s", make_message("user", "later"))
        while page.after is not None:
            page = store.message_page("s", 3, page.after)
            seen += page

        assert seen == store.messages("s")[-2::-1]
        assert store.message_page("unknown").items == ()
        with pytest.raises(InvalidError):
            store.message_page("s", 0)
        with pytest.raises(NotFoundError):
            store.message_page("s", 3, Listing("messages").encode_cursor((0.0, "unknown")))

    def test_what_is_held_is_counted(self, store: Transcripts, time: ManualTime) -> None:
        """Count, size, newest entry and times of a session are those of its entries."""
        begun = time.now
        store.append("s", [make_message("user", "a"), make_message("user", LONG)])
        time.now += 60
        (leaf,) = store.append("s", make_message("user", "ü"))

        held = store.info("s")

        assert held is not None
        assert (held.count, held.leaf) == (3, leaf)
        assert held.size == sum(len(each.encode()) + 1 for each in export_lines(store)[1:])
        assert (held.created_at, held.updated_at) == (begun, time.now)
        stats = store.stats()
        assert (stats["sessions"], stats["messages"], stats["bytes"]) == (1, 3, held.size)

    def test_nothing_is_left_of_a_deleted_session(self, store: Transcripts) -> None:
        """What was deleted is not read, found or exported, and its id begins anew."""
        store.append("s", [make_message("user", "lobster"), make_message("user", LONG)])
        store.append("other", make_message("user", "crab"))

        assert store.delete("s")

        assert (store.messages("s"), store.search("lobster"), store.info("s")) == ([], [], None)
        with pytest.raises(NotFoundError):
            export_lines(store)
        assert not store.delete("s")
        store.append("s", make_message("user", "new"))
        assert (texts(store), texts(store, "other")) == (["new"], ["crab"])

    def test_pruning_takes_the_longest_unchanged(
        self, store: Transcripts, time: ManualTime
    ) -> None:
        """Whole sessions go, the oldest first, and those that are kept by name stay."""
        for number in range(4):
            time.now += 1
            store.append(f"s{number}", make_message("user", "a"))

        assert store.prune(most_sessions=2, keep=["s0"]) == ["s1", "s2"]

        assert [each.session_id for each in store.sessions()] == ["s3", "s0"]

    def test_what_has_all_words_comes_first(self, store: Transcripts) -> None:
        """All words before some, words in quotes together, and every score from 0 to 1."""
        store.append(
            "s",
            [
                make_message("user", "the kettle is red"),
                make_message("user", "a red tea kettle whistles"),
                make_message("user", "tea without anything"),
                make_message("user", "a kettle of tea and a red cup"),
                make_message("user", "nothing of that"),
            ],
        )

        found = store.search("red tea kettle")

        assert len(found) == 4
        assert {each.message.text for each in found[:2]} == {
            "a red tea kettle whistles",
            "a kettle of tea and a red cup",
        }
        scores = [each.score for each in found]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < each <= 1 for each in scores)
        assert [each > 0.5 for each in scores] == [True, True, False, False]
        (together,) = store.search('"tea kettle"')
        assert together.message.text == "a red tea kettle whistles"
        assert "tea kettle" in together.snippet
        assert len(store.search("red tea kettle", limit=1)) == 1
        assert store.search("", limit=5) == store.search("?!", limit=5) == []

    def test_forms_and_signs_are_found(self, store: Transcripts) -> None:
        """Forms of an English word find each other; unspaced scripts are found by their signs."""
        store.append(
            "s", [make_message("user", "she was running"), make_message("user", "今日はとても寒い")]
        )

        assert [each.message.text for each in store.search("runs")] == ["she was running"]
        assert [each.message.text for each in store.search("寒い")] == ["今日はとても寒い"]

    def test_a_search_has_bounds(self, store: Transcripts, time: ManualTime) -> None:
        """Session, role and time bound a search; the end of a time itself is left out."""
        store.append("s", make_message("user", "tea one"))
        begun = time.now
        time.now += 10
        store.append("t", make_message("assistant", "tea two"))

        def found(**bounds: object) -> set[str]:
            return {each.message.text for each in store.search("tea", **bounds)}  # type: ignore[arg-type]

        assert found() == {"tea one", "tea two"}
        assert found(session_id="s") == found(role="user") == {"tea one"}
        assert found(since=begun + 1) == {"tea two"}
        assert found(until=begun + 10) == {"tea one"}
        assert found(session_id="unknown") == found(role="tool") == set()

    def test_an_index_can_be_made_anew(self, store: Transcripts) -> None:
        """After `optimize`, and after making the word index anew, searches find the same."""
        store.append("s", [make_message("user", "tea"), make_message("user", "coffee")])
        store.append("gone", make_message("user", "tea"))
        store.delete("gone")
        before = store.search("tea")

        for rebuild in (False, True):
            store.optimize(rebuild=rebuild)
            assert store.search("tea") == before
        assert store.check() == []

    def test_what_does_not_fit_together_is_told(self, store: Transcripts) -> None:
        """Broken chains and results without calls stay as they came, and are remarks."""
        store.import_lines(
            "s",
            [
                '{"type":"custom","id":"a","parentId":"nobody"}',
                (
                    '{"type":"message","id":"b","parentId":"a",'
                    '"message":{"role":"toolResult","toolCallId":"c","content":"x"}}'
                ),
            ],
        )

        found = store.check()
        told = "\n".join(each.message for each in found)

        assert "1 message of s follows one that is not before" in told
        assert "1 tool result of s answers no call, the first of them b" in told
        assert {(each.code, each.repair) for each in found} == {("transcript-orphan", None)}

    def test_an_export_is_of_one_moment(self, store: Transcripts, log: TranscriptLog) -> None:
        """Lines that are read while others append are those of the moment of asking."""
        store.append("s", [make_message("user", "a"), make_message("user", "b")])

        with log.lines("s") as lines:
            next(lines)
            store.append("s", make_message("user", "c"))
            rest = list(lines)

        assert len(rest) == 2

    def test_a_closed_engine_refuses(self, store: Transcripts) -> None:
        """After `close` reading and writing raise `ClosedError`."""
        store.append("s", make_message("user", "a"))
        store.close()

        with pytest.raises(ClosedError):
            store.append("s", make_message("user", "b"))
        with pytest.raises(ClosedError):
            store.messages("s")

    @needs(Capability.DURABLE)
    def test_entries_outlive_the_engine(
        self, store: Transcripts, tmp_path: Path, time: ManualTime
    ) -> None:
        """Opened again, every entry, name of a turn and word is there, and lies there as told."""
        turn = [make_message("user", "tea"), make_message("assistant", "coffee")]
        ids = store.append("s", turn, turn="t")
        lines = export_lines(store)
        store.close()

        again = Transcripts(self.make(tmp_path), clock=time)
        try:
            assert export_lines(again) == lines
            assert again.append("s", turn, turn="t") == ids
            assert [each.message.id for each in again.search("tea")] == ids[:1]
        finally:
            again.close()
        assert self.raw_lines(tmp_path, "s") == lines

    @needs(Capability.DURABLE)
    def test_reading_makes_no_file(self, store: Transcripts, tmp_path: Path) -> None:
        """Reads of an empty state create nothing."""
        assert (store.messages("s"), store.search("a"), store.sessions()) == ([], [], [])
        store.optimize()

        assert list(tmp_path.rglob("*")) == []

    @needs(Capability.SHARED)
    def test_another_process_appends_to_the_same_session(
        self, store: Transcripts, tmp_path: Path, time: ManualTime
    ) -> None:
        """What another process appended is read at once, and its turns are whole."""
        store.append("s", make_message("user", "here"))

        with child_process(lambda _: _append_there(self.make(tmp_path))) as child:
            assert child.wait() == 0

        assert texts(store) == ["here", *(["there"] * 20)]
        assert store.messages("s")[-1].timestamp == time.now


def _append_there(log: TranscriptLog) -> None:
    store = Transcripts(log, clock=ManualTime())
    for _ in range(10):
        store.append("s", [make_message("user", "there"), make_message("user", "there")])
    store.close()
