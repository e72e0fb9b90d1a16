from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import clawstate
import embedding_server as server_of
from clawstate.errors import ConfigError, EmbeddingError, FallbackWarning
from clawstate.memory.embedders.openai import OpenAIEmbedder
from embedding_server import KEY, serving

EMBEDDING = "plugins.entries.memory-lancedb.config.embedding"
PATIENCE = 30.0


@pytest.fixture
def server():
    with serving() as served:
        yield served


@pytest.fixture
def root(tmp_path):
    return tmp_path / "state"


def configure(root, embedding, **beside):
    root.mkdir(exist_ok=True)
    entry = {"memory-lancedb": {"config": {"embedding": embedding}}}
    text = json.dumps({"plugins": {"entries": entry}, **beside})
    (root / "openclaw.json").write_text(text)
    (root / "openclaw.json").chmod(0o600)


def of(server, **more):
    return {"provider": "openai", "baseUrl": server.url, "apiKey": KEY, "model": "tiny", **more}


def settle(memory, *, waiting=0):
    """Wait until no more than *waiting* records wait for a vector."""
    ends = time.monotonic() + PATIENCE
    while memory.stats()["waiting"] > waiting:
        assert time.monotonic() < ends, memory.stats()
        time.sleep(0.005)


def test_a_new_state_takes_the_configured_server(server, root) -> None:
    """With a server configured, a new memory gets its vectors there, and searches by them."""
    configure(root, of(server))

    with clawstate.open(root) as state:
        for text in ("green tea", "black coffee", "a wing flutters"):
            state.memory.add(text)
        settle(state.memory)
        (hit,) = state.memory.search("tea green", k=1, mode="vector")

        assert hit.record.text == "green tea"
        assert hit.vector_score == pytest.approx(1, abs=1e-3)
        assert state.memory.stats()["embedder"] == "openai/tiny"


@pytest.mark.parametrize("source", ["literal", "variable", "reference", "profile", "environment"])
def test_keys_come_from_where_they_are(server, root, source, monkeypatch) -> None:
    """The key may be written, a variable, a reference, a profile's, or the environment's."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr("clawstate.state.embedding.OWN_URL", server.url)
    embedding = of(server)
    del embedding["apiKey"]
    written = {
        "literal": KEY,
        "variable": "${OPENAI_API_KEY}",
        "reference": {"source": "env", "provider": "default", "id": "OPENAI_API_KEY"},
    }
    if source in written:
        embedding["apiKey"] = written[source]
    configure(root, embedding)

    with clawstate.open(root) as state:
        if source == "profile":
            monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
            key = {"type": "api_key", "provider": "openai", "key": KEY}
            state.auth().upsert("openai:default", key)
        state.memory.add("tea")
        settle(state.memory)


def test_the_key_of_one_goes_to_no_other(server, root, monkeypatch) -> None:
    """A server of others is not sent the key of OpenAI that the environment or a profile has."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    embedding = of(server)
    del embedding["apiKey"]
    configure(root, embedding)

    with clawstate.open(root) as state:
        key = {"type": "api_key", "provider": "openai", "key": KEY}
        state.auth().upsert("openai:default", key)
        with pytest.warns(FallbackWarning, match="refuses the key"):
            state.memory.search("tea")

    assert {each.headers.get("Authorization") for each in server.requests} == {None}


