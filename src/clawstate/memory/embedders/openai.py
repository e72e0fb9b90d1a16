"""`OpenAIEmbedder`: vectors of OpenAI, or of any server that speaks its protocol."""

from __future__ import annotations

import json
import math
import random
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clawstate.errors import EmbeddingError
from clawstate.interrupts import Signal
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.embedders.address import address_of
from clawstate.memory.embedders.endpoint import Endpoint, Failure, Key
from clawstate.memory.embedders.remote_models import DEFAULT_MODEL, MODELS, OWN_URL, PREFIX
from clawstate.memory.embedders.retrying import Circuit, Retries
from clawstate.quantities import number_of

Vectors: TypeAlias = NDArray[np.float32]

_TEXTS = 128  # in a request
_BYTES = 200_000  # some 60,000 tokens in a request; OpenAI takes 300,000
_LONGEST = 16_000  # bytes of one input, so that no script has more tokens than OpenAI's 8,191
_SHORTEST = 256  # bytes: a piece that a server cannot take is not cut below this
_SEE_URL = "see baseUrl: it often ends in /v1"
_ATTEMPTS = 6
_WORD = "dimensions"  # what is embedded to see how long the vectors of an unknown model are
_MOST_DIMENSIONS = 65_536


class OpenAIEmbedder:
    """
    Unit vectors (float32) of the *model* that answers at *base_url*. Thread-safe.

    *key* is asked for when the first text comes, and again when the server refuses it; None where
    the server wants none. *dimensions* are needed for models that offer several, and asked of the
    server where nobody says them, or says what is *expected*. *timeout* bounds a request for texts
    with all its repetitions, *query_timeout* one for a query, in seconds. A server that is down is
    left alone for a while.

    Texts that are too long for the model are embedded in parts, and have their mean. Raises
    `InvalidError` for a *base_url* that is none; and when embedding `EmbeddingError`.
    """

    at_once = _TEXTS
    """How many texts are embedded before anybody can ask how far it is, or stop it."""

    embeds_later = True
    """What is added is kept first and gets its vector afterwards: a server may be slow, or away."""

    removes_median = True
    """As a transformer's, its cosines lie in a band: beside words counts what is above."""

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        base_url: str = OWN_URL,
        key: Key = lambda: None,
        dimensions: int | None = None,
        expected: int | None = None,
        allow_plain_http: bool = False,
        price: float | None = None,
        timeout: float = 60.0,
        query_timeout: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], object] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        # First, since an error must find all that `repr` shows.
        self._model, self.place = model, "an address that is none"
        address = address_of(base_url)
        self.place = str(address)
        """Where texts are sent."""
        known = MODELS.get(model)
        self._is_own = base_url.rstrip("/") == OWN_URL
        self._asked_dimensions = dimensions
        usual = None if known is None else known.dimensions
        self._dimensions = dimensions or expected or usual
        self._clock = clock
        self._timeout = timeout
        self._query_timeout = query_timeout
        self._ending = Signal()
        self._retries = Retries(self._ending.take if sleep is None else sleep, jitter)
        self._circuit = Circuit(clock)
        self._endpoint = Endpoint(address, key, allow_plain=allow_plain_http, now=now)
        self.is_local = address.is_loopback
        self.unrelated = 0.3 if known is None else known.unrelated
        usual_price = None if known is None or not self._is_own else known.price
        self.price = usual_price if price is None else price

    def __repr__(self) -> str:
        return f"OpenAIEmbedder({self._model!r}, base_url={self.place!r})"

    @property
    def identity(self) -> EmbedderIdentity:
        """Return which vectors it makes; the server is asked where their length is not known."""
        if self._dimensions is None:
            self.embed_query(_WORD)
        return EmbedderIdentity(f"{PREFIX}{self._model}", self._dimensions or 0)

    @property
    def is_resting(self) -> bool:
        """Whether the server failed lately, so that it is not asked."""
        return self._circuit.is_open

    def embed(self, texts: Sequence[str]) -> Vectors:
        """
        Return a unit row for each text, shape (len(texts), dimensions), float32.

        A text without content gives zeros, and is not sent.
        """
        found: list[Vectors | None] = [None] * len(texts)
        for places in _requests(texts):
            rows = self._rows([texts[each] for each in places], self._timeout, _ATTEMPTS)
            for place, row in zip(places, rows, strict=True):
                found[place] = row
        made = np.zeros((len(texts), self._dimensions or self.identity.dimensions), np.float32)
        for place, one in enumerate(found):
            if one is not None:
                made[place] = one
        return made

    def embed_query(self, text: str) -> Vectors:
        """Return the unit vector of a query, shape (dimensions,); it is not waited for long."""
        if not text.strip():
            return np.zeros(self.identity.dimensions, np.float32)
        # Once more, for a connection that was cut; more would take longer than people wait.
        return self._rows([text], self._query_timeout, 2)[0]

    def close(self) -> None:
        """End what is under way, in all threads; from then on nothing is sent."""
        self._endpoint.close()
        self._ending.give()

    def _rows(self, texts: Sequence[str], timeout: float, attempts: int) -> list[Vectors]:
        """Return the unit vectors of *texts*, of what the server cannot take at once in parts."""
        long = [each for each in texts if _size(each) > _LONGEST]
        if long and len(texts) > 1:
            return [row for each in texts for row in self._rows([each], timeout, attempts)]
        if long:
            return [self._mean(texts[0], timeout, attempts)]
        answer = self._ask(texts, timeout, attempts)
        if isinstance(answer, list):
            return answer
        # One text may have more tokens than the model takes: find it, and cut it.
        if answer.of_texts and len(texts) > 1:
            half = len(texts) // 2
            return [
                *self._rows(texts[:half], timeout, attempts),
                *self._rows(texts[half:], timeout, attempts),
            ]
        if answer.of_texts and answer.status is not None and _size(texts[0]) > _SHORTEST:
            return [self._mean(texts[0], timeout, attempts)]
        raise EmbeddingError(self.place, answer.problem, answer.hint)

    def _mean(self, text: str, timeout: float, attempts: int) -> Vectors:
        """Return the vector of *text* by its halves, each as long as it is."""
        halves = [each for each in _halves(text) if each.strip()]
        rows = [self._rows([each], timeout, attempts)[0] for each in halves]
        mean = np.sum([len(each) * row for each, row in zip(halves, rows, strict=True)], axis=0)
        length = float(np.linalg.norm(mean))
        return np.asarray(mean / length if length else rows[0], np.float32)

    def _ask(self, texts: Sequence[str], timeout: float, attempts: int) -> list[Vectors] | Failure:
        if (failure := self._circuit.failure()) is not None:
            return failure
        end = self._clock() + timeout

        def time_left() -> float:
            left = end - self._clock()
            if left <= 0:
                raise TimeoutError
            return left

        def ask() -> list[Vectors] | Failure:
            answer = self._endpoint.post(body, time_left)
            return answer if isinstance(answer, Failure) else self._decode(answer, len(texts))

        body = self._body(texts)
        found = self._retries.run(ask, time_left, attempts=attempts)
        if not isinstance(found, Failure) or found.of_texts:
            self._circuit.close()
        else:
            self._circuit.open(found)
        return found

    def _body(self, texts: Sequence[str]) -> bytes:
        # A third of the bytes of numbers as text; servers of others may not know it.
        form = "base64" if self._is_own else "float"
        asked: dict[str, Any] = {"model": self._model, "input": texts, "encoding_format": form}
        if self._asked_dimensions is not None:
            asked["dimensions"] = self._asked_dimensions
        # Half of a surrogate pair has no bytes in UTF-8.
        return json.dumps(asked, ensure_ascii=False).encode("utf-8", "replace")

    def _decode(self, data: bytes, count: int) -> list[Vectors] | Failure:
        """Return the rows of an answer in the order of the texts, or what is wrong with it."""
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            if data.lstrip()[:1] == b"<":
                return Failure("gave a page of HTML, no JSON", _SEE_URL)
            return Failure("gave no JSON", _SEE_URL, passes=True)  # it may have been cut off
        items = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
            return Failure("gave no vectors", _SEE_URL)
        if len(items) != count:
            given = number_of(len(items), "vector")
            return Failure(f"gave {given} for {number_of(count, 'text')}", "see model")
        rows: dict[int, Vectors] = {}
        for number, item in enumerate(items):
            index = item.get("index", number)
            if type(index) is not int or not 0 <= index < count or index in rows:
                return Failure("numbers its vectors wrongly", "see baseUrl")
            row = _vector(item.get("embedding"))
            if row is None:
                problem = "gave a vector of zeros, or of what is no number"
                return Failure(problem, "see model", of_texts=True)
            if self._dimensions is None:
                self._dimensions = len(row)
            if len(row) != self._dimensions:
                problem = f"gave {number_of(len(row), 'dimension')}, not {self._dimensions:,}"
                return Failure(problem, "see model and dimensions")
            rows[index] = row
        return [rows[each] for each in range(count)]


