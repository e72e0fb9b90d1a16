"""
What a search sees: one snapshot of the database, in few round trips.

Each call of a search is one script of statements. What can be asked ahead is: the lists of the
words come with the evidence, the beginnings of texts with the nearest, the records of the best with
what they have in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import numpy as np

from clawstate.memory.backends.columns import embedder_from, record_of, unpack
from clawstate.memory.backends.documents import mark_of_scope
from clawstate.memory.backends.postgres import statements
from clawstate.memory.backends.postgres.conditions import sql_of
from clawstate.memory.backends.postgres.filter_reads import FilterReads
from clawstate.memory.backends.postgres.nearest import NONE, Among, NearQuery, near_query
from clawstate.memory.backends.postgres.scope_reads import Scope, ScopeReads
from clawstate.memory.backends.postgres.script import Script
from clawstate.memory.backends.postgres.word_reads import WordReads
from clawstate.memory.backends.postgres.word_state import WordState
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.feedback import LONGEST
from clawstate.memory.filters import Filter
from clawstate.memory.postings.scoring import Allowed
from clawstate.memory.reading import (
    Comparison,
    Context,
    Evidence,
    Inquiry,
    Nearest,
    Neighbours,
    Reasons,
    Scores,
    Shortlist,
    Surroundings,
    Vectors,
    WordQuery,
)
from clawstate.memory.records import MemoryRecord
from clawstate.memory.word_search import WordSearch, marks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clawstate.memory.backends.postgres.caches import Caches
    from clawstate.memory.explanation import WordPart
    from clawstate.postgres.connection import Connection


class PostgresReading:
    """A `Reading`; the keys are docnos. *caches* are what this process knows already."""

    def __init__(self, connection: Connection, tenant: str, *, caches: Caches, now_ms: int) -> None:
        self._connection = connection
        self._tenant = tenant
        self._caches = caches
        self._now_ms = now_ms
        self._known_state: WordState | None = caches.state
        self._reads: WordReads | None = None
        self._scopes: ScopeReads
        self._filters: FilterReads
        self._search: tuple[WordQuery, WordSearch] | None = None
        self._rows: dict[int, tuple[Any, ...]] = {}  # opening or beginning, lengths, vector
        self._records: dict[int, MemoryRecord] = {}

    @property
    def version(self) -> tuple[str, int]:
        """Whose memory it is, and the count of changes so far."""
        reads = self._state()
        return reads.head.database_id, reads.state.changes

    @property
    def embedder(self) -> EmbedderIdentity | None:
        """Whose vectors are kept."""
        text = self._state().head.embedder
        return None if text is None else embedder_from(text)

    def evidence(self, inquiry: Inquiry) -> Evidence:
        """Return candidates by words, and counts."""
        chosen = inquiry.chosen
        reads = self._state()
        script = self._script()
        ask_scope = self._scopes.ask(script, chosen.namespace)
        number = self._scopes.number(chosen.namespace)
        marked = [] if number is None else [mark_of_scope(number)]
        if inquiry.words is not None:
            reads.ask_words(script, inquiry.words, marked)
        ask_counts = None
        if inquiry.subwords:
            ask_counts = script.ask(
                statements.SUBWORDS, namespace=chosen.namespace, subwords=list(inquiry.subwords)
            )
        ask_selected = self._filters.ask(script, chosen)
        found = script.send()
        self._scopes.take(chosen.namespace, found[ask_scope])
        scope = self._scopes.get(chosen.namespace)
        if ask_selected is not None:
            self._filters.take(chosen, found[ask_selected])
        if inquiry.words is not None:
            reads.take_words(found)
        if scope is None:
            return Evidence()
        words: Scores = {}
        coverage, quoted = 0.0, None
        if inquiry.words is not None:
            words, coverage, quoted = self._words(inquiry, inquiry.words, scope)
        occurrences: dict[int, int] = {}
        if ask_counts is not None:
            occurrences = self._scopes.occurrences(found[ask_counts], scope, inquiry.subwords)
        return Evidence(words, coverage, quoted, scope.has_threads, occurrences, scope.subwords)

    def nearest(
        self,
        vector: NDArray[np.float32],
        chosen: Filter,
        limit: int,
        also: AbstractSet[int] = frozenset(),
    ) -> Nearest:
        """Return the best records with their cosines."""
        scope = self._scope(chosen)
        embedder = self.embedder
        if scope is None or embedder is None:
            return Nearest(np.empty(0, np.int64), np.empty(0, np.float32))
        script = self._script()
        near = self._near(vector, chosen, scope, limit)
        near.prepare(script)
        asked = script.ask(
            statements.NEAREST.format(near=near.sql),
            also=sorted(also),
            limit_of_text=LONGEST,
            **near.values,
        )
        rows = script.send()[asked]
        self._keep(rows)
        return self._cosines(vector, [row[0] for row in rows if row[4]], limit, also)

    def context(self, around: Surroundings) -> Context:
        """Return the nearest, neighbours, scores of single terms, openings and vectors."""
        scope = self._scope(around.chosen)
        near_sql, values = NONE, {}
        script = self._script()
        if around.vector is not None and scope is not None and self.embedder is not None:
            query = self._near(around.vector, around.chosen, scope, around.limit)
            query.prepare(script)
            near_sql, values = query.sql, query.values
        condition = None if scope is None else self._filters.condition(around.chosen, scope.number)
        text, bound = condition or ("true", {})
        asked = script.ask(
            statements.CONTEXT.format(near=near_sql, passes=text),
            keys=sorted(around.keys),
            limit_of_text=LONGEST,
            **{**values, **bound},
        )
        rows = script.send()[asked]
        self._keep(rows)
        near = None
        candidates = set(around.keys)
        if around.vector is not None:
            near = self._cosines(
                around.vector, [row[0] for row in rows if row[4]], around.limit, frozenset()
            )
            candidates.update(near.keys.tolist())
        if not candidates:
            return Context(near)
        neighbours = {
            row[0]: Neighbours(tuple(row[6]), tuple(row[7]))
            for row in rows
            if row[0] in candidates and row[6] is not None
        }
        scored, every = set(around.keys), set(candidates)
        for key, each in neighbours.items():
            beside = {*each.before, *each.after}
            every |= beside
            # Neighbours may lend words that the candidates lack, so they are scored as well.
            if key in around.keys:
                scored |= beside
        asked_terms: tuple[str, ...] = ()
        terms: list[Scores] = []
        phrases: list[Scores] = []
        if scored:
            search = self._word_search(around.words)
            asked_terms, (terms, phrases) = search.terms, search.lists(scored)
        shown = [row for row in rows if row[0] in every]
        return Context(
            near,
            neighbours,
            asked_terms,
            terms,
            phrases,
            openings={row[0]: row[1][:400] for row in shown if row[8]},
            refused={row[0] for row in shown if not row[5]} - candidates,
            vectors=None if near is None else self._vectors([row[0] for row in shown]),
        )

    def compare(self, best: Shortlist) -> Comparison:
        """Return what the best have in common, their vectors, and how their texts begin."""
        leaders = best.leaders
        search = self._word_search(best.words)
        if leaders and search.is_name():
            leaders = {}
        keys = [*leaders, *(key for key in best.keys if key not in leaders)]
        if missing := [key for key in keys if key not in self._rows]:
            self._fetch_rows(missing)
        common: Scores = {}
        if leaders:
            texts = {key: self._text(key) for key in leaders if key in self._rows}
            script = self._script()
            shared = search.shared_terms(best, texts)
            self._state().ask_common(script, shared)
            asked = script.ask(statements.RECORDS, keys=keys)
            found = script.send()
            self._state().take_words(found)
            self._take_records(found[asked])
            common = search.common_terms(best, texts, shared=shared)
        is_about_vectors = best.vectors and bool(leaders)
        return Comparison(
            common,
            self._vectors(keys) if is_about_vectors else None,
            {key: self._rows[key][1][: best.beginnings] for key in keys if key in self._rows}
            if best.beginnings
            else {},
        )

    def fetch(self, keys: Sequence[int]) -> list[MemoryRecord]:
        """Return the records of *keys* in their order."""
        if missing := [key for key in keys if key not in self._records]:
            script = self._script()
            asked = script.ask(statements.RECORDS, keys=missing)
            self._take_records(script.send()[asked])
        return [self._records[key] for key in keys]

    def reasons(self, words: WordQuery | None, keys: AbstractSet[int]) -> Reasons:
        """Return the records of *keys*, what each part of *words* counts in them, and vectors."""
        ordered = sorted(keys)
        parts: list[WordPart] = []
        script = self._script()
        asked = script.ask(statements.RECORDS, keys=ordered)
        rows = script.ask(statements.ROWS, keys=ordered, limit_of_text=LONGEST)
        found = script.send()
        self._take_records(found[asked])
        self._keep(found[rows])
        if words is not None:
            parts = self._word_search(words).parts(ordered)
        return Reasons({key: self._records[key] for key in ordered}, parts, self._vectors(ordered))

    def keys(self, chosen: Filter) -> list[int]:
        """Return the docnos that *chosen* lets through, of expired records too."""
        scope = self._scope(chosen)
        if scope is None:
            return []
        text, values = sql_of(chosen, scope=scope.number, now_ms=0)
        script = self._script()
        asked = script.ask(statements.KEYS.format(text), **values)
        return [row[0] for row in script.send()[asked]]

    def _script(self) -> Script:
        return Script(self._connection, self._tenant)

    def _state(self) -> WordReads:
        """Return what is known of the words in this snapshot."""
        if self._reads is None:
            self._reads = WordReads(
                self._connection, self._tenant, self._known_state, now_ms=self._now_ms
            )
            self._caches.keep(self._reads.state)
            self._scopes = ScopeReads(self._reads, self._caches)
            self._filters = FilterReads(self._reads, self._caches.selections, now_ms=self._now_ms)
        return self._reads

    def _words(
        self, inquiry: Inquiry, query: WordQuery, scope: Scope
    ) -> tuple[Scores, float, NDArray[np.int64] | None]:
        search = self._word_search(query)
        quoted = search.required()
        if quoted is not None and len(quoted):
            found, coverage = search.best(
                self._allowed(inquiry.chosen, scope, quoted), inquiry.limit
            )
            if found:
                return found, coverage, quoted
        # What stood in quotes is nowhere, so they were no more than signs in a sentence.
        return *search.best(self._allowed(inquiry.chosen, scope, None), inquiry.limit), None

    def _word_search(self, query: WordQuery) -> WordSearch:
        if self._search is None or self._search[0] != query:
            reads = self._state()
            self._search = query, WordSearch(reads, reads.state.snapshot, query)
        return self._search[1]

    def _allowed(self, chosen: Filter, scope: Scope, docs: NDArray[np.int64] | None) -> Allowed:
        """Return which of *docs*, or of all, a search may find."""
        if (selected := self._filters.docnos(chosen)) is not None:
            docs = selected if docs is None else np.intersect1d(docs, selected)
        sets = []
        if scope.is_shared and scope.number is not None:
            sets.append([mark_of_scope(scope.number)])
        reads = self._state()
        holders, terms = marks(reads, reads.state.snapshot, sets) if sets else ([], [])
        return Allowed(reads.state.snapshot, holders, terms=terms, docs=docs)

    def _near(
        self, vector: NDArray[np.float32], chosen: Filter, scope: Scope, limit: int
    ) -> NearQuery:
        if self._filters.docnos(chosen) is None and self._filters.is_needed(chosen):
            script = self._script()
            asked = self._filters.ask(script, chosen)
            assert asked is not None  # noqa: S101 - it is not known yet
            self._filters.take(chosen, script.send()[asked])
        selected = self._filters.docnos(chosen)
        condition = self._filters.condition(chosen, scope.number)
        return near_query(
            self._connection,
            self._tenant,
            vector,
            Among(
                scope.number if scope.is_shared else None,
                scope.records if selected is None else len(selected),
                selected,
                condition,
            ),
            limit,
            caches=self._caches,
            head=self._state().head,
            changes=self._state().state.changes,
        )

    def _cosines(
        self,
        vector: NDArray[np.float32],
        near: Sequence[int],
        limit: int,
        also: AbstractSet[int],
    ) -> Nearest:
        """Return the best *limit* of *near* by exact cosines, and behind them *also*."""
        found = self._vectors([*near, *(key for key in also if key not in set(near))])
        cosines = found.matrix @ vector if len(found.keys) else np.empty(0, np.float32)
        is_near = np.isin(found.keys, np.array(near, np.int64))
        places = np.flatnonzero(is_near)
        order = places[np.lexsort((found.keys[places], -cosines[places]))][:limit]
        others = np.flatnonzero(np.isin(found.keys, np.array(sorted(also), np.int64)))
        rest = others[~np.isin(others, order)]
        chosen = np.concatenate([order, rest])
        return Nearest(found.keys[chosen], cosines[chosen].astype(np.float32))

    def _keep(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._rows.update((row[0], row) for row in rows)

    def _fetch_rows(self, keys: Sequence[int]) -> None:
        script = self._script()
        asked = script.ask(statements.ROWS, keys=list(keys), limit_of_text=LONGEST)
        self._keep(script.send()[asked])

    def _text(self, key: int) -> str:
        """Return a text as feedback looks at it: how it begins, and as long as it is."""
        _, beginning, length, *_ = self._rows[key]
        return str(beginning).ljust(length)

    def _vectors(self, keys: Sequence[int]) -> Vectors:
        kept = [
            self._rows[key]
            for key in sorted(set(keys))
            if key in self._rows and self._rows[key][3] is not None
        ]
        return Vectors(
            np.fromiter((row[0] for row in kept), np.int64, len(kept)),
            unpack([row[3] for row in kept]),
            np.fromiter((row[9] for row in kept), np.int64, len(kept)),
        )

    def _take_records(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._records.update((row[0], record_of(row)) for row in rows)

    def _scope(self, chosen: Filter) -> Scope | None:
        """Return the namespace of *chosen*; None where nothing was ever kept."""
        self._state()
        if not self._scopes.knows(chosen.namespace):
            script = self._script()
            asked = self._scopes.ask(script, chosen.namespace)
            self._scopes.take(chosen.namespace, script.send()[asked])
        return self._scopes.get(chosen.namespace)
