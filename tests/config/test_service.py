from __future__ import annotations

import json
import threading
import warnings
from pathlib import Path

import pytest
from config_files import CANARY, write_own

from clawstate.config.service import Config
from clawstate.errors import (
    ConfigError,
    ConflictError,
    CorruptError,
    CorruptWarning,
    InvalidError,
    NotFoundError,
    StateError,
    UnresolvedWarning,
)
from clawstate.files.paths import StatePaths
from clawstate.testing.forked import child_process, in_threads

TEXT = """// what my agent is
{
  gateway: {
    mode: 'local', // never remote
    port: 0x4965,
    auth: {token: "${TOKEN}"},
  },
  agents: {list: [{id: "ada"}]},
}
"""


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    (tmp_path / "state").mkdir(mode=0o700)
    return StatePaths(tmp_path / "state")


def opened(paths: StatePaths, text: str | None = None, **env: str) -> Config:
    if text is not None:
        paths.config.write_text(text)
    return Config(paths, env={"HOME": "/h", **env}, cwd=paths.root)


def test_values_are_read_with_variables_and_defaults(paths: StatePaths) -> None:
    """What is read is what the configuration means, with variables and defaults in it."""
    config = opened(paths, TEXT, TOKEN="t")

    assert config.get("gateway.port") == 0x4965
    assert config.get("gateway.auth.token") == "t"
    assert config.get("agents.list[0].id") == config.require("agents.list[-1].id") == "ada"
    assert config.get("no.such", 7) == 7
    assert config.resolve("ada")["gateway"]["mode"] == "local"
    assert config.redacted("gateway.port") == 0x4965


def test_missing_file_is_an_empty_configuration(paths: StatePaths) -> None:
    """Without a file there are only defaults, and looking makes none."""
    config = opened(paths)

    assert config.get("gateway.mode") == "local"
    assert config.text() == ""
    assert config.history() == ()
    assert not config.changed()
    assert not paths.config.exists()


def test_require_names_what_is_near(paths: StatePaths) -> None:
    """A key that is not there is an error that knows the ones like it."""
    config = opened(paths, TEXT, TOKEN="t")

    with pytest.raises(NotFoundError, match=r"did you mean port\?"):
        config.require("gateway.prot")
    with pytest.raises(InvalidError):
        config.get("agents.list[x")


def test_values_are_copies(paths: StatePaths) -> None:
    """Whoever changes what was given to them changes nothing of the configuration."""
    config = opened(paths, TEXT, TOKEN="t")

    for given in (config.get("agents"), config.require("agents"), config.resolve()["agents"]):
        given["list"].clear()
    config.redacted("agents")["list"].clear()

    assert config.get("agents.list[0].id") == "ada"
    assert config.resolve()["agents"]["list"]


def test_view_stays_as_it_was(paths: StatePaths) -> None:
    """A view shows one state of the configuration, whatever is written later."""
    config = opened(paths, TEXT, TOKEN="t")
    view = config.view()

    config.set("gateway.port", 2)

    assert (view.get("gateway.port"), config.get("gateway.port")) == (0x4965, 2)


@pytest.mark.parametrize("agent", [None, "ada"])
def test_a_setting_that_changed_meanwhile_is_left(paths: StatePaths, agent: str | None) -> None:
    """Who names the configuration as it was seen changes a setting only if that is as it was."""
    config = opened(paths, TEXT, TOKEN="x")
    seen = config.view() if agent is None else config.agent_view(agent)
    config.set("gateway.bind", "lan", agent_id=agent)
    config.set("gateway.port", 1, expect=seen, agent_id=agent)

    with pytest.raises(ConflictError):
        config.set("gateway.port", 2, expect=seen, agent_id=agent)
    with pytest.raises(ConflictError):
        config.unset("gateway.bind", expect=seen, agent_id=agent)

    assert config.require("gateway.port", agent_id=agent) == 1
    assert config.require("gateway.bind", agent_id=agent) == "lan"
    now = config.view() if agent is None else config.agent_view(agent)
    assert config.unset("gateway.bind", expect=now, agent_id=agent) is not None


