"""Why records have no vector, or none of the embedder that the setting names, as people read it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import clawstate
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.upkeep import EMBEDDER_SETTING

WAYS_OUT = ("memory reembed --embedder static",)


@pytest.fixture
def lacking(cli, tmp_path, monkeypatch) -> None:
    """Have the setting name the transformer, whose files are not there, and add two records."""
    monkeypatch.setenv("CLAWSTATE_MODELS", str(tmp_path / "none"))
    cli("config", "set", EMBEDDER_SETTING, "transformer")
    cli("memory", "add", "Ada prefers green tea")
    cli("memory", "add", "The wing flutters")


@pytest.mark.usefixtures("lacking")
@pytest.mark.parametrize("verb", [["doctor"], ["doctor", "--fix"], ["memory", "optimize"]])
def test_records_that_go_on_waiting_are_told(cli, verb) -> None:
    """What could not embed does not say that it did: it counts them, says why, and names a way."""
    told = cli(*verb)

    assert told.code == 1
    assert "2 records wait for their vectors" in told.out
    assert "done" not in told.out
    assert all(way in told.out for way in WAYS_OUT)
    assert cli("memory", "stats", "--json").json["waiting"] == 2


@pytest.mark.usefixtures("lacking")
def test_what_takes_long_is_told_before_it_does(cli) -> None:
    """`memory optimize` says that it makes vectors, and of how many records, if any wait."""
    assert "making vectors for 2 records" in cli("memory", "optimize").err
    assert "making" not in cli("memory", "optimize", "--json").err
    cli("memory", "reembed", "--embedder", "static")
    assert "making" not in cli("memory", "optimize").err


@pytest.mark.usefixtures("lacking")
@pytest.mark.parametrize("verb", [["memory", "reembed"], ["memory", "reembed", "--dry-run"]])
def test_embedding_anew_without_the_model_names_the_way_out(cli, verb) -> None:
    """A plain `memory reembed` that cannot says how to do without the model, and that works."""
    failed = cli(*verb)

    assert failed.code == 1
    assert all(way in failed.err for way in WAYS_OUT)
    assert cli("memory", "reembed", "--embedder", "static").code == 0
    assert cli("memory", "optimize", "--json").json == {"ok": True, "waiting": 0}


@pytest.mark.usefixtures("lacking")
def test_a_setting_that_the_vectors_do_not_follow_is_told(cli) -> None:
    """Where the setting names one embedder and vectors are of another, both commands are told."""
    cli("memory", "reembed", "--embedder", "static")

    for verb in (["doctor"], ["memory", "stats"]):
        told = cli(*verb)
        assert told.code == 0
        assert "transformer is asked for" in told.out
        assert f"set {EMBEDDER_SETTING} to static" in told.out
    cli("config", "set", EMBEDDER_SETTING, "static")
    assert cli("doctor").out.strip() == "all is well"
    assert EMBEDDER_SETTING not in cli("memory", "stats").out


@pytest.mark.usefixtures("lacking")
def test_a_memory_that_is_not_searched_by_meaning_waits_for_nothing(cli) -> None:
    """With vectors switched off, records without one are as they should be."""
    cli("config", "set", "memory.store.vector.enabled", "false")

    done = cli("memory", "optimize")
    assert (done.code, done.err) == (0, "")
    assert "wait" not in cli("doctor").out


class LettersEmbedder:
    """Makes a vector of how long each text is."""

    identity = EmbedderIdentity("letters", 2)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[0.6, 0.8] for _ in texts], np.float32)


def test_what_a_discarded_reembedding_left_is_called_so(cli, tmp_path) -> None:
    """The bytes of vectors that were dropped are not told as those of forgotten records."""
    looked = iter([False, True])
    with clawstate.open(tmp_path / "state") as state:
        state.memory.add_many({"text": f"note {number}"} for number in range(100))
        done = state.memory.reembed(LettersEmbedder(), cancelled=lambda: next(looked))

    dropped = cli("memory", "reembed", "--discard")
    told = cli("doctor")

    assert not done.complete
    assert "memory compact" in dropped.out
    assert "bytes of 64 records forgotten, changed or embedded anew" in told.out
    assert "cleared bytes of 64 records" in cli("memory", "compact").out
