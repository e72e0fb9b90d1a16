from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import clawstate
from clawstate.errors import DimensionError, EmbeddingError, FallbackWarning
from clawstate.memory.backends.columns import unpack
from clawstate.memory.backends.sqlite import embeddings
from clawstate.memory.contract import EmbedderIdentity, SubwordEmbedder
from clawstate.memory.embedders.wordllama import WordLlamaEmbedder

PACKAGE = Path(importlib.util.find_spec("wordllama").submodule_search_locations[0])
TEXTS = [
    "Ada prefers tea",
    "the quick brown fox jumps over the lazy dog " * 40,
    "Übergrößenträger",
    "龍蝦 ロブスター กุ้งมังกร",
    "\N{LOBSTER}\N{ZERO WIDTH JOINER}\u202e",
    "def f(x):\n\treturn x ** 2\n",
    "a",
    "  padded  ",
]


@pytest.fixture(scope="module")
def embedder():
    return WordLlamaEmbedder()


@pytest.fixture(scope="module")
def original():
    """Return the package's own loader and its own arithmetic."""
    wordllama = pytest.importorskip("wordllama")
    return wordllama.WordLlama.load(cache_dir=PACKAGE, disable_download=True)


def cosines(one, other):
    return np.einsum("ij,ij->i", one, other)


def test_vectors_are_those_of_the_package(embedder, original) -> None:
    """Each vector is the one that wordllama itself computes for the text."""
    expected = original.embed(TEXTS, norm=True)

    assert embedder.embed(TEXTS) == pytest.approx(expected, abs=1e-5)


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=5))
def test_vectors_of_any_text_are_those_of_the_package(embedder, original, texts) -> None:
    """Whatever the text, the vector points where that of wordllama does."""
    ours = embedder.embed(texts)
    theirs = original.embed(texts, norm=True)

    content = np.isfinite(theirs).all(axis=1) & (np.linalg.norm(theirs, axis=1) > 0)
    assert cosines(ours[content], theirs[content]) == pytest.approx(1, abs=1e-4)


def test_many_texts_get_the_vectors_of_each(embedder) -> None:
    """A text's vector does not depend on how many are embedded with it."""
    texts = [f"note number {number} about {number % 7} lobsters" for number in range(200)]

    together = embedder.embed(texts)

    alone = np.vstack([WordLlamaEmbedder().embed([text]) for text in texts[:3]])
    assert together[:3] == pytest.approx(alone, abs=1e-6)
    assert np.array_equal(together, embedder.embed(texts))


def test_vectors_have_length_one(embedder) -> None:
    """Every text with content has a float32 unit vector of 256 dimensions."""
    vectors = embedder.embed(TEXTS)

    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), 256), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_an_empty_text_has_no_direction(embedder) -> None:
    """A text without content gives zeros, never NaN, and no texts give no rows."""
    vectors = embedder.embed(["", "tea", ""])

    assert not vectors[[0, 2]].any()
    assert vectors[1].any()
    assert embedder.embed([]).shape == (0, 256)


def test_a_long_text_takes_little_memory(embedder) -> None:
    """A text of the greatest length is embedded in bounded memory, as its parts would be."""
    words = ("lobster parrot dentist mortgage flight ") * 25_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    (vector,) = embedder.embed([words[:1_000_000]])

    # A row of float32 for each of its subwords would be above 200 MB.
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 150_000  # KiB
    (part,) = embedder.embed([words[:4000]])
    assert float(vector @ part) == pytest.approx(1, abs=1e-2)


def test_threads_get_the_same_vectors() -> None:
    """Threads that all start on a fresh embedder get the vectors that one thread gets."""
    fresh = WordLlamaEmbedder()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: fresh.embed(TEXTS * (1 + 10 * (n % 2))), range(24)))

    expected = WordLlamaEmbedder().embed(TEXTS)
    assert all(each[: len(TEXTS)] == pytest.approx(expected, abs=1e-6) for each in results)


def test_subwords_pool_to_the_vector(embedder) -> None:
    """`pool` of the subwords of a text is its vector, and `weighted` without counts as well."""
    assert isinstance(embedder, SubwordEmbedder)
    subwords = embedder.subwords(TEXTS)

    assert np.array_equal(embedder.pool(subwords), embedder.embed(TEXTS))
    unweighted = embedder.weigh(subwords[0], {}, 0)
    assert unweighted == pytest.approx(embedder.embed(TEXTS[:1])[0], abs=1e-5)


def test_rare_subwords_weigh_more(embedder) -> None:
    """A query leans towards those of its words that are rare among the records."""
    (both,) = embedder.subwords(["lobster mortgage"])
    lobster, mortgage = embedder.embed(["lobster", "mortgage"])
    common = dict.fromkeys(embedder.subwords([" mortgage"])[0].tolist(), 5000)
    common |= dict.fromkeys(embedder.subwords(["mortgage"])[0].tolist(), 5000)

    query = embedder.weigh(both, common, 100_000)

    plain = embedder.weigh(both, {}, 100_000)
    assert query @ lobster > plain @ lobster
    assert query @ mortgage < plain @ mortgage
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)


