"""`SearchVerbs`: the records that answer a question, and why those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from clawstate.memory.filters import Moment, filter_from
from clawstate.memory.questions import Mode, question_from
from clawstate.memory.records import Hits
from clawstate.memory.service.parts import MemoryParts
from clawstate.memory.validation import MAX_SOURCE, check_name

if TYPE_CHECKING:
    from clawstate.memory.verdict import Verdict


class SearchVerbs(MemoryParts):
    """Finds records by words and by meaning."""

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        mode: Mode = "hybrid",
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        where: Mapping[str, Any] | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        min_score: float = 0.0,
        explain: bool = False,
        as_of: Moment | None = None,
        fresh: bool = False,
    ) -> Hits:
        """
        Return the *k* records that answer *query* best, best first.

        *mode*: `words` (BM25 over stems), `vector` (cosine of the meanings), or `hybrid` of
        both. *tags*: all of them. *where* maps metadata keys to a value, a list of values, or
        operators such as `{"gte": 2020, "lt": 2024}`. *since* and *until* bound the time of
        creation (seconds, ISO text, date or datetime; UTC without a zone). With *explain* each hit
        tells what gave its score; see `explain` for why a record did not come. *as_of* asks the
        memory as it was then, of a day its end: records made by then, in their version of then,
        also such as were superseded later; what was forgotten since is gone. An answer may come
        from the cache, which forgets it when anybody writes; with *fresh* it does not. The `mode`
        of what comes back is `words` where meanings could not be compared. Raises `InvalidError`.
        """
        chosen = filter_from(
            namespace=namespace, tags=tags, source=source, where=where, since=since, until=until
        )
        question = question_from(
            query, k=k, mode=mode, chosen=chosen, min_score=min_score, as_of=as_of
        )
        if explain:
            return self._searches.explained_hits(question)
        found = self._searches.hits(question, fresh=fresh)
        if mode != "words":
            self._fill_later(seldom=True)
        return found

    def explain(
        self,
        query: str,
        name: str,
        *,
        k: int = 10,
        mode: Mode = "hybrid",
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        where: Mapping[str, Any] | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        min_score: float = 0.0,
        as_of: Moment | None = None,
    ) -> list[Verdict]:
        """
        Return what became of the record *name* in a search, and why it came or did not.

        *name* is an id; or a source (a file, a folder, a pattern), for a verdict on each record
        that comes from there. All else is as in `search`. One that is not kept gets a verdict,
        too: `forgotten` or `unknown`. Raises `InvalidError`.
        """
        chosen = filter_from(
            namespace=namespace, tags=tags, source=source, where=where, since=since, until=until
        )
        question = question_from(
            query, k=k, mode=mode, chosen=chosen, min_score=min_score, as_of=as_of
        )
        check_name("name", name, limit=MAX_SOURCE)
        return self._searches.verdicts(question, name)