def test_outside_change_is_seen_by_the_next_look(paths: StatePaths) -> None:
    """What somebody else wrote is what the next look returns."""
    config = opened(paths, "{gateway: {port: 1}}")
    config.get("gateway.port")

    paths.config.write_text("{gateway: {port: 2}}")

    assert config.get("gateway.port") == 2


def test_variable_without_a_value_is_an_error_with_its_place(paths: StatePaths) -> None:
    """A variable that is not set is told by name, key, file, line, and what to do."""
    config = opened(paths, TEXT)

    with pytest.warns(UnresolvedWarning), pytest.raises(ConfigError) as caught:
        config.get("gateway.auth.token")

    message = str(caught.value)
    assert all(each in message for each in ("TOKEN", "gateway.auth.token", ":6:19", ".env"))
    assert [issue.line for issue in config.issues() if issue.severity == "error"] == [6]


def test_escaped_variable_is_text(paths: StatePaths) -> None:
    """A doubled dollar is no variable, neither when it is read nor when it is written."""
    config = opened(paths, '{env: {vars: {A: "$${TOKEN}"}}}')

    config.set("env.vars.B", "$${OTHER}")

    assert config.get("env.vars.A") == "${TOKEN}"
    assert config.get("env.vars.B") == "${OTHER}"
    assert paths.config.read_text() == '{env: {vars: {A: "$${TOKEN}", B: "$${OTHER}"}}}'


def test_first_read_of_a_broken_file_raises(paths: StatePaths) -> None:
    """Where nothing good was ever read, a broken text is an error with its place."""
    config = opened(paths, "{\n  gateway: {port 1}\n}")

    with pytest.raises(CorruptError, match=r"line 2.*column 18|2:18"):
        config.get("gateway.port")


def test_broken_text_leaves_the_last_good_one_in_force(paths: StatePaths) -> None:
    """A text that somebody broke is told of once, with its place, and mended it is taken up."""
    config = opened(paths, "{gateway: {port: 1}}")
    config.get("gateway.port")
    config.resolve("ada")

    paths.config.write_text("{\n  gateway: {port 2}\n}")

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        seen = [config.get("gateway.port") for _ in range(3)]
        own = config.resolve("ada")["gateway"]["port"]
    assert seen == [1, 1, 1]
    assert own == 1
    assert [each.category for each in told] == [CorruptWarning]
    assert "line 2" in str(told[0].message)
    assert "column 18" in str(told[0].message)
    assert told[0].filename == __file__
    assert not config.changed()
    with pytest.raises(CorruptError):
        config.set("gateway.port", 3)
    paths.config.write_text("{gateway: {port: 4}}")
    assert config.get("gateway.port") == config.resolve("ada")["gateway"]["port"] == 4
    assert config.changed()


def test_each_new_break_is_told(paths: StatePaths) -> None:
    """A file that is broken, mended, and broken again is told of twice."""
    config = opened(paths, "{gateway: {port: 1}}")
    config.get("gateway.port")

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for text in ("{", "{gateway: {port: 2}}", "{"):
            paths.config.write_text(text)
            config.get("gateway.port")

    assert len(told) == 2
    assert config.get("gateway.port") == 2


def test_invalidate_forgets_the_last_good_one(paths: StatePaths) -> None:
    """After `invalidate` a broken file is an error again, as there is nothing to fall back to."""
    config = opened(paths, "{}")
    config.view()
    paths.config.write_text("{")

    config.invalidate()

    with pytest.raises(CorruptError):
        config.view()


