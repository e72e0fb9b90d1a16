from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import clawstate
from clawstate.errors import EmbeddingError
from clawstate.memory.backends.columns import unpack
from clawstate.memory.backends.sqlite import embeddings
from clawstate.memory.contract import SubwordEmbedder
from clawstate.memory.embedders.static import DATA, PIECES, ROWS, SCALES, StaticEmbedder
from clawstate.memory.embedders.word_pieces import WordPieces, words

SOURCE = Path(clawstate.__file__).parents[1]
TEXTS = [
    "Ada prefers tea",
    "the quick brown fox jumps over the lazy dog " * 40,
    "Übergrößenträger",
    "龍蝦 ロブスター กุ้งมังกร",
    "भारत की राजधानी",
    "def f(x):\n\treturn x ** 2\n",
    "a",
    "  padded  ",
]

OFFLINE = """
import sys
import clawstate
with clawstate.open(sys.argv[1]) as state:
    state.memory.add("the lobster sleeps under a rock")
    (hit,) = state.memory.search("a sleeping animal of the sea", mode="vector")
    assert hit.vector_score > 0.2, hit
print("done")
"""


@pytest.fixture(scope="module")
def embedder():
    return StaticEmbedder()


def cosine(embedder, one, other):
    return float(np.dot(*embedder.embed([one, other])))


def test_many_texts_get_the_vectors_of_each(embedder) -> None:
    """A text's vector is the same, bit by bit, however many are embedded with it."""
    texts = [f"note number {number} about {number % 7} lobsters" for number in range(2000)]

    together = embedder.embed(texts)

    alone = np.vstack([StaticEmbedder().embed([text]) for text in texts[:3]])
    assert np.array_equal(together[:3], alone)


def test_vectors_have_length_one(embedder) -> None:
    """Every text with words has a float32 unit vector of 256 dimensions."""
    vectors = embedder.embed(TEXTS)

    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), 256), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_text_without_words_has_no_direction(embedder) -> None:
    """A text without words gives zeros, never NaN, and no texts give no rows."""
    vectors = embedder.embed(["", "tea", "?! \u202e"])

    assert not vectors[[0, 2]].any()
    assert vectors[1].any()
    assert embedder.embed([]).shape == (0, 256)


def test_a_long_text_takes_little_memory(embedder) -> None:
    """A text of the greatest length is embedded in bounded memory, as its parts would be."""
    words = ("lobster parrot dentist mortgage flight ") * 25_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    (vector,) = embedder.embed([words[:1_000_000]])

    # A row of float32 for each of its pieces would be above 100 MB.
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000  # KiB
    (part,) = embedder.embed([words[:4000]])
    assert float(vector @ part) == pytest.approx(1, abs=1e-2)


def test_threads_get_the_same_vectors() -> None:
    """Threads that all start on a fresh embedder get the vectors that one thread gets."""
    fresh = StaticEmbedder()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: fresh.embed(TEXTS * (1 + 10 * (n % 2))), range(24)))

    expected = StaticEmbedder().embed(TEXTS)
    assert all(np.array_equal(each[: len(TEXTS)], expected) for each in results)


def test_subwords_pool_to_the_vector(embedder) -> None:
    """`pool` of the pieces of a text is its vector, and `weighted` without counts as well."""
    assert isinstance(embedder, SubwordEmbedder)
    subwords = embedder.subwords(TEXTS)

    assert np.array_equal(embedder.pool(subwords), embedder.embed(TEXTS))
    unweighted = embedder.weigh(subwords[0], {}, 0)
    assert unweighted == pytest.approx(embedder.embed(TEXTS[:1])[0], abs=1e-5)


def test_rare_pieces_weigh_more(embedder) -> None:
    """A query leans towards those of its words that are rare among the records."""
    (both,) = embedder.subwords(["lobster mortgage"])
    lobster, mortgage = embedder.embed(["lobster", "mortgage"])
    common = dict.fromkeys(embedder.subwords(["mortgage"])[0].tolist(), 5000)

    query = embedder.weigh(both, common, 100_000)

    plain = embedder.embed(["lobster mortgage"])[0]
    assert query @ lobster > plain @ lobster
    assert query @ mortgage < plain @ mortgage
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)


def test_a_query_without_pieces_has_no_direction(embedder) -> None:
    """A query of nothing is zeros."""
    assert not embedder.weigh(np.empty(0, np.uint16), {}, 100).any()