@pytest.mark.parametrize("embedding", [None, {"model": "tiny"}, {"provider": "local"}, "disabled"])
def test_a_variable_alone_sends_nothing(server, root, embedding, monkeypatch) -> None:
    """What happens to be in the environment or among the profiles sends no text anywhere."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    if embedding == "disabled":
        entry = {"memory-lancedb": {"enabled": False, "config": {"embedding": of(server)}}}
        root.mkdir()
        (root / "openclaw.json").write_text(json.dumps({"plugins": {"entries": entry}}))
    elif embedding:
        configure(root, embedding)

    with clawstate.open(root) as state:
        key = {"type": "api_key", "provider": "openai", "key": KEY}
        state.auth().upsert("openai:default", key)
        state.memory.add("tea")
        assert state.memory.search("tea", mode="vector")
        assert not str(state.memory.stats()["embedder"]).startswith("openai/")

    assert server.requests == []


def test_a_memory_keeps_its_embedder(server, root) -> None:
    """A state that has vectors of this machine sends nothing, whatever is configured later."""
    with clawstate.open(root) as state:
        state.memory.add("tea")
    configure(root, of(server))

    with clawstate.open(root) as state:
        state.memory.add("coffee")
        assert state.memory.search("coffee", mode="vector")

    assert server.requests == []


def test_another_model_waits_for_a_new_embedding(server, root) -> None:
    """Another configured model changes nothing until all is embedded anew."""
    configure(root, of(server))
    with clawstate.open(root) as state:
        state.memory.add("tea")
        settle(state.memory)
    configure(root, of(server, model="other"))

    with clawstate.open(root) as state:
        assert state.memory.search("tea", mode="vector")
        assert {each.body["model"] for each in server.requests} == {"tiny"}
        done = state.memory.reembed()
        assert (done.before, done.embedder, done.complete) == ("openai/tiny", "openai/other", True)


def test_without_the_server_words_find(server, root) -> None:
    """A record is kept, and found by its words, while the server is down; later by its vector."""
    configure(root, of(server))
    server.always = server_of.reset

    with clawstate.open(root) as state:
        began = time.monotonic()
        state.memory.add("green tea")
        assert time.monotonic() - began < 1
        settle_failure(server)
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            (hit,) = state.memory.search("tea")
        assert (hit.record.text, hit.vector_score) == ("green tea", None)
        assert state.memory.stats()["waiting"] == 1

    server.always = None
    with clawstate.open(root) as state:
        state.memory.optimize()
        assert state.memory.stats()["waiting"] == 0
        assert state.memory.search("tea", mode="vector")[0].vector_score > 0


def settle_failure(server):
    ends = time.monotonic() + PATIENCE
    while not server.requests:
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_a_failure_is_told_once(server, root) -> None:
    """Searches while the server is down do not wait for it each time, and warn once."""
    configure(root, of(server))
    with clawstate.open(root) as state:
        state.memory.add("tea")
        settle(state.memory)
        server.always = server_of.status(503)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for number in range(5):
                assert state.memory.search(f"tea {number}")
        asked = len(server.requests)

        assert [each.category for each in told] == [FallbackWarning]
        assert "503" in str(told[0].message)
        assert asked <= 4  # the record, and a query twice


def test_no_lock_is_held_meanwhile(server, root) -> None:
    """While a server keeps a query or a record waiting, everybody can write and read."""
    configure(root, of(server, dimensions=8))
    server.always = server_of.silent
    with clawstate.open(root) as state, clawstate.open(root) as other:
        state.memory.add("tea")
        settle_failure(server)
        began = time.monotonic()
        other.memory.add("coffee")
        assert len(other.memory.search("coffee", mode="words")) == 1
        assert len(state.memory.search("coffee", mode="words")) == 1
        assert time.monotonic() - began < 2
        server.always = None
        server.released.set()
        settle(state.memory)


def test_a_text_is_embedded_once(server, root) -> None:
    """A text whose vector is known, of another record or a forgotten one, is not sent again."""
    configure(root, of(server))
    with clawstate.open(root) as state:
        state.memory.add("green tea")
        settle(state.memory)
        state.memory.add("green tea", namespace="work")
        assert state.memory.stats()["waiting"] == 0
        state.memory.add_many([{"text": "coffee"}] * 3)
        settle(state.memory)

    assert server.texts.count("green tea") == 1


def test_what_a_server_cannot_embed_holds_up_nobody(server, root) -> None:
    """A text that the server fails at waits alone; all others get their vectors."""
    configure(root, of(server, dimensions=8))

    def picky(handler, request):
        if any("poison" in text for text in request.texts):
            server_of.status(400, message="cannot")(handler, request)
        else:
            server.right(handler, request)

    server.always = picky
    with clawstate.open(root) as state:
        state.memory.add("poison")
        state.memory.add_many([{"text": f"text {number}"} for number in range(300)])
        settle(state.memory, waiting=1)
        with pytest.warns(FallbackWarning, match="1 record waits to be embedded"):
            state.memory.optimize()
        assert state.memory.stats()["waiting"] == 1
        assert state.memory.search("poison", mode="words")[0].record.text == "poison"


def test_a_changed_text_gets_a_new_vector(server, root) -> None:
    """A text that is changed is found by its words at once, and by its meaning afterwards."""
    configure(root, of(server))
    with clawstate.open(root) as state:
        name = state.memory.add("tea")
        settle(state.memory)
        state.memory.update(name, text="coffee")
        assert state.memory.search("coffee", mode="words")
        settle(state.memory)
        assert state.memory.search("coffee", mode="vector")[0].vector_score > 0.9


def test_closing_ends_the_thread(server, root) -> None:
    """A memory that is closed leaves no thread, also while a server keeps it waiting."""
    configure(root, of(server, dimensions=8))
    server.always = server_of.silent
    before = threading.active_count()
    with clawstate.open(root) as state:
        state.memory.add("tea")
        settle_failure(server)
        began = time.monotonic()

    assert time.monotonic() - began < 5
    assert not [each for each in threading.enumerate() if each.name == "clawstate-vectors"]
    assert threading.active_count() <= before + 1  # the server's own


def test_a_command_waits_for_its_vector(server, root) -> None:
    """What one command adds has its vector when the command ends, if the server answers."""
    configure(root, of(server))
    run(root, "memory", "add", "green tea")

    with clawstate.open(root) as state:
        assert state.memory.stats()["waiting"] == 0


def run(root, *words, stdin="", check=True, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "clawstate", "--state-dir", root, *words],
        check=False,
        capture_output=True,
        text=True,
        input=stdin,
        timeout=120,
        env={**os.environ, **environment},
    )
    assert not check or done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    return done


def test_a_preview_tells_the_price_and_sends_nothing(server, root) -> None:
    """A dry run tells texts, tokens and price where the model is known, and sends no text."""
    with clawstate.open(root) as state:
        state.memory.add_many(
            [{"text": f"{number} " + "green tea " * 400} for number in range(300)]
        )
    configure(root, {"apiKey": KEY, "model": "text-embedding-3-large"})

    with clawstate.open(root) as state:
        plan = state.memory.reembed(dry_run=True)
        assert (plan.texts, plan.local, plan.dimensions) == (300, False, 3072)
        assert plan.tokens == pytest.approx(300 * 1001, rel=0.01)
        assert plan.price == pytest.approx(plan.tokens * 0.13e-6)
    told = run(root, "memory", "reembed", "--dry-run").stdout

    assert "300 distinct texts" in told
    assert "for about $0.04 (" in told
    assert "which may have changed" in told


def test_a_price_of_ones_own_counts(root) -> None:
    """Whoever pays another price sets it, for any server and model."""
    with clawstate.open(root) as state:
        state.memory.add("green tea " * 400)
    named = {"baseUrl": "https://models.example/v1", "model": "theirs", "dimensions": 8}
    configure(root, {**named, "apiKey": KEY, "pricePerMillion": 2.5})

    with clawstate.open(root) as state:
        plan = state.memory.reembed(dry_run=True)

    assert plan.price == pytest.approx(plan.tokens * 2.5e-6)


def test_many_texts_are_not_sent_unasked(root) -> None:
    """Above a bound a command that nobody can be asked at sends nothing without `--yes`."""
    with clawstate.open(root) as state:
        state.memory.add_many(
            [{"text": f"{number} " + "green tea " * 400} for number in range(200)]
        )
    configure(root, {"apiKey": KEY})

    refused = run(root, "memory", "reembed", check=False)

    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert "tokens sent to the server" in refused.stderr


def test_a_state_is_embedded_anew_by_a_server(server, root) -> None:
    """All records get the server's vectors, and searches use them afterwards, also elsewhere."""
    with clawstate.open(root) as state:
        state.memory.add_many([{"text": f"text {number}"} for number in range(300)])
    configure(root, of(server))

    told = run(root, "memory", "reembed", "--yes").stdout

    assert "-> openai/tiny, 8 numbers each" in told
    with clawstate.open(root) as state:
        assert state.memory.search("text 7", mode="vector", k=1)[0].record.text == "text 7"