def test_issues_know_their_places(paths: StatePaths) -> None:
    """A wrong type and an unknown key are told of with line and column, and no value."""
    config = opened(paths, f"{{\n  gateway: {{port: '{CANARY}'}},\n  gatewey: 1,\n}}")

    found = {issue.path: issue for issue in config.issues()}

    wrong, unknown = found["gateway", "port"], found[("gatewey",)]
    assert (wrong.severity, wrong.line) == ("error", 2)
    assert (unknown.severity, unknown.line, unknown.column) == ("warning", 3, 3)
    assert "gateway" in unknown.hint
    assert CANARY not in str(wrong)


def test_agent_has_its_own_values(paths: StatePaths) -> None:
    """An agent's own file counts over the configuration, and a change of it is seen."""
    own = write_own(paths, "ada", "{tools: {profile: 'full'}}")
    config = opened(paths, "{tools: {profile: 'minimal'}}")
    first = config.resolve("ada")["tools"]["profile"]

    own.write_text("{tools: {profile: 'coding'}}")

    assert (first, config.resolve("ada")["tools"]["profile"]) == ("full", "coding")
    assert config.redacted("tools.profile", agent_id="ada") == "coding"
    assert config.get("tools.profile") == config.resolve("bob")["tools"]["profile"] == "minimal"


def test_no_view_shows_a_secret(paths: StatePaths) -> None:
    """No diff, redacted value, issue, audit line, repr, error or warning holds a secret."""
    text = f"""{{
  gateway: {{mode: 'local', auth: {{token: "{CANARY}"}}}},
  channels: {{telegram: {{botToken: "${{BOT}}"}}}},
  models: {{providers: {{p: {{apiKey: "{CANARY}-2"}}}}}},
}}"""
    config = opened(paths, text, BOT=f"{CANARY}-3")
    shown: list[object] = [config, config.view(), config.view().loaded]

    shown.append(config.set("gateway.auth.token", f"{CANARY}-4"))
    shown.append(config.unset("models.providers.p.apiKey"))
    shown.append(config.undo())
    shown += [config.diff(each.number) for each in config.history()]
    shown += [config.redacted(), config.redacted(agent_id="ada"), config.issues(), config.history()]
    for path, value in (
        ("gateway.port", f"{CANARY}-5"),
        ("gateway", [f"{CANARY}-6"]),
        ("gateway.auth.token.x", f"{CANARY}-7"),
        ("gateway.auth.token", object()),
    ):
        with pytest.raises(StateError) as caught:
            config.set(path, value)
        shown += [caught.value, str(caught.value), caught.value.__cause__]
    with pytest.raises(StateError) as caught:
        config.replace(f"{{gateway: '{CANARY}-8' 2}}")
    shown += [caught.value, str(caught.value), caught.value.__context__]
    paths.config.write_text(f"{{gateway: '{CANARY}-9' 2}}")
    with pytest.warns(CorruptWarning) as told:
        config.get("gateway")
    shown += [str(each.message) for each in told]
    shown.append((paths.logs_dir / "config-audit.jsonl").read_text())

    assert CANARY not in repr(shown)
    assert "__OPENCLAW_REDACTED__" in config.diff(2)


def test_secret_that_is_a_file_of_its_own_is_not_shown(paths: StatePaths) -> None:
    """The diff of an included file that holds nothing but a secret shows nothing of it."""
    (paths.root / "token.json5").write_text(f'"{CANARY}"\n')
    config = opened(paths, "{gateway: {auth: {token: {$include: './token.json5'}}}}")

    config.set("gateway.auth.token", f"{CANARY}-2")

    assert CANARY not in config.diff()
    assert CANARY in (paths.root / "token.json5").read_text()


def test_secret_under_a_key_that_stands_twice_is_not_shown(paths: StatePaths) -> None:
    """A value that a later one of the same key replaces is left out of the diff as well."""
    text = f"{{gateway: {{auth: {{token: '{CANARY}', token: '${{T}}'}}, port: 1}}}}"
    config = opened(paths, text, T="t")

    config.set("gateway.port", 2)

    assert CANARY not in config.diff()
    assert "${T}" in config.diff()
    assert CANARY in paths.config.read_text()