def test_identity_names_the_table(embedder, tmp_path) -> None:
    """Two embedders of one table have one identity, of another table another."""
    other = tmp_path / "data"
    shutil.copytree(DATA, other)
    scales = np.load(other / SCALES)
    scales[7] *= 2
    np.save(other / SCALES, scales)

    identity = embedder.identity

    assert identity == StaticEmbedder().identity
    assert (identity.dimensions, identity.normalised) == (256, True)
    assert identity.model.startswith("clawstate-static-256@")
    assert StaticEmbedder(other).identity != identity


@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "cut"])
@pytest.mark.parametrize("which", [ROWS, SCALES, PIECES])
def test_damaged_files_raise_an_embedding_error(tmp_path, which, damage) -> None:
    """A table that cannot be used raises `EmbeddingError` that names the file."""
    folder = tmp_path / "data"
    shutil.copytree(DATA, folder)
    path = folder / which
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.write_bytes({"empty": b"", "garbage": bytes(range(256)) * 20}[damage])

    broken = StaticEmbedder(folder)
    with pytest.raises(EmbeddingError, match=which):
        _ = broken.identity, broken.embed(["tea"])


def test_forms_of_one_text_have_one_vector(embedder) -> None:
    """Case, composed or decomposed marks, width, and marks that people leave out change nothing."""
    whole = "Ελληνικός καφές, İstanbul, Straße, Ḥāfiẓ, パスポート"
    forms = [
        unicodedata.normalize("NFD", whole),
        whole.upper(),
        "ελληνικος καφες, istanbul, strasse, hafiz, ﾊﾟｽﾎﾟｰﾄ",
    ]

    (expected, *vectors) = embedder.embed([whole, *forms])

    assert all(np.array_equal(each, expected) for each in vectors)


@pytest.mark.parametrize(
    ("one", "other", "unlike"),
    [
        ("a sleeping animal of the sea", "the lobster sleeps under a rock", "the train is late"),
        ("我的护照在哪里", "护照放在抽屉里。", "明天下雨。"),
        ("Где лежит паспорт?", "Паспорт лежит в ящике.", "Завтра будет дождь."),
        ("Where is my passport?", "Мой паспорт лежит в ящике.", "Завтра будет дождь."),
        ("Where is my passport?", "我的护照放在抽屉里。", "明天下雨。"),
    ],
)
def test_what_means_the_same_is_near(embedder, one, other, unlike) -> None:
    """Texts of one meaning are nearer than others, in one language and across two."""
    assert cosine(embedder, one, other) > cosine(embedder, one, unlike) + 0.1


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=40), max_size=5))
def test_any_text_has_a_vector(embedder, texts) -> None:
    """Whatever the text, its vector is finite, and a repeated call gives it again."""
    vectors = embedder.embed(texts)

    assert np.isfinite(vectors).all()
    assert np.array_equal(vectors, embedder.embed(texts))


def test_the_longest_pieces_of_a_word_are_taken() -> None:
    """A word is cut from its start into the longest pieces; what is in none is left out."""
    pieces = WordPieces(["play", "##ing", "p", "##g", "護照", "護", "ing"])

    assert pieces.rows("Playing!") == [1, 2]
    assert pieces.rows("pg p") == [3, 4, 3]
    assert pieces.rows("我的護照護") == [5, 6]
    assert pieces.rows("xyz ing") == [7]


def test_words_come_without_punctuation() -> None:
    """Words are folded runs of letters and digits; scripts without spaces come as runs."""
    assert words("Don't PANIC, it's 42!") == ["don", "t", "panic", "it", "s", "42"]
    assert words("我的cat在ベッド") == ["我的", "cat", "在", "ベッド"]
    assert words("मेरी बिल्ली।") == ["मेरी", "बिल्ली"]


def test_each_piece_has_a_row_of_its_own() -> None:
    """The table has one row for each piece, the row 0 of nothing, and no piece twice."""
    pieces = (DATA / PIECES).read_text(encoding="utf-8").split("\n")

    assert len(set(pieces)) == len(pieces)
    assert np.load(DATA / ROWS, mmap_mode="r").shape == (len(pieces) + 1, 256)
    assert len(pieces) + 1 <= 65_536


def test_the_licences_are_beside_the_table() -> None:
    """What the table was made of is named beside it, with the notices that this asks for."""
    notice = (DATA / "NOTICE").read_text(encoding="utf-8")

    assert all(name in notice for name in ("bge-small-en-v1.5", "WordNet", "Unicode", "e5-small"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may leave the network")
def test_no_network_is_needed(tmp_path) -> None:
    """A first search works in a process that has no network at all."""
    if subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("this system does not let root leave the network")

    run = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", OFFLINE, tmp_path / "state"],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.stdout, run.returncode) == ("done\n", 0), run.stderr


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