def test_wrong_dimensions_are_an_error(server, root) -> None:
    """A server that gives another length than the memory keeps writes nothing."""
    configure(root, of(server))
    with clawstate.open(root) as state:
        state.memory.add("tea")
        settle(state.memory)
    server.dimensions = 12

    with clawstate.open(root) as state:
        with pytest.warns(FallbackWarning, match="gave 12 dimensions, not 8"):
            state.memory.search("coffee")
        state.memory.add("coffee")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FallbackWarning)
            state.memory.optimize()
        assert state.memory.stats()["waiting"] == 1
        other = OpenAIEmbedder("other", base_url=server.url, key=lambda: KEY, dimensions=8)
        with closing(other), pytest.raises(EmbeddingError, match="12 dimensions"):
            state.memory.reembed(other)
        assert state.memory.search("coffee", mode="words")


@pytest.mark.parametrize(
    ("name", "value"), [("baseUrl", "https://me:hunter2@host"), ("baseUrl", "host"), ("model", "")]
)
def test_senseless_settings_are_told(root, name, value) -> None:
    """A setting that cannot be is an error that names its key, and shows no password."""
    configure(root, {"apiKey": KEY, name: value})

    with (
        clawstate.open(root) as state,
        pytest.raises(ConfigError, match=f"embedding.{name}") as told,
    ):
        state.memory.add("tea")

    assert "hunter2" not in str(told.value)