def _vector(value: Any) -> Vectors | None:
    """Return *value*, numbers or their bytes in base64, as a unit vector; None if it is none."""
    if isinstance(value, str):
        try:
            row = np.frombuffer(b64decode(value, validate=True), "<f4").astype(np.float64)
        except ValueError:
            return None
    elif isinstance(value, list) and all(type(each) in {float, int} for each in value):
        try:
            row = np.array(value, np.float64)
        except OverflowError:
            return None
    else:
        return None
    if not 0 < len(row) <= _MOST_DIMENSIONS:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        length = float(np.linalg.norm(row))
    # One without length is near to nothing: kept, the text would never be found, and nobody told.
    if not math.isfinite(length) or not length > 0:
        return None
    return np.asarray(row / length, np.float32)


def _requests(texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield the places of those *texts* that have content, as many as one request takes."""
    places: list[int] = []
    size = 0
    for place, text in enumerate(texts):
        if not text.strip():
            continue
        if places and (len(places) == _TEXTS or size + _size(text) > _BYTES):
            yield places
            places, size = [], 0
        places.append(place)
        size += _size(text)
    if places:
        yield places


def _halves(text: str) -> tuple[str, str]:
    """Return *text* in two, cut between words if one ends near the middle."""
    middle = len(text) // 2
    cut = text.find(" ", middle, middle + len(text) // 8)
    cut = middle if cut < 0 else cut
    return text[:cut], text[cut:]


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
