"""All vectors anew, by another embedder, while searches go on with those that are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypedDict

from clawstate.errors import ConflictError, InvalidError
from clawstate.memory import ingest
from clawstate.memory.contract import Embedder, EmbedderIdentity, KnownVector, MemoryEngine
from clawstate.memory.embedders.remote_models import tokens_in
from clawstate.memory.meanings import Meanings, close_embedder
from clawstate.memory.replacement import Begun, Reembedding, Text, Workload
from clawstate.memory.writes import embed_waiting

_FIRST = 64  # texts in the first batch, by whose time the next ones are measured
_SHORT, _LONG = 0.3, 1.2  # seconds that a batch takes: so much is lost at most when it is cut off
_CHARACTERS = 4_000_000  # in a batch
_TRIES = 8  # to switch with no text left, while others add some all the time
_SAMPLE = 256  # texts that a preview embeds, if these take no more than a moment
_FEW = 4  # that it begins with
_REQUEST, _TEXTS_IN_REQUEST = 1.0, 128  # seconds, of a server that was not asked
_MILLION = 1_000_000

_FINISH = "finish it with 'clawstate memory reembed', or drop it with --discard"


class _Cost(TypedDict):
    tokens: int
    price: float | None


def reembed(
    engine: MemoryEngine,
    meanings: Meanings,
    wanted: Embedder | str | None,
    *,
    dry_run: bool,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> Reembedding:
    """
    Replace all vectors by those of *wanted*, or tell what that would take; see `Memory.reembed`.

    Cut off or *cancelled* anywhere, the next call goes on where this one ended.
    """
    embedder = _choose_embedder(engine, meanings, wanted)
    is_ours = embedder is not wanted and embedder is not meanings.given
    is_used = False
    try:
        if dry_run:
            return _preview(engine, embedder)
        engine.purge()
        done = _make_vectors(engine, embedder, progress=progress, cancelled=cancelled)
        if done.complete:
            is_used = True
            meanings.use(embedder, is_ours=is_ours)
            embed_waiting(engine, meanings)
        return done
    finally:
        if is_ours and not is_used:
            close_embedder(embedder)


def _choose_embedder(
    engine: MemoryEngine, meanings: Meanings, wanted: Embedder | str | None
) -> Embedder:
    """
    Return the embedder that *wanted* is, or names.

    Where it is None, that of what was begun, or the one given to the memory, or the one for a new
    memory. Raises `InvalidError` for an unknown name, and while vectors of another are being made;
    `EmbeddingError` for one that is not installed.
    """
    begun, given, choice = engine.replacement.begun(), meanings.given, meanings.choice
    if isinstance(wanted, str):
        embedder = choice.named(wanted)
    elif wanted is not None:
        embedder = _require_embedder(wanted)
    elif given is not None and (begun is None or begun.embedder == given.identity):
        embedder = given
    else:
        embedder = choice.for_memory(None if begun is None else begun.embedder)
    if begun is not None and begun.embedder != embedder.identity:
        made, asked = begun.embedder.model, embedder.identity.model
        problem = f"vectors of {made} are being made already, not of {asked}"
        raise InvalidError("embedder", problem, _FINISH)
    return embedder


def _require_embedder(value: Embedder) -> Embedder:
    identity = getattr(value, "identity", None)
    if not isinstance(identity, EmbedderIdentity) or not callable(getattr(value, "embed", None)):
        problem = f"is {type(value).__name__}, no embedder"
        raise InvalidError("embedder", problem, "give one with an identity, or a name")
    return value


def _preview(engine: MemoryEngine, embedder: Embedder) -> Reembedding:
    """Return what `reembed` would do, by the speed with which it embeds a sample."""
    work = engine.replacement.workload()
    begun, kept = engine.replacement.begun(), engine.embedder()
    told = _describe(engine, embedder, work.records)
    if kept == embedder.identity and begun is None:
        return replace(told, done=work.records, complete=True)
    made: list[KnownVector] = []
    if ingest.embeds_later(embedder):
        # Nobody has agreed yet that texts are sent.
        characters = work.characters / max(work.texts, 1)
        per_character = _REQUEST / (_TEXTS_IN_REQUEST * max(characters, 1))
    else:
        made, per_character = _try_out(engine, embedder)
    return replace(
        told,
        done=0 if begun is None else begun.done,
        texts=work.texts,
        characters=work.characters,
        seconds=per_character * work.characters,
        bytes=_space(embedder.identity, made, work, begun),
        **_cost(embedder, work.characters),
    )


def _try_out(engine: MemoryEngine, embedder: Embedder) -> tuple[list[KnownVector], float]:
    """Return the vectors of a few texts that are to be embedded, and the seconds a character."""
    sample = engine.replacement.texts(_SAMPLE, _CHARACTERS)
    made: list[KnownVector] = []
    took, characters, begin = 0.0, 0, 0
    # A model may take a tenth of a second for a text or a ten-thousandth.
    while begin < len(sample) and took < _SHORT:
        some = sample[begin : max(2 * begin, _FEW)]
        begin += len(some)
        started = time.perf_counter()
        found, fresh = _vectors(engine, embedder, some)
        # Of the first ones the most is spent on loading the model.
        if begin == len(sample) or made:
            took += time.perf_counter() - started
            characters += sum(map(len, fresh))
        made += found.values()
    # Long texts take longer than short ones, so it is the characters that count.
    return made, took / characters if characters else 0.0


def _make_vectors(
    engine: MemoryEngine,
    embedder: Embedder,
    *,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> Reembedding:
    """Make vectors for all texts, then switch to them."""
    identity, replacement = embedder.identity, engine.replacement
    started = time.perf_counter()
    records = replacement.workload().records
    told = _describe(engine, embedder, records)
    if engine.embedder() == identity and replacement.begun() is None:
        return replace(told, done=records, complete=True)
    replacement.begin(identity)
    begun = replacement.begun()
    done = 0 if begun is None else begun.done
    embedded = characters = 0
    size, tries, complete = _FIRST, 0, False
    try:
        while not (complete or (cancelled is not None and cancelled())):
            texts = replacement.texts(size, _CHARACTERS)
            batch_began = time.perf_counter()
            if texts:
                made, fresh = _vectors(engine, embedder, texts)
                replacement.put(made, identity)
                embedded, characters = embedded + len(fresh), characters + sum(map(len, fresh))
                done += len(texts)
                records = max(records, done)
            if progress is not None:
                progress(done, records)
            took = time.perf_counter() - batch_began
            if len(texts) < min(size, _FIRST):
                # Others may add all the time, as fast as it embeds: what is left waits then.
                complete = replacement.switch(identity, waiting=_FIRST if tries >= _TRIES else 0)
                tries += 1
            elif took < _SHORT:
                size = min(2 * size, ingest.BATCH)
            elif took > _LONG:
                size = max(size // 2, 1)
    except ConflictError:
        # Somebody else came to the end of the same. If not, what was begun is no more.
        if engine.embedder() != identity:
            raise
        complete = True
    return replace(
        told,
        records=records,
        done=done,
        texts=embedded,
        characters=characters,
        seconds=time.perf_counter() - started,
        complete=complete,
        **_cost(embedder, characters),
    )


def _describe(engine: MemoryEngine, embedder: Embedder, records: int) -> Reembedding:
    kept, identity = engine.embedder(), embedder.identity
    return Reembedding(
        before=None if kept is None else kept.model,
        embedder=identity.model,
        dimensions=identity.dimensions,
        records=records,
        local=getattr(embedder, "is_local", None),  # embedders of others need not say
    )


def _cost(embedder: Embedder, characters: int) -> _Cost:
    """Return the tokens of so many *characters*, and what they cost, as far as that is known."""
    tokens = tokens_in(characters)
    a_million: float | None = getattr(embedder, "price", None)
    if getattr(embedder, "is_local", None):
        a_million = 0.0
    price = None if a_million is None else tokens * a_million / _MILLION
    return {"tokens": tokens, "price": price}


def _vectors(
    engine: MemoryEngine, embedder: Embedder, texts: Sequence[Text]
) -> tuple[dict[int, KnownVector], list[str]]:
    """Return the vectors of *texts* by their keys, and those texts that were embedded for it."""
    found = engine.replacement.find([each.digest for each in texts])
    fresh = {each.digest: each.text for each in texts if each.digest not in found}
    found |= zip(fresh, ingest.embed_texts([*fresh.values()], embedder), strict=True)
    return {each.key: found[each.digest] for each in texts}, [*fresh.values()]


def _space(
    identity: EmbedderIdentity, sample: Sequence[KnownVector], work: Workload, begun: Begun | None
) -> int:
    """Return how many bytes are needed until the switch is made."""
    lengths = [0 if subwords is None else 2 * len(subwords) for _, subwords in sample]
    each = 2 * identity.dimensions + (sum(lengths) // len(lengths) if lengths else 0)
    left = work.records - (0 if begun is None else begun.done)
    # The new vectors beside the old; then the switch writes every record anew, into the log first.
    return left * each + (work.size + work.records * each if work.size else 0)
