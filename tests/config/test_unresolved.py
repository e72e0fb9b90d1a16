from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
from config_files import write_own

import clawstate
from clawstate.config.service import Config
from clawstate.doctor import examine
from clawstate.errors import ConfigError, UnresolvedWarning
from clawstate.files.paths import StatePaths

TEXT = """{
  channels: {telegram: {enabled: false, botToken: "${TELEGRAM_BOT_TOKEN}"}},
  mine: ["${FIRST}", "x${SECOND}"],
  $include: "more.json5",
}
"""


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state/more.json5").write_text('{env: {vars: {A: "${THIRD}"}}}')
    return StatePaths(tmp_path / "state")


def opened(paths: StatePaths, text: str = TEXT, **env: str) -> Config:
    paths.config.write_text(text)
    return Config(paths, env={"HOME": "/h", **env}, cwd=paths.root)


@pytest.fixture
def config(paths: StatePaths) -> Config:
    """Return a configuration whose variables are missing, after its one warning."""
    config = opened(paths)
    with pytest.warns(UnresolvedWarning):
        config.view()
    return config


def test_one_warning_names_all_that_waits(paths: StatePaths) -> None:
    """Every value that waits is named with its variable, in one warning and only once."""
    config = opened(paths)

    with pytest.warns(UnresolvedWarning) as caught:
        config.get("gateway.port")

    message = str(caught[0].message)
    assert len(caught) == 1
    assert config.get("no.such") is None
    for each in ("channels.telegram.botToken", "TELEGRAM_BOT_TOKEN", "mine[1]", "env.vars.A"):
        assert each in message


def test_warning_is_given_again_for_what_is_new(config: Config, paths: StatePaths) -> None:
    """Another file that waits for the same is silent; one that waits for more says what."""
    paths.config.write_text(TEXT.replace("enabled: false", "enabled: true"))
    config.get("gateway.port")

    paths.config.write_text(TEXT.replace("{\n", '{\n web: "${FOURTH}",\n', 1))

    with pytest.warns(UnresolvedWarning, match=r"^web needs the variable FOURTH"):
        config.get("gateway.port")


@pytest.mark.parametrize(
    "path", ["channels.telegram.botToken", "mine[0]", "mine.1", "mine[-1]", "env.vars.A"]
)
def test_the_very_value_is_an_error(config: Config, path: str) -> None:
    """Whoever asks for a value that waits gets a typed error, with a default as well."""
    for ask in (config.get, config.require, config.redacted, config.secret):
        with pytest.raises(ConfigError, match="needs the variable"):
            ask(path)
    with pytest.raises(ConfigError, match="needs the variable"):
        config.get(path, "default")


def test_everything_else_is_read(config: Config) -> None:
    """Neighbours, what is around, and the whole are read; the template stands where it stood."""
    assert config.get("channels.telegram.enabled") is False
    assert config.get("channels.telegram") == {
        "enabled": False,
        "botToken": "${TELEGRAM_BOT_TOKEN}",
    }
    assert config.redacted()["mine"] == ["${FIRST}", "x${SECOND}"]
    assert config.resolve()["gateway"]["port"] == 18789


def test_secrets_around_it_are_used_together(config: Config) -> None:
    """A part of the configuration that is used with its secrets needs all of them."""
    assert config.secret("channels.telegram.enabled") is False
    with pytest.raises(ConfigError, match="TELEGRAM_BOT_TOKEN"):
        config.secret("channels")


def test_provider_that_waits_is_not_asked(paths: StatePaths) -> None:
    """A provider of secrets whose own settings wait for a variable is refused by name."""
    text = """{secrets: {providers: {vault: {source: "file", path: "${NOWHERE}"}}},
      web: {source: "file", provider: "vault", id: "/a"}}"""
    config = opened(paths, text)

    with pytest.warns(UnresolvedWarning), pytest.raises(ConfigError) as caught:
        config.secret("web")

    assert caught.value.name == "secrets.providers.vault.path"


