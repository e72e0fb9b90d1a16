"""Laws of many records at once: scans, counts, changes of all, cursors."""

from __future__ import annotations

from typing import Any, Final

import pytest

from clawstate.errors import InvalidError
from clawstate.records.contract import DELETE, Backend, Capability, Collection, Json
from clawstate.testing.collection_hooks import ITEMS, NOTES, OTHERS, CollectionHooks
from clawstate.testing.hooks import needs

_KEYS: Final = (
    "a",
    "a/b",
    "a/c",
    "aa",
    "B",
    "b",
    "a\0",
    "a\ud7ff",
    "a\ue000",
    "a\uffff",
    "a\U00010000",
    "a\U0010ffff",
    "a\U0010ffffz",
    "\U0010ffff",
    "\U0010ffff\U0010ffff",
    "\u00e9",
    "e\u0301",
)
_PREFIXES: Final = (
    *_KEYS,
    "",
    "a\U0010ffff\U0010ffff",
    "zz",
    "a/",
    "\ud800",
    "a\udfff",
    "x" * 2000,
)


class ViewLaws(CollectionHooks):
    """What `scan`, `count`, `change_all` and `changes` promise."""

    @pytest.mark.parametrize("prefix", _PREFIXES, ids=lambda prefix: ascii(prefix[:12]))
    def test_a_scan_gives_a_prefix_in_order(self, notes: Collection, prefix: str) -> None:
        """A scan gives the keys that start with its prefix, by code point, and `count` agrees."""
        notes.change_all(lambda _: (dict.fromkeys(_KEYS, 1), None))

        wanted = sorted(key for key in _KEYS if key.startswith(prefix))

        assert [each.key for each in notes.scan(prefix)] == wanted
        assert notes.count(prefix) == len(wanted)
        for after in _PREFIXES:
            rest = [key for key in wanted if key > after]
            assert [each.key for each in notes.scan(prefix, after=after)] == rest, ascii(after)

    @pytest.mark.parametrize("limit", [1, 3, 100])
    def test_pages_make_a_whole(self, notes: Collection, limit: int) -> None:
        """Pages, each after the last key of the one before, give every record once."""
        notes.change_all(lambda _: (dict.fromkeys(_KEYS, 1), None))

        seen: list[str] = []
        after = None
        while page := list(notes.scan(after=after, limit=limit)):
            assert len(page) <= limit
            seen += [each.key for each in page]
            after = seen[-1]

        assert seen == sorted(_KEYS)

    def test_a_limit_bounds_a_scan(self, notes: Collection) -> None:
        """A scan of at most 0 records gives none, one of more than there are gives all."""
        notes.change_all(lambda _: (dict.fromkeys("abc", 1), None))

        assert [len(list(notes.scan(limit=limit))) for limit in (0, 2, 3, 10**9)] == [0, 2, 3, 3]
        with pytest.raises(InvalidError):
            list(notes.scan(limit=-1))

    def test_a_scan_is_of_one_moment(self, notes: Collection) -> None:
        """A scan that is under way does not see what changes meanwhile, nor is it in the way."""
        notes.change_all(lambda _: (dict.fromkeys("abcd", 1), None))

        scan = notes.scan()
        first = next(scan)
        notes.put("b", 2)
        notes.delete("c")
        notes.put("e", 2)

        assert [(each.key, each.value) for each in [first, *scan]] == [(key, 1) for key in "abcd"]
        assert [each.value for each in notes.scan()] == [1, 2, 1, 2]

    def test_change_all_replaces_everything(self, notes: Collection) -> None:
        """What the change returns is what is there, and its answer is the answer."""
        notes.change_all(lambda _: ({"a": 1, "b": {"x": [1]}, "c": 3}, None))
        before = {each.key: each.revision for each in notes.scan()}

        def change(records: dict[str, Json]) -> tuple[dict[str, Json], str]:
            assert records == {"a": 1, "b": {"x": [1]}, "c": 3}
            records["b"]["x"].append(2)
            del records["c"]
            return {**records, "d": 4}, "done"

        answer = notes.change_all(change)

        after = {each.key: each.revision for each in notes.scan()}
        assert answer == "done"
        assert {each.key: each.value for each in notes.scan()} == {
            "a": 1,
            "b": {"x": [1, 2]},
            "d": 4,
        }
        assert after["a"] == before["a"]
        assert after["b"] != before["b"]

    def test_change_all_takes_a_copy(self, notes: Collection) -> None:
        """Altering what the change returned, or was given, alters no record afterwards."""
        given = {"a": {"x": 1}}

        notes.change_all(lambda _: (given, None))
        seen = notes.change_all(lambda records: (records, records))
        given["a"]["x"] = 2
        seen["a"]["x"] = 3

        assert [each.value for each in notes.scan()] == [{"x": 1}]

    @pytest.mark.parametrize("answer", [None, ["a"], "a", 7], ids=repr)
    def test_change_all_wants_a_mapping(self, notes: Collection, answer: Any) -> None:
        """A change of all that returns no mapping is refused, and nothing is written."""
        kept = notes.put("a", 1)

        with pytest.raises(InvalidError):
            notes.change_all(lambda _: (answer, None))

        assert list(notes.scan()) == [kept]

    def test_kinds_do_not_see_each_other(self, backend: Backend) -> None:
        """Collections of different kinds share neither keys, counts, changes nor cursors' news."""
        notes, others = backend.collection(NOTES), backend.collection(OTHERS)
        notes.put("a", 1)
        cursor = notes.changes().cursor

        others.put("a", 2)
        others.put("b", 2)
        others.change_all(lambda records: ({**records, "c": 3}, None))
        others.delete("b")

        assert [(each.key, each.value) for each in notes.scan()] == [("a", 1)]
        assert [(each.key, each.value) for each in others.scan()] == [("a", 2), ("c", 3)]
        assert (notes.count(), others.count()) == (1, 2)
        assert notes.changes(cursor).keys == frozenset()
        assert notes.changes(cursor).complete

    def test_one_kind_is_one_collection(self, backend: Backend) -> None:
        """Two collections that were asked for with one spec hold the same records."""
        one, two = backend.collection(ITEMS), backend.collection(ITEMS)

        put = one.put("a", {"id": "a"})

        assert two.get("a") == put
        assert one.spec == two.spec == ITEMS

    def test_changes_tell_what_moved(self, notes: Collection) -> None:
        """After a cursor come the keys that were put, replaced or deleted, and no others."""
        notes.change_all(lambda _: (dict.fromkeys("abcdef", 1), None))
        cursor = notes.changes().cursor

        notes.put("a", 2)
        notes.delete("b")
        notes.update("c", lambda _: 2)
        notes.update("d", lambda _: DELETE)
        notes.put("new", 1)
        notes.put("e", 1)
        notes.delete("nothing")

        news = notes.changes(cursor)
        assert news.complete
        assert news.keys == {"a", "b", "c", "d", "new"}
        assert notes.changes(news.cursor).keys == frozenset()
        assert notes.changes(cursor).keys == news.keys

    def test_changes_tell_of_a_change_of_all(self, notes: Collection) -> None:
        """A change of all moves the keys whose records it changed, made or removed."""
        notes.change_all(lambda _: (dict.fromkeys("abc", 1), None))
        cursor = notes.changes().cursor

        notes.change_all(lambda _: ({"a": 1, "b": 2, "d": 1}, None))

        assert notes.changes(cursor).keys == {"b", "c", "d"}

    def test_a_first_cursor_tells_nothing(self, notes: Collection) -> None:
        """Without a cursor, `changes` gives only one of now, in an empty collection too."""
        empty = notes.changes()
        notes.put("a", 1)
        full = notes.changes()

        assert [(each.keys, each.complete) for each in (empty, full)] == [(frozenset(), True)] * 2
        assert notes.changes(empty.cursor).keys == {"a"}
        assert notes.changes(full.cursor).keys == frozenset()

    @pytest.mark.parametrize(
        "cursor",
        ["", "nonsense", "0", "-1", "1.1", ".-1", "9" * 30, "." + "9" * 30, "\ud800", "\0"],
    )
    def test_an_unknown_cursor_is_no_error(self, notes: Collection, cursor: str) -> None:
        """A cursor that no engine gave tells that anything may have moved, and gives a good one."""
        notes.put("a", 1)

        news = notes.changes(cursor)

        assert (news.complete, news.keys) == (False, frozenset())
        notes.put("b", 1)
        assert notes.changes(news.cursor).keys == {"b"}

    @needs(Capability.LASTING_CURSORS)
    def test_a_cursor_lasts(self, backend: Backend, tmp_path: Any) -> None:
        """A cursor tells the same after the engine was opened again."""
        notes = backend.collection(NOTES)
        notes.put("a", 1)
        notes.put("b", 1)
        cursor = notes.changes().cursor
        notes.delete("a")

        again = self.reopen(backend, tmp_path)
        try:
            notes = again.collection(NOTES)
            notes.put("c", 1)
            assert notes.changes(cursor).complete
            assert notes.changes(cursor).keys == {"a", "c"}
        finally:
            again.close()
