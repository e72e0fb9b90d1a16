"""The words of one query in one state of packed postings: who holds them, and what that counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clawstate.interrupts import load_modules
from clawstate.memory.analysis import FIELD_NAMES, in_field
from clawstate.memory.feedback import MOST_IN_COMMON, terms_in_common, weight_in_threads
from clawstate.memory.postings.holders import Holders, find_holders, idf, phrase, union
from clawstate.memory.postings.scoring import Allowed, Docs, best, exact_scores
from clawstate.memory.postings.snapshot import Snapshot
from clawstate.memory.postings.store import BLOCK, PostingReads
from clawstate.memory.postings.tail import Ints
from clawstate.memory.reading import Scores, Shortlist, WordQuery
from clawstate.memory.stemming import LANGUAGE_MARKS, query_terms

if TYPE_CHECKING:
    from clawstate.memory.explanation import WordPart

PHRASE_WEIGHT = 0.5
"""What two words of the query side by side count beside one of them alone."""

FIELD_WEIGHTS = (1.0, 0.5, 1.0, 2.0)
"""What a term counts in the text, the headings, the title and the names of a record."""

MOST_TERMS = 64
"""How many terms of a query count: the rarest, wherever they stand."""


class _Part(NamedTuple):
    """A part of the query, by its terms, and who holds it in which field."""

    kind: Literal["word", "phrase", "quote", "name"]
    terms: tuple[str, ...]
    lists: list[Holders]


class WordSearch:
    """*query* in the state *snapshot* of *store*; raises `ValueError` for damage."""

    def __init__(self, store: PostingReads, snapshot: Snapshot, query: WordQuery) -> None:
        self._store = store
        self._snapshot = snapshot
        named, placed = named_tokens(query)
        inflected = self._stems_of(query.spellings)
        # Of words and of their stems at once: a look-up costs more than its answers.
        groups = [*named.values(), *(each for own in inflected.values() for each in own)]
        numbers = store.numbers(each for group in groups for each in group)
        fields = {
            numbers[name]: field
            for group in groups
            for field, name in enumerate(group)
            if name in numbers
        }
        wanted = {numbers[each] for each in placed if each in numbers}
        found = find_holders(snapshot, store, fields, wanted)
        self._fields = {
            token: [found[numbers[name]] for name in group if name in numbers]
            for token, group in named.items()
        }
        for own in self._fields.values():
            for each in own:
                each.weight *= FIELD_WEIGHTS[each.section]
        self._add_inflected(inflected, numbers, found)
        for term, count in query.repeated:
            for each in self._fields.get(term, ()):
                # The root: what is said twice is meant more, but seldom twice as much.
                each.weight *= math.sqrt(count)
        self._texts = {each: found[numbers[each]] for each in placed if each in numbers}
        self.terms = self._chosen(query)
        self._phrases = [
            _Part("phrase", each, [holders])
            for each in query.phrases
            if (holders := self._phrase(each)) is not None
        ]
        if query.name:
            self._phrases.append(_Part("name", (query.name,), self._fields[query.name]))
        self._quoted = [self._phrase(each, weight=1.0) for each in query.quoted]
        self._phrases += [
            _Part("quote", terms, [holders])
            for terms, holders in zip(query.quoted, self._quoted, strict=True)
            if holders is not None
        ]
        self._is_quoted = query.is_quoted

    def best(self, allowed: Allowed, limit: int) -> tuple[Scores, float]:
        """
        Return the best *limit* documents that *allowed* lets through, and their scores.

        And how much of the query the best of them holds, from 0 to 1: rare terms are more.
        """
        lists = self._lists()
        numbers, scores = best(self._snapshot, lists, allowed, limit)
        # Whoever may come near the top is told exactly: float32 decides between no two of them.
        if len(numbers) > _EXACT:
            exact = np.argpartition(-scores, _EXACT)[:_EXACT]
        else:
            exact = np.arange(len(numbers))
        order = exact[np.argsort(numbers[exact])]
        docs = Docs(numbers[order])
        terms = [self._exact_scores(self._fields[each], docs) for each in self.terms]
        phrases = [self._exact_scores(each.lists, docs) for each in self._phrases]
        scores[order] = sum((*terms, *phrases), np.zeros(len(order)))
        found = dict(zip(numbers.tolist(), scores.tolist(), strict=True))
        top = np.argsort(-scores[order])[:_LOOKED_AT]
        return found, self._coverage([each[top] > 0 for each in terms])

    def lists(self, docs: Iterable[int]) -> tuple[list[Scores], list[Scores]]:
        """Return the scores of *docs* for each term, and for each phrase."""
        chosen = Docs(np.array(sorted(docs), np.int64))
        terms = [self._scores(self._fields[each], chosen) for each in self.terms]
        return terms, [self._scores(each.lists, chosen) for each in self._phrases]

    def parts(self, docs: Iterable[int]) -> list[WordPart]:
        """Return the scores of *docs* for each term and phrase, each field apart."""
        load_modules("clawstate.memory.explanation")
        from clawstate.memory.explanation import WordPart  # noqa: PLC0415 - seldom asked for

        chosen = Docs(np.array(sorted(docs), np.int64))
        terms = (_Part("word", (each,), self._fields[each]) for each in self.terms)
        return [
            WordPart(
                part.kind,
                part.terms,
                {FIELD_NAMES[each.section]: self._scores([each], chosen) for each in part.lists},
            )
            for part in (*terms, *self._phrases)
        ]

    def is_name(self) -> bool:
        """Tell whether the query as a whole is the name of a document."""
        names = (part.lists for part in self._phrases if part.kind == "name")
        return any(each.frequency for lists in names for each in lists)

    def shared_terms(self, best: Shortlist, texts: Mapping[int, str]) -> dict[str, float]:
        """Return the terms that several of *texts*, those of the leaders of *best*, hold."""
        return terms_in_common(best.leaders, texts, self.terms, self._snapshot.means[0])

    def common_terms(
        self,
        best: Shortlist,
        texts: Mapping[int, str],
        *,
        shared: Mapping[str, float] | None = None,
    ) -> Scores:
        """
        Return how much each of *best* holds of the terms that *texts*, its leaders', share.

        Those are *shared* where they are known already.
        """
        weights = self.shared_terms(best, texts) if shared is None else shared
        numbers = self._store.numbers(weights)
        # Which of them tell the most is asked before who holds them: what many hold is long.
        telling = sorted(numbers, key=self._rarities(weights, numbers).__getitem__, reverse=True)
        chosen_terms = {numbers[term]: weights[term] for term in telling[:MOST_IN_COMMON]}
        found = find_holders(self._snapshot, self._store, dict.fromkeys(chosen_terms, 0))
        lists = [
            (weight * found[each].weight, found[each]) for each, weight in chosen_terms.items()
        ]
        lists = sorted(lists, key=lambda each: -each[0])
        if not lists:
            return {}
        chosen = Docs(np.array(sorted(best.keys), np.int64))
        scale = weight_in_threads(best.leaders, texts) if best.threads else 1.0
        scale /= lists[0][0]
        total = sum(
            (weight * scale * self._exact_scores([each], chosen) for weight, each in lists),
            np.zeros(len(chosen.numbers)),
        )
        there = total.nonzero()[0]
        return dict(zip(chosen.numbers[there].tolist(), total[there].tolist(), strict=True))

    def _stems_of(
        self, spellings: Iterable[tuple[str, tuple[str, ...]]]
    ) -> dict[str, list[list[str]]]:
        """Return by term the names, in each field, of the stems of the words it stands for."""
        languages = self._snapshot.present(self._store, LANGUAGE_MARKS)
        if not languages:
            return {}
        # A term of two words of the query has the stems of both.
        return {
            term: [_in_fields(each) for each in query_terms(words, languages)]
            for term, words in spellings
        }

    def _add_inflected(
        self,
        inflected: Mapping[str, Sequence[Sequence[str]]],
        numbers: Mapping[str, int],
        found: Mapping[int, Holders],
    ) -> None:
        """Let terms count in texts that inflect their words as well."""
        for term, own in inflected.items():
            lists = {each.section: each for each in self._fields.get(term, ())}
            for field, weight in enumerate(FIELD_WEIGHTS):
                of_stems = {
                    numbers[group[field]]: found[numbers[group[field]]]
                    for group in own
                    if group[field] in numbers
                }
                if not of_stems:
                    continue
                if field in lists:
                    of_stems[numbers[in_field(term, field)]] = lists[field]
                # One list of all, so that a text with several forms of a word counts it once.
                lists[field] = union(self._snapshot, of_stems)
                lists[field].weight *= weight
            self._fields[term] = [lists[field] for field in sorted(lists)]

    def _rarities(
        self, weights: Mapping[str, float], numbers: Mapping[str, int]
    ) -> dict[str, float]:
        """Return *weights*, each times how rare its term is in the texts."""
        sizes = self._snapshot.terms.sizes(self._store, list(numbers.values()))
        tail, documents = self._snapshot.tail.terms, self._snapshot.totals.documents
        return {
            term: weights[term]
            * idf(documents, min(sizes.get(each, 0) + int(np.sum(tail == each)), documents))
            for term, each in numbers.items()
        }

    def _scores(self, lists: Sequence[Holders], docs: Docs) -> Scores:
        total = self._exact_scores(lists, docs)
        there = total.nonzero()[0]
        return dict(zip(docs.numbers[there].tolist(), total[there].tolist(), strict=True))

    def _exact_scores(self, lists: Sequence[Holders], docs: Docs) -> NDArray[np.float64]:
        if len(lists) == 1:
            return exact_scores(self._snapshot, lists[0], docs)
        zeros = np.zeros(len(docs.numbers))
        return sum((exact_scores(self._snapshot, each, docs) for each in lists), zeros)

    def _coverage(self, held: Sequence[NDArray[np.bool_]]) -> float:
        if not held or not len(held[0]):
            return 0.0
        weights = [self._rarity(each) for each in self.terms]
        covered = sum(weight * each for weight, each in zip(weights, held, strict=True))
        return float(np.max(covered)) / sum(weights)

    def required(self) -> Ints | None:
        """Return, ascending, who holds all that stood in quotes; None if nothing needs to."""
        found: Ints | None = None
        for each in self._quoted if self._is_quoted else ():
            docs = np.empty(0, np.int64) if each is None else self._docs(each)
            found = docs if found is None else np.intersect1d(found, docs)
        return found

    def _chosen(self, query: WordQuery) -> tuple[str, ...]:
        parts = dict(query.parts)
        terms: list[str] = []
        for each in query.terms:
            # A date that is nowhere written like this may still be meant by its year.
            if each in parts and not self._frequency(each):
                terms += parts[each]
            else:
                terms.append(each)
        terms = list(dict.fromkeys(terms))
        if len(terms) > MOST_TERMS:
            rare = sorted(
                terms, key=lambda each: (not self._frequency(each), self._frequency(each))
            )
            kept = set(rare[:MOST_TERMS])
            terms = [each for each in terms if each in kept]
        return tuple(terms)

    def _frequency(self, token: str) -> int:
        return max((each.frequency for each in self._fields[token]), default=0)

    def _rarity(self, token: str) -> float:
        return math.log1p(self._snapshot.totals.documents / (self._frequency(token) + 0.5))

    def _phrase(self, tokens: Sequence[str], *, weight: float = PHRASE_WEIGHT) -> Holders | None:
        if any(each not in self._texts for each in tokens):
            return None
        return phrase(self._snapshot, [self._texts[each] for each in tokens], weight=weight)

    def _lists(self) -> list[Holders]:
        return [
            *(each for term in self.terms for each in self._fields[term]),
            *(each for part in self._phrases for each in part.lists),
        ]

    def _docs(self, holders: Holders) -> Ints:
        found = [self._snapshot.tail.docs[holders.rows[self._snapshot.alive[holders.rows]]]]
        for block, (ids, counts) in holders.parts.items():
            low = (np.flatnonzero(counts) if ids is None else ids).astype(np.int64)
            gone = self._snapshot.gone(block)
            if gone is not None:
                low = low[~np.isin(low, gone)]
            found.append(low | block << BLOCK)
        return np.sort(np.concatenate(found))


def named_tokens(query: WordQuery) -> tuple[dict[str, list[str]], set[str]]:
    """
    Return all that *query* may ask for, each with its names in the fields of records.

    And of which the places are compared.
    """
    parts = [part for _, each in query.parts for part in each]
    placed = {part for each in (*query.phrases, *query.quoted) for part in each}
    tokens = dict.fromkeys((*query.terms, *parts, *placed, *filter(None, (query.name,))))
    return {token: _in_fields(token) for token in tokens}, placed


def _in_fields(token: str) -> list[str]:
    return [in_field(token, field) for field in range(len(FIELD_WEIGHTS))]


_EXACT = 32
_LOOKED_AT = 10  # of the best: which of them holds the most of the query


def marks(
    store: PostingReads, snapshot: Snapshot, sets: Sequence[Sequence[str]]
) -> tuple[list[list[Holders]], list[list[int]]]:
    """Return who has the marks of each of *sets*, and their numbers, for `Allowed`."""
    numbers: Mapping[str, int] = store.numbers(each for group in sets for each in group)
    found = find_holders(snapshot, store, dict.fromkeys(numbers.values(), 0))
    terms = [[numbers[each] for each in group if each in numbers] for group in sets]
    return [[found[each] for each in group] for group in terms], terms
