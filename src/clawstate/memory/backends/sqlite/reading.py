"""What a search sees: one read transaction over `memory.db` and its derived vector indexes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import apsw

from clawstate.interrupts import load_modules
from clawstate.memory.backends.columns import embedder_from, record_of, unpack
from clawstate.memory.backends.documents import mark_of_scope, mark_of_tag
from clawstate.memory.backends.sqlite import postings, word_index
from clawstate.memory.backends.sqlite.conditions import Bound, sql_of
from clawstate.memory.backends.sqlite.reading_statements import (
    AROUND,
    EVERY_SCOPE,
    NEIGHBOURS,
    OPENING,
    SCOPE,
    SHORTLIST,
    STATE,
    VECTOR,
)
from clawstate.memory.backends.sqlite.rows import SELECT_IN_ORDER
from clawstate.memory.backends.sqlite.selections import Selections, Selector
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.filters import And, Condition, Filter, Node
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
from clawstate.sqlite import DamagedValueError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clawstate.memory.explanation import WordPart
    from clawstate.memory.postings.scoring import Allowed
    from clawstate.memory.vector_index.nearest import NearestSearch
    from clawstate.memory.word_search import WordSearch


FindNearest: TypeAlias = Callable[[str, str], "NearestSearch"]
"""Gives the vector leg over the database of an id, for vectors of an embedder."""

_WIDE = 4_000
"""How many candidates of a leg are asked whether a filter lets them through, at first."""


class _Scope(NamedTuple):
    """A namespace, or all of them: then `number` is None."""

    number: int | None
    subwords: int
    is_shared: bool  # others than this one have records: only then it must be asked for
    total: int  # the records of all namespaces
    has_threads: bool


class SqliteReading:
    """A `Reading`; the keys are docnos."""

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        nearest: FindNearest,
        selections: Selections,
        words: word_index.WordCaches,
        generation: int,
        now_ms: int,
    ) -> None:
        self._connection = connection
        self._nearest = nearest
        self._word_caches = words
        self._search: tuple[WordQuery, WordSearch] | None = None
        self._now_ms = now_ms
        row = connection.execute(STATE, (now_ms,)).get
        changes, self._database_id, embedder, rewritten, self._newest, self._has_expired = row
        self._embedder: str | None = embedder
        self._written = generation, int(rewritten or 0)
        self._version = generation, int(changes or 0)
        self._identity = generation, self._database_id
        self._selector = Selector(
            connection, selections, written=self._written, newest=self._newest, now_ms=now_ms
        )
        self._scopes: dict[str | None, _Scope | None] = {}

    @property
    def version(self) -> tuple[int, int]:
        """The count of the files that had this name, and of changes so far."""
        return self._version

    @property
    def embedder(self) -> EmbedderIdentity | None:
        """Whose vectors are kept."""
        return None if self._embedder is None else embedder_from(self._embedder)

    def evidence(self, inquiry: Inquiry) -> Evidence:
        """Return candidates by words, and counts."""
        scope = self._scope(inquiry.chosen)
        if scope is None:
            return Evidence()
        words: Scores = {}
        coverage, quoted = 0.0, None
        if inquiry.words is not None:
            words, coverage, quoted = self._words(inquiry, inquiry.words, scope)
        occurrences = {}
        if inquiry.subwords:
            # The subwords of another embedder are others, without a fold in between.
            identity = self._identity, self._embedder
            occurrences = self._word_caches.subwords.occurrences(
                self._connection, identity, scope.number, inquiry.subwords
            )
        has_threads = bool(scope.has_threads)
        return Evidence(words, coverage, quoted, has_threads, occurrences, scope.subwords)

    def nearest(
        self,
        vector: NDArray[np.float32],
        chosen: Filter,
        limit: int,
        also: AbstractSet[int] = frozenset(),
    ) -> Nearest:
        """Return the best records with their cosines."""
        load_modules("clawstate.memory.backends.sqlite.vector_blocks")
        import numpy as np  # noqa: PLC0415 - costs 170 ms, and word searches do without

        from clawstate.memory.backends.sqlite.vector_blocks import IndexedVectors  # noqa: PLC0415

        scope = self._scope(chosen)
        if scope is None or self._embedder is None:
            return Nearest(np.empty(0, np.int64), np.empty(0, np.float32))
        search = self._nearest(self._database_id, self._embedder)
        source = IndexedVectors(self._connection)
        number = scope.number if scope.is_shared else None
        condition, allowed = self._condition(chosen, scope), None
        if condition is not None:
            allowed = self._known(chosen, scope, condition)
            if allowed is None:
                wide = search.likely(source, vector, scope=number, count=_WIDE)
                allowed = self._selector.let_through(condition, wide.tolist())
                if len(allowed) < limit and len(wide) >= _WIDE:
                    allowed = self._selector.every(chosen, condition)
        others = np.array(sorted(also), np.int64)
        found = search.best(
            source, vector, scope=number, allowed=allowed, limit=limit, others=others
        )
        return Nearest(*found)

    def context(self, around: Surroundings) -> Context:
        """Return the nearest, neighbours, scores of single terms, openings and vectors."""
        near, candidates = None, set(around.keys)
        if around.vector is not None:
            near = self.nearest(around.vector, around.chosen, around.limit)
            candidates.update(near.keys.tolist())
        if not candidates:
            return Context(near)
        neighbours = {
            docno: Neighbours(_docnos_of(before), _docnos_of(after))
            for docno, before, after in self._connection.execute(NEIGHBOURS, (_json(candidates),))
        }
        scored, every = set(around.keys), set(candidates)
        for key, each in neighbours.items():
            beside = {*each.before, *each.after}
            every |= beside
            # Neighbours may lend words that the candidates lack, so they are scored as well.
            if key in around.keys:
                scored |= beside
        asked: tuple[str, ...] = ()
        terms: list[Scores] = []
        phrases: list[Scores] = []
        if scored:
            with damage_of_words():
                search = self._word_search(around.words)
                asked, (terms, phrases) = search.terms, search.lists(scored)
        rows = self._around(around, every)
        return Context(
            near,
            neighbours,
            asked,
            terms,
            phrases,
            openings={row[0]: row[1] for row in rows if row[1] is not None},
            refused={row[0] for row in rows if row[2]} - candidates,
            vectors=None if near is None else _vectors(rows),
        )

    def compare(self, best: Shortlist) -> Comparison:
        """Return what the best have in common, their vectors, and how their texts begin."""
        leaders = best.leaders
        with damage_of_words():
            if leaders and self._word_search(best.words).is_name():
                leaders = {}
        is_about_vectors = best.vectors and bool(leaders)
        # The leaders stand first: of them the whole texts are looked at.
        others = best.keys if is_about_vectors or best.beginnings else ()
        keys = [*leaders, *(key for key in others if key not in leaders)]
        sql = SHORTLIST.format(VECTOR if is_about_vectors else "0, NULL")
        values = (len(leaders), best.beginnings, _json(keys))
        rows = list(self._connection.execute(sql, values))
        common: Scores = {}
        if leaders:
            texts = {row[0]: row[1] for row in rows[: len(leaders)]}
            with damage_of_words():
                common = self._word_search(best.words).common_terms(best, texts)
        return Comparison(
            common,
            _vectors(rows) if is_about_vectors else None,
            {row[0]: row[1][: best.beginnings] for row in rows} if best.beginnings else {},
        )

    def fetch(self, keys: Sequence[int]) -> list[MemoryRecord]:
        """Return the records of *keys* in their order."""
        return [record_of(row) for row in self._connection.execute(SELECT_IN_ORDER, (_json(keys),))]

    def reasons(self, words: WordQuery | None, keys: AbstractSet[int]) -> Reasons:
        """Return the records of *keys*, what each part of *words* counts in them, and vectors."""
        ordered = sorted(keys)
        parts: list[WordPart] = []
        if words is not None:
            with damage_of_words():
                parts = self._word_search(words).parts(ordered)
        rows = self._connection.execute(AROUND.format(f"NULL, 0, {VECTOR}"), (_json(ordered),))
        records = dict(zip(ordered, self.fetch(ordered), strict=True))
        return Reasons(records, parts, _vectors(rows))

    def keys(self, chosen: Filter) -> list[int]:
        """Return the docnos that *chosen* lets through, of expired records too."""
        if (scope := self._scope(chosen)) is None:
            return []
        text, values = sql_of(chosen, scope=scope.number, now_ms=0)
        sql = f"SELECT m.docno FROM memories m WHERE {text} ORDER BY m.docno"
        return [row[0] for row in self._connection.execute(sql, values)]

    def _around(self, around: Surroundings, every: set[int]) -> list[tuple[Any, ...]]:
        """Return docno, opening, whether it is refused, length and vector of *every* one."""
        scope = self._scope(around.chosen)
        condition = None if scope is None else self._condition(around.chosen, scope)
        text, values = condition or ("1", [])
        vector = "0, NULL" if around.vector is None else VECTOR
        sql = AROUND.format(f"{OPENING.format(text)}, {vector}")
        return list(self._connection.execute(sql, (*values, _json(sorted(every)))))

    def _words(
        self, inquiry: Inquiry, query: WordQuery, scope: _Scope
    ) -> tuple[Scores, float, NDArray[np.int64] | None]:
        with damage_of_words():
            search = self._word_search(query)
            quoted = search.required()
            if quoted is not None and len(quoted):
                found, coverage = self._best_words(search, inquiry, scope, quoted)
                if found:
                    return found, coverage, quoted
            # What stood in quotes is nowhere, so they were no more than signs in a sentence.
            return *self._best_words(search, inquiry, scope), None

    def _best_words(
        self,
        search: WordSearch,
        inquiry: Inquiry,
        scope: _Scope,
        docs: NDArray[np.int64] | None = None,
    ) -> tuple[Scores, float]:
        """Return the best that the filter lets through; of *docs*, if any are given."""
        chosen = inquiry.chosen
        allowed = self._allowed_docs(chosen, scope, docs)
        if allowed is None and (condition := self._condition(chosen, scope)) is not None:
            wide, _ = search.best(self._marked_docs(chosen, scope, docs), _WIDE)
            passed = self._selector.let_through(condition, sorted(wide))
            if len(passed) < inquiry.limit and len(wide) == _WIDE:
                passed = _both(docs, self._selector.every(chosen, condition))
            allowed = self._marked_docs(chosen, scope, passed)
        return ({}, 0.0) if allowed is None else search.best(allowed, inquiry.limit)

    def _word_search(self, query: WordQuery) -> WordSearch:
        if self._search is None or self._search[0] != query:
            store = postings.SqlitePostings(self._connection)
            self._search = query, self._word_caches.search(store, self._identity, query)
        return self._search[1]

    def _allowed_docs(
        self, chosen: Filter, scope: _Scope, docs: NDArray[np.int64] | None
    ) -> Allowed | None:
        """Return which of *docs*, or of all, a search may find; None while that is not known."""
        condition = self._condition(chosen, scope)
        if condition is not None and (self._has_expired or _tags_alone(chosen.tree) is None):
            selected = self._known(chosen, scope, condition)
            if selected is None:
                return None
            docs = _both(docs, selected)
        return self._marked_docs(chosen, scope, docs)

    def _marked_docs(
        self, chosen: Filter, scope: _Scope, docs: NDArray[np.int64] | None
    ) -> Allowed:
        """Return which of *docs*, or of all, have the marks of the namespace and of all tags."""
        marks = []
        if scope.is_shared and scope.number is not None:
            marks.append([mark_of_scope(scope.number)])
        marks += [[mark_of_tag(each)] for each in _tags_alone(chosen.tree) or ()]
        store = postings.SqlitePostings(self._connection)
        return self._word_caches.allowed_docs(store, self._identity, marks=marks, docs=docs)

    def _condition(self, chosen: Filter, scope: _Scope) -> Bound | None:
        # Nearly all searches: without a condition the word index need not be joined with the
        # records.
        if chosen.is_plain and not self._has_expired:
            return None
        # As soon as one record has expired all are asked for their end; `optimize` removes such
        # records.
        return sql_of(chosen, scope=scope.number, now_ms=self._now_ms)

    def _known(self, chosen: Filter, scope: _Scope, condition: Bound) -> NDArray[np.int64] | None:
        """Return the docnos that *chosen* lets through, ascending; None while not all are known."""
        return self._selector.known(chosen, condition, lambda: self._find_tagged(chosen, scope))

    def _find_tagged(self, chosen: Filter, scope: _Scope) -> NDArray[np.int64] | None:
        """Return the docnos with the tags of *chosen*; None where it asks for more than tags."""
        if self._has_expired or not _tags_alone(chosen.tree):
            return None
        try:
            # The marks of the word index know it in a hundredth of the time.
            return self._marked_docs(chosen, scope, None).numbers()
        except (ValueError, IndexError, KeyError):
            return None  # a damaged word index; the records know it too

    def _scope(self, chosen: Filter) -> _Scope | None:
        """Return the namespace of *chosen*; None where nothing was ever kept."""
        namespace = chosen.namespace
        # Remembered for this reading only: another transaction may see other counts.
        if namespace not in self._scopes:
            sql = EVERY_SCOPE if namespace is None else SCOPE
            row = self._connection.execute(sql, (namespace,)).get
            self._scopes[namespace] = None if row is None else _Scope(*row)
        return self._scopes[namespace]


@contextlib.contextmanager
def damage_of_words() -> Iterator[None]:
    """Tell of postings that cannot be read as damage to the file."""
    try:
        yield
    except (ValueError, IndexError, KeyError) as error:
        raise DamagedValueError(f"a word index that cannot be read: {error}") from error


def _tags_alone(tree: Node | None) -> list[str] | None:
    """Return the tags that *tree* asks for, all of them; None where it asks for more."""
    parts = tree.parts if isinstance(tree, And) else () if tree is None else (tree,)
    tags: list[str] = []
    for each in parts:
        if not isinstance(each, Condition) or each.field != "tags" or each.operator == "exists":
            return None
        tags.append(str(each.value))
    return tags


def _both(docs: NDArray[np.int64] | None, selected: NDArray[np.int64]) -> NDArray[np.int64]:
    load_modules("numpy")
    import numpy as np  # noqa: PLC0415 - word searches without filters do without

    return selected if docs is None else np.intersect1d(docs, selected)


def _vectors(rows: Iterable[tuple[Any, ...]]) -> Vectors:
    load_modules("numpy")
    import numpy as np  # noqa: PLC0415 - word searches do without

    kept = [row for row in rows if row[4] is not None]
    return Vectors(
        np.fromiter((row[0] for row in kept), np.int64, len(kept)),
        unpack([row[4] for row in kept]),
        np.fromiter((row[3] for row in kept), np.int64, len(kept)),
    )


def _docnos_of(docnos: str | None) -> tuple[int, ...]:
    return tuple(map(int, docnos.split(","))) if docnos else ()


def _json(keys: Iterable[int]) -> str:
    return json.dumps(list(keys))
