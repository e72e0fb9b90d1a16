"""`WordReads`: the words of one snapshot, asked for in the scripts of a search."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clawstate.memory.backends.postgres import statements
from clawstate.memory.backends.postgres.postings import ZEROS, block_of, token_key
from clawstate.memory.backends.postgres.script import Script
from clawstate.memory.backends.postgres.word_state import Head, TailRow, WordState, next_state
from clawstate.memory.postings.store import Batch, Block, Fold, Lengths, Totals
from clawstate.memory.word_search import named_tokens

if TYPE_CHECKING:
    from clawstate.memory.reading import WordQuery
    from clawstate.postgres.connection import Connection


class WordReads:
    """
    `PostingReads` of one snapshot, which begins with its making.

    What a search will need is asked ahead (`ask_words`, `take_words`), and found here then; all
    else is asked when it is needed. Of *known*, a state seen before, nothing is read again.
    """

    def __init__(
        self, connection: Connection, tenant: str, known: WordState | None, *, now_ms: int
    ) -> None:
        self._connection = connection
        self._tenant = tenant
        self._asked: tuple[int, int, list[str]] | None = None
        self._tokens: dict[str, int] = {}
        self._fetched: set[str] = set()  # of which all is known that there is
        self._last: list[str] = []
        self._blocks: dict[int, list[Block]] = {}
        self._placed: set[int] = set()
        script = Script(connection, tenant)
        seen = {
            "epoch": -1 if known is None else known.epoch,
            "database": "" if known is None else known.database_id,
            "horizon": 0 if known is None else known.horizon,
            "seen": [] if known is None else known.unsettled,
        }
        script.ask(statements.HEAD, now=now_ms)
        script.ask(statements.TAIL, **seen)
        script.ask(statements.LENGTHS, **seen)
        (head,), tail, lengths = script.send()
        values = list(head)
        values[4], values[5] = values[4] or ZEROS, values[5] or ZEROS
        self.head = Head(*values)
        self.state = next_state(
            known, self.head, map(TailRow._make, tail), (Lengths(*row) for row in lengths)
        )

    def ask_words(self, script: Script, query: WordQuery, marked: Sequence[str]) -> None:
        """Ask for the lists of all that *query* may count, and of marks."""
        named, placed = named_tokens(query)
        names = {each: token in placed for token, group in named.items() for each in group}
        self._ask(script, {**dict.fromkeys(marked, False), **names})

    def ask_common(self, script: Script, terms: Iterable[str]) -> None:
        """Ask for the lists of *terms* that several texts hold."""
        self._ask(script, dict.fromkeys(terms, False))

    def take_words(self, found: Sequence[Sequence[tuple[Any, ...]]]) -> None:
        """Take what was asked for last from the answers of its script."""
        if self._asked is None:
            return
        numbers, blocks, placed = self._asked
        self._asked = None
        self._tokens.update(found[numbers])
        self.state.numbers.update(self._tokens)
        fetched = [self._tokens[key] for key in self._last if key in self._tokens]
        self._placed |= {self._tokens[each] for each in placed if each in self._tokens}
        self._blocks.update((term, []) for term in fetched)
        for row in found[blocks]:
            block = block_of(row)
            self._blocks[row[0]].append(block)

    def totals(self) -> Totals:
        """Return the counts."""
        return self.state.snapshot.totals

    def tail(self, after: int) -> list[Batch]:
        """Return the batches behind *after*."""
        rows = sorted(self.state.rows.values())
        return [Batch(row.seq, row.kind, row.data) for row in rows if row.kind and row.seq > after]

    def numbers(self, terms: Iterable[str]) -> Mapping[str, int]:
        """Return the numbers of those *terms* that have one."""
        keys = {token_key(each): each for each in terms}
        known = {**self.state.numbers, **self._tokens}
        missing = [key for key in keys if key not in known and key not in self._fetched]
        if missing:
            rows = self._rows(statements.NUMBERS, tokens=missing)
            known.update(rows)
            self.state.numbers.update(rows)
        return {token: known[key] for key, token in keys.items() if key in known}

    def sizes(self, terms: Sequence[int]) -> Mapping[int, int]:
        """Return how many documents the blocks of *terms* hold; none for who has no block."""
        held = self._blocks_of(terms, ())
        return {term: sum(each.size for each in held[term]) for term in terms if held[term]}

    def blocks(self, terms: Sequence[int], placed: Collection[int]) -> list[Block]:
        """Return the blocks of *terms*, with places for those in *placed*."""
        held = self._blocks_of(terms, placed)
        return [each for term in sorted(terms) for each in held.get(term, ())]

    def publish(self, fold: Fold) -> bool:
        """Return False: a search merges nothing."""
        return fold.epoch < 0

    def _ask(self, script: Script, wanted: Mapping[str, bool]) -> None:
        keys = {token_key(each): is_placed for each, is_placed in wanted.items()}
        terms = self.state.snapshot.terms
        missing = {
            key: is_placed
            for key, is_placed in keys.items()
            if (number := self.state.numbers.get(key)) is None
            or not terms.holds(number, is_placed=is_placed)
        }
        self._fetched |= keys.keys()
        self._last = list(missing)
        placed = [key for key, is_placed in missing.items() if is_placed]
        unknown = [key for key in keys if key not in self.state.numbers]
        self._tokens.update(
            (key, self.state.numbers[key]) for key in keys if key in self.state.numbers
        )
        self._asked = (
            script.ask(statements.NUMBERS, tokens=unknown),
            script.ask(statements.BLOCKS, tokens=list(missing), placed=placed),
            placed,
        )

    def _blocks_of(self, terms: Sequence[int], placed: Collection[int]) -> dict[int, list[Block]]:
        missing = [
            term
            for term in terms
            if term not in self._blocks or (term in placed and term not in self._placed)
        ]
        if missing:
            found = self._rows(statements.BLOCKS_OF, terms=missing, placed=[*placed])
            self._blocks.update((term, []) for term in missing)
            self._placed |= {term for term in missing if term in placed}
            for row in found:
                self._blocks[row[0]].append(block_of(row))
        return self._blocks

    def _rows(self, sql: str, **bound: Any) -> list[tuple[Any, ...]]:
        script = Script(self._connection, self._tenant)
        script.ask(sql, **bound)
        return script.send()[0]