def test_a_query_without_subwords_has_no_direction(embedder) -> None:
    """A query of nothing is zeros."""
    assert not embedder.weigh(np.empty(0, np.uint16), {}, 100).any()


def test_identity_names_the_weights(embedder) -> None:
    """Two embedders of the same weights have one identity, of 256 unit dimensions."""
    identity = embedder.identity

    assert identity == WordLlamaEmbedder().identity
    assert (identity.dimensions, identity.normalised) == (256, True)
    assert "wordllama" in identity.model
    assert "@" in identity.model


@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "cut"])
@pytest.mark.parametrize("which", ["weights", "tokenizers"])
def test_damaged_files_raise_an_embedding_error(tmp_path, monkeypatch, which, damage) -> None:
    """Weights or a vocabulary that cannot be used raise `EmbeddingError` that names the file."""
    package = tmp_path / "wordllama"
    for folder in ("weights", "tokenizers"):
        shutil.copytree(PACKAGE / folder, package / folder)
    for path in (package / which).glob("l2_supercat*"):
        if damage == "missing":
            path.unlink()
        elif damage == "cut":
            os.truncate(path, path.stat().st_size // 2)
        else:
            path.write_bytes({"empty": b"", "garbage": bytes(range(256)) * 20}[damage])
    (package / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "wordllama", raising=False)
    monkeypatch.syspath_prepend(tmp_path)

    broken = WordLlamaEmbedder()
    with pytest.raises(EmbeddingError, match="l2_supercat"):
        _ = broken.identity, broken.embed(["tea"])


def test_a_state_with_vectors_of_wordllama_goes_on_with_it(tmp_path) -> None:
    """A state that keeps vectors of wordllama gets more of them, and is searched by them."""
    with clawstate.open(tmp_path, embedder=WordLlamaEmbedder()) as state:
        state.memory.add("the lobster sleeps under a rock")

    with clawstate.open(tmp_path) as state:
        state.memory.add("the parrot talks all day")
        (hit,) = state.memory.search("a sleeping animal of the sea", mode="vector", k=1)

        assert "lobster" in hit.record.text
        assert state.memory.stats()["embedder"] == WordLlamaEmbedder().identity.model


def test_without_the_package_such_a_state_is_searched_by_words(tmp_path, monkeypatch) -> None:
    """Without wordllama, a state with its vectors finds by words, and says what to install."""
    with clawstate.open(tmp_path, embedder=WordLlamaEmbedder()) as state:
        state.memory.add("the lobster sleeps under a rock")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with clawstate.open(tmp_path) as state:
        with pytest.warns(FallbackWarning, match=r"clawstate\[wordllama\]"):
            (hit,) = state.memory.search("lobster")

        assert hit.vector_score is None


def test_a_text_that_many_records_have_is_looked_up_once(memory, monkeypatch) -> None:
    """What is read of known vectors grows with the texts, not with the records that have them."""
    memory.add_many([{"text": "the same words again"} for _ in range(200)])
    read = []

    def counting(vectors):
        read.extend(vectors)
        return unpack(vectors)

    monkeypatch.setattr(embeddings, "unpack", counting)
    memory.add_many([{"text": "the same words again"} for _ in range(200)])

    assert 0 < len(read) <= 2


class Broken:
    """An embedder of somebody's own, which fails as it likes."""

    identity = EmbedderIdentity("broken", 4)

    def __init__(self, fault: Exception | int) -> None:
        self.fault = fault

    def embed(self, texts):
        if isinstance(self.fault, Exception):
            raise self.fault
        return np.ones((len(texts) - 1, self.fault), np.float32)


@pytest.mark.parametrize("fault", [ConnectionError("https://key@host"), KeyError("x"), 4])
def test_whatever_an_embedder_raises_costs_no_memory(tmp_path, fault) -> None:
    """Its own errors are those of embedding: records wait, words are found, nothing is quoted."""
    with clawstate.open(tmp_path / "state", embedder=Broken(fault)) as state:
        with pytest.warns(FallbackWarning, match="to be embedded") as caught:
            state.memory.add("green tea")
        if isinstance(fault, Exception):
            with pytest.warns(FallbackWarning, match="searching by words only"):
                assert len(state.memory.search("tea")) == 1

        assert "key@host" not in str(caught[0].message)
        assert state.memory.stats()["waiting"] == 1


def test_the_length_that_is_wrong_is_told(tmp_path) -> None:
    """An embedder whose vectors have another length than it says is refused with both numbers."""

    class Short(Broken):
        def embed(self, texts):
            return np.ones((len(texts), 3), np.float32)

    with clawstate.open(tmp_path / "state", embedder=Short(0)) as state:
        with pytest.raises(DimensionError) as caught:
            state.memory.add("green tea")

        assert (caught.value.found, caught.value.expected) == (3, 4)
