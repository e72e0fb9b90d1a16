"""What a collection must hold, as a plain model that a state machine keeps beside it."""

from __future__ import annotations

import json
from typing import Any

from clawstate.files.json_text import dump_compact
from clawstate.records.contract import ChangedKeys, Json, Versioned


class Moment:
    """A cursor, what there was when it was given, and which keys were touched since."""

    def __init__(self, cursor: str, texts: dict[str, str]) -> None:
        self.cursor = cursor
        self.texts = texts
        self.touched: set[str] = set()


class Model:
    """What a collection must hold, what it held, and when it was asked for a cursor."""

    def __init__(self) -> None:
        self.records: dict[str, Versioned] = {}
        self.moments: list[Moment] = []
        self._seen: dict[tuple[str, str], str] = {}  # the text of each key and revision

    def texts(self) -> dict[str, str]:
        """Return the JSON text of each record."""
        return texts_of({key: each.value for key, each in self.records.items()})

    def note(self, key: str, put: Versioned, value: Json) -> None:
        """Note that *value* was put, and check the record that came of it."""
        text = dump_compact(value)
        assert (put.key, dump_compact(put.value)) == (key, text)
        assert self._seen.setdefault((key, put.revision), text) == text
        found = self.records.get(key)
        if found is not None and dump_compact(found.value) == text:
            assert put.revision == found.revision
        else:
            self._touch(key)
        self.records[key] = Versioned(key, json.loads(text), put.revision)

    def drop(self, key: str) -> None:
        """Note that *key* was deleted."""
        if self.records.pop(key, None) is not None:
            self._touch(key)

    def lost_revisions(self, key: str) -> list[str]:
        """Return the revisions that *key* had and has no longer."""
        found = self.records.get(key)
        seen = [revision for each, revision in self._seen if each == key]
        return [each for each in seen if found is None or each != found.revision]

    def remember(self, cursor: str) -> None:
        """Note that *cursor* is of this moment."""
        self.moments.append(Moment(cursor, self.texts()))

    def check(self, moment: Moment, news: ChangedKeys, *, may_forget: bool) -> None:
        """Check the *news* since *moment*; an engine that *may_forget* need not know them."""
        if may_forget and not news.complete:
            assert news.keys == frozenset()
            return
        now = self.texts()
        keys = now.keys() | moment.texts.keys()
        differ = {key for key in keys if now.get(key) != moment.texts.get(key)}
        assert news.complete
        assert differ <= news.keys <= moment.touched

    def _touch(self, key: str) -> None:
        for moment in self.moments:
            moment.touched.add(key)


def texts_of(records: dict[str, Any]) -> dict[str, str]:
    """Return the JSON text of each of *records*."""
    return {key: dump_compact(value) for key, value in records.items()}


def require_same(found: Versioned | None, wanted: Versioned | None) -> None:
    """Check that both are the same record, or none."""
    assert (found is None) == (wanted is None)
    if found is not None and wanted is not None:
        assert (found.key, found.revision) == (wanted.key, wanted.revision)
        assert dump_compact(found.value) == dump_compact(wanted.value)
