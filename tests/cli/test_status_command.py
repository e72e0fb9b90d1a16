from __future__ import annotations

from pathlib import Path


def test_a_problem_of_several_parts_is_told_once(cli, tmp_path: Path) -> None:
    """With a configuration that cannot be read, one line names all that waits for it."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state/openclaw.json").write_text("{gateway: {port: }")

    done = cli("status")

    assert (done.out + done.err).count("is not JSON5") == 1


def test_what_is_healthy_is_shown_beside_damage(cli, tmp_path: Path) -> None:
    """A damaged memory hides nothing of the other parts, and the exit code tells of it."""
    cli("dedupe", "check", "a")
    (tmp_path / "state/memory").mkdir()
    (tmp_path / "state/memory/memory.db").write_bytes(b"no database" * 100)

    done = cli("status")

    assert done.code == 1
    assert "dedupe marks" in done.out
    assert "memory.db" in done.err


def test_counts_of_vectors_are_told_in_words(cli) -> None:
    """People read what a count means; programs read the names that they know."""
    cli("memory", "add", "tea")

    for verb in (["status"], ["memory", "stats"]):
        told = cli(*verb).out
        for words in ("without a vector yet", "vectors kept for reuse", "index of vectors"):
            assert words in told
        assert "waiting" not in told
    assert cli("status", "--json").json["memory"]["waiting"] == 0
