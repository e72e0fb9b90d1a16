"""Where each setting stands that somebody wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_files import CANARY

import clawstate
from clawstate.wire import to_wire

MAIN = """{
  // Of the whole house.
  $include: "more/base.json5",
  gateway: {
    port: 1234,
    auth: {mode: "token", token: "%s"},
  },
  logging: {file: "${PLACE}/log"},
  agents: {list: [{id: "ada", skills: ["a", "b"]}]},
}
"""
BASE = """{
  gateway: {port: 1, bind: "loopback"},
  memory: {store: {apiKey: {source: "env", id: "KEY"}}},
}
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, clawstate.WrittenSetting]:
    """Return the settings of a configuration that includes a file, by key path."""
    monkeypatch.setenv("PLACE", "/var")
    root = tmp_path / "state"
    with clawstate.open(root) as state:
        (root / "more").mkdir(parents=True)
        (root / "more" / "base.json5").write_text(BASE)
        state.config.path.write_text(MAIN % CANARY)
        return {to_wire(each)["path"]: each for each in state.config.written()}


def test_a_setting_names_its_file_and_line(written) -> None:
    """The file that wins is named, an included one where nothing else says it; defaults are not."""
    port, bind = written["gateway.port"], written["gateway.bind"]

    assert (port.value, port.file.name, port.line) == (1234, "openclaw.json", 5)
    assert (bind.value, bind.file.name, bind.line) == ("loopback", "base.json5", 2)
    assert written["agents.list[0].skills"].value == ["a", "b"]
    assert "gateway.mode" not in written


def test_a_secret_is_told_of_and_left_out(written) -> None:
    """Of a secret in the clear only its place is told; a reference to one is shown."""
    token = written["gateway.auth.token"]

    assert (token.is_secret, token.value, token.template, token.line) == (True, None, None, 6)
    assert CANARY not in str(to_wire(list(written.values())))
    assert written["memory.store.apiKey"].value == {"source": "env", "id": "KEY"}


def test_variables_are_shown_as_they_are_written(written) -> None:
    """A text with a variable has both: what it means, and how it stands in the file."""
    file = written["logging.file"]

    assert (file.value, file.template) == ("/var/log", "${PLACE}/log")
    assert written["gateway.port"].template is None


@pytest.mark.parametrize("value", ["__OPENCLAW_REDACTED__", {"mode": ["__OPENCLAW_REDACTED__"]}])
def test_what_stands_for_a_secret_is_never_written(tmp_path: Path, value) -> None:
    """A value that was shown without its secrets is refused, so none is overwritten by it."""
    with clawstate.open(tmp_path / "state") as state:
        state.config.set("gateway.auth.token", CANARY)

        with pytest.raises(clawstate.InvalidError, match="secret was left out"):
            state.config.set("gateway.auth", value)
        with pytest.raises(clawstate.InvalidError, match="secret was left out"):
            state.config.set("gateway.auth.token", value)

        assert state.config.secret("gateway.auth.token") == CANARY