def test_a_variable_that_is_not_set_costs_no_record(root, monkeypatch) -> None:
    """Where the key's variable is not set, records are kept and found by words."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    configure(root, {"apiKey": "${OPENAI_API_KEY}"})

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with clawstate.open(root) as state:
            state.memory.add("green tea")
            assert state.memory.search("tea")[0].record.text == "green tea"

    assert any("OPENAI_API_KEY" in str(each.message) for each in told)


def test_no_file_holds_the_key(server, root) -> None:
    """After adds, searches and failures the key is in the configuration and nowhere else."""
    configure(root, of(server))
    with clawstate.open(root) as state:
        state.memory.add("tea")
        settle(state.memory)
        server.always = server_of.status(401, message=KEY)
        with pytest.warns(FallbackWarning):
            state.memory.search("coffee")

    holding = [
        path.name
        for path in Path(root).rglob("*")
        if path.is_file() and KEY.encode() in path.read_bytes()
    ]
    assert holding == ["openclaw.json"]


def test_vectors_of_a_server_are_searched_exactly(server, root) -> None:
    """The nearest are those of the server's vectors, in their order."""
    configure(root, of(server))
    texts = [f"{a} {b}" for a in ("tea", "coffee", "milk") for b in ("green", "black", "white")]
    with clawstate.open(root) as state:
        state.memory.add_many([{"text": text} for text in texts])
        settle(state.memory)
        found = [each.record.text for each in state.memory.search("tea green", mode="vector", k=9)]

    cosines = np.array([server.unit(text) @ server.unit("tea green") for text in texts])
    best = [texts[each] for each in np.argsort(-cosines)]
    assert found[0] == "tea green"
    assert found[:5] == best[:5]