def test_replace_refuses_a_text_that_is_outdated(paths: StatePaths) -> None:
    """Whoever edited an older text is told, and the newer one stays."""
    config = opened(paths, "{gateway: {port: 1}}")
    seen = config.text()
    paths.config.write_text("{gateway: {port: 2}}")

    with pytest.raises(ConflictError):
        config.replace("{gateway: {port: 3}}", expected=seen)

    assert paths.config.read_text() == "{gateway: {port: 2}}"
    changed = config.replace("{gateway: {port: 3}}", expected=config.text())
    assert changed is not None
    assert changed.paths == ("gateway",)
    assert config.replace("{gateway: {port: 3}}") is None


def test_threads_race_without_a_torn_view(paths: StatePaths) -> None:
    """Threads that read and write at once see whole states, and no edit is lost."""
    config = opened(paths, '{env: {vars: {A: "0", B: "0"}}}')
    numbers = iter(range(8))
    done = threading.Event()

    def write() -> None:
        number = next(numbers)
        for count in range(4):
            config.set(f"env.vars.T{number}_{count}", "x")

    def read() -> None:
        while not done.is_set():
            found = config.get("env.vars")
            assert found["A"] == "0"
            assert len(found) >= 2

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        in_threads(4, write)
    finally:
        done.set()
        for reader in readers:
            reader.join()

    assert len(config.get("env.vars")) == 18
    assert not config.changed()


def test_forked_child_uses_its_own(paths: StatePaths) -> None:
    """A forked child reads and writes with the object of its parent, which sees what it wrote."""
    config = opened(paths, "{gateway: {port: 1}}")
    config.set("gateway.port", 2)

    def work(_: object) -> None:
        assert config.get("gateway.port") == 2
        config.set("gateway.port", 3)
        assert not config.changed()

    with child_process(work) as child:
        status = child.wait()

    assert status == 0
    assert config.get("gateway.port") == 3
    assert config.changed()


def test_largest_configuration_is_read_and_edited(paths: StatePaths) -> None:
    """A file of nearly 5 MB works; one that is larger is an error, and so is growing into one."""
    filler = "x" * 4_900_000
    text = json.dumps({"env": {"vars": {"A": filler}}})
    config = opened(paths, text)

    config.set("gateway.port", 2)
    with pytest.raises(ConfigError, match="larger than 5,000,000 bytes"):
        config.set("env.vars.B", "y" * 200_000)

    assert config.get("env.vars.A") == filler
    assert config.get("gateway.port") == 2
    paths.config.write_text(json.dumps({"env": {"vars": {"A": "x" * 5_000_000}}}))
    config.invalidate()
    with pytest.raises(ConfigError, match="larger than 5,000,000 bytes"):
        config.get("gateway.port")


def test_link_to_nothing_is_an_error(paths: StatePaths) -> None:
    """A dangling link is never taken for an empty configuration, nor replaced."""
    paths.config.symlink_to(paths.root / "gone.json")
    config = opened(paths)

    with pytest.raises(ConfigError, match="link to nothing"):
        config.get("gateway.port")
    with pytest.raises(ConfigError, match="link to nothing"):
        config.set("gateway.port", 1)

    assert paths.config.is_symlink()
    assert not (paths.root / "gone.json").exists()


def test_quiet_reading_makes_no_warning(paths: StatePaths) -> None:
    """A sound configuration is read, written and read again without a word."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        config = opened(paths, TEXT, TOKEN="t")
        config.set("gateway.port", 1)
        config.get("gateway.port")

    assert told == []


def test_number_below_a_service_account_is_not_shown(paths: StatePaths) -> None:
    """A service account is a secret as a whole, its numbers too; any other number is shown."""
    paths.config.write_text("{a: {serviceAccount: {pin: 1234}}, gateway: {port: 5}}")
    config = Config(paths, env={"HOME": "/h"}, cwd=paths.root)

    assert config.redacted("gateway.port") == 5
    with pytest.raises(NotFoundError):
        config.redacted("a.serviceAccount.pin")