def test_others_are_written(config: Config, paths: StatePaths) -> None:
    """Other settings are set and unset, and a value that waits can be replaced."""
    config.set("gateway.port", 5)
    config.set("mine[1]", "now")
    config.unset("channels.telegram.botToken")

    assert config.get("mine[1]") == "now"
    assert config.get("channels.telegram") == {"enabled": False}
    assert '"${FIRST}"' in paths.config.read_text()


def test_listeners_are_told_of_the_others(config: Config, paths: StatePaths) -> None:
    """A value that waits is none for those who listen, until its variable is set."""
    heard: list[tuple[object, object]] = []
    config.on_change("mine[0]", lambda old, new: heard.append((old, new)))

    paths.config.write_text(TEXT.replace("${FIRST}", "first"))
    config.get("gateway.port")

    assert heard == [(None, "first")]


def test_agents_have_what_waits_as_well(config: Config, paths: StatePaths) -> None:
    """An agent's own file may wait for a variable, and everything else of it is read."""
    write_own(paths, "ada", '{gateway: {port: 7}, mine: "${OWN}"}')

    with pytest.warns(UnresolvedWarning, match="OWN"):
        assert config.resolve("ada")["gateway"]["port"] == 7
    with pytest.raises(ConfigError, match="OWN"):
        config.require("mine", agent_id="ada")


def test_variable_that_is_set_later_counts(paths: StatePaths) -> None:
    """Once the variable stands in `.env`, the value is there, without opening again."""
    config = opened(paths, '{mine: "${FIRST}"}')
    with pytest.warns(UnresolvedWarning):
        config.view()

    (paths.root / ".env").write_text("FIRST=1\n")

    assert config.get("mine") == "1"


def test_every_store_works_without_the_variable(paths: StatePaths) -> None:
    """Credentials, sessions and devices are listed and written though a channel waits."""
    paths.config.write_text(TEXT)

    with clawstate.open(paths.root) as state, warnings.catch_warnings():
        warnings.simplefilter("ignore", UnresolvedWarning)
        assert state.dedupe.check_and_record("a")
        assert not state.auth().profiles()
        assert state.devices.paired() == ()
        assert len(state.sessions.entries()) == 0
        found = [each for each in examine(state) if "TELEGRAM_BOT_TOKEN" in each.message]

    assert [each.code for each in found] == ["config"]


WAITING = {
    "caches.query.ttl": lambda state: state.memory.search("tea"),
    "caches.query.maxEntries": lambda state: state.memory.add("tea"),
    "pairing.limit": lambda state: state.pairing.pending(),
}


@pytest.mark.parametrize("path", WAITING)
def test_what_does_not_need_a_setting_works_while_it_waits(paths: StatePaths, path: str) -> None:
    """A setting that waits for a variable keeps nobody who can do without it."""
    tree: object = "${NOT_SET_ANYWHERE}"
    for key in reversed(path.split(".")):
        tree = {key: tree}
    paths.config.write_text(json.dumps(tree))

    with clawstate.open(paths.root) as state, warnings.catch_warnings():
        warnings.simplefilter("ignore", UnresolvedWarning)
        WAITING[path](state)


def test_who_needs_the_limit_is_told(paths: StatePaths) -> None:
    """A request to be paired is refused while the limit waits for a variable."""
    paths.config.write_text('{pairing: {limit: "${NOT_SET_ANYWHERE}"}}')

    with clawstate.open(paths.root) as state, warnings.catch_warnings():
        warnings.simplefilter("ignore", UnresolvedWarning)
        with pytest.raises(ConfigError, match="NOT_SET_ANYWHERE"):
            state.pairing.request(user_id="ada", device_id="phone")


def test_a_type_is_not_judged_while_its_value_waits(paths: StatePaths) -> None:
    """A setting of text that waits is told once: by what it waits for, not as wrong text."""
    config = opened(paths, '{state: {store: "${STORE}"}}')

    (issue,) = config.issues()

    assert (issue.path, issue.severity) == (("state", "store"), "error")
    assert "STORE" in issue.message
