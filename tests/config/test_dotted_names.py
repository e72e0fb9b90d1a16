from __future__ import annotations

from pathlib import Path

import pytest

import clawstate
from clawstate.config.dotted_names import SECTIONS
from clawstate.config.schema.root import Config as Schema
from clawstate.config.service import Config
from clawstate.errors import InvalidError, NotFoundError
from clawstate.files.paths import StatePaths

LLAMA = '{models:{providers:{"llama.cpp":{baseUrl:"http://old"}}}}'
GPT = '{agents:{defaults:{models:{"openai/gpt-4.1":{alias:"new"},"openai/gpt-4":{alias:"old"}}}}}'


def opened(root: Path, text: str) -> Config:
    (root / "openclaw.json").write_text(text)
    return Config(StatePaths(root), env={"HOME": "/h"}, cwd=root)


def test_name_with_a_dot_is_read(tmp_path: Path) -> None:
    """A plain path leads through a key with a dot in its name, as the brackets do."""
    config = opened(tmp_path, LLAMA)

    for path in ("models.providers.llama.cpp.baseUrl", 'models.providers["llama.cpp"].baseUrl'):
        assert config.get(path) == config.redacted(path) == config.secret(path) == "http://old"
    assert config.get("models.providers.llama.cpp") == {"baseUrl": "http://old"}
    assert config.get('models.providers["llama"]["cpp"]') is None


def test_name_with_a_dot_is_edited(tmp_path: Path) -> None:
    """Members of such a key are replaced, added and removed, and no key is made beside it."""
    config = opened(tmp_path, LLAMA)

    config.set("models.providers.llama.cpp.baseUrl", "http://new")
    change = config.set("models.providers.llama.cpp.api", "x")
    config.unset("models.providers.llama.cpp.baseUrl")

    assert change is not None
    assert change.paths == ('models.providers["llama.cpp"].api',)
    assert (
        tmp_path / "openclaw.json"
    ).read_text() == '{models:{providers:{"llama.cpp":{api:"x"}}}}'


def test_digits_behind_the_dot_are_part_of_the_name(tmp_path: Path) -> None:
    """`gpt-4.1` is meant where it stands, though `gpt-4` stands beside it."""
    config = opened(tmp_path, GPT)

    config.set("agents.defaults.models.openai/gpt-4.1.alias", "newer")
    config.unset("agents.defaults.models.openai/gpt-4")

    assert config.get("agents.defaults.models") == {"openai/gpt-4.1": {"alias": "newer"}}


def test_brackets_mean_single_steps(tmp_path: Path) -> None:
    """Steps in brackets are never put together to a name with a dot."""
    config = opened(tmp_path, LLAMA)

    config.set('models.providers["llama"]["cpp"].baseUrl', "other")

    assert config.get("models.providers.llama.cpp.baseUrl") == "other"
    assert config.get('models.providers["llama.cpp"].baseUrl') == "http://old"


def test_edit_that_may_mean_two_keys_is_refused(tmp_path: Path) -> None:
    """Where both keys are there, the error tells how each is written, and nothing is changed."""
    text = '{mine:{"a.b":{c:1}, a:{b:{c:2}}}}'
    config = opened(tmp_path, text)

    for change in (lambda: config.set("mine.a.b.c", 3), lambda: config.unset("mine.a.b.c")):
        with pytest.raises(InvalidError) as caught:
            change()
        assert 'mine["a.b"]["c"]' in caught.value.hint
        assert 'mine["a"]["b"]["c"]' in caught.value.hint

    assert (tmp_path / "openclaw.json").read_text() == text
    config.set('mine["a.b"]["c"]', 3)
    assert config.get('mine["a.b"].c') == 3


def test_setting_and_its_slip_are_told_apart(tmp_path: Path) -> None:
    """A key such as `"gateway.port"` at the top is no setting: reads pass it, edits refuse."""
    config = opened(tmp_path, '{"gateway.port": 1}')

    assert config.get("gateway.port") == 18789
    with pytest.raises(InvalidError, match=r'write \["gateway.port"\] or gateway\["port"\]'):
        config.set("gateway.port", 2)

    config.unset('["gateway.port"]')
    config.set("gateway.port", 2)
    assert config.get("gateway.port") == 2


def test_plain_trees_are_read_and_changed_alike() -> None:
    """The functions on trees find the same keys."""
    tree = {"llama.cpp": {"url": 1}}

    clawstate.set_config_value_at_path(tree, "llama.cpp.port", 2)

    assert clawstate.get_config_value_at_path(tree, "llama.cpp.port") == 2
    assert clawstate.unset_config_value_at_path(tree, "llama.cpp.url") == {"llama.cpp": {"port": 2}}


def test_what_is_missing_is_named_as_it_was_written(tmp_path: Path) -> None:
    """A path that leads nowhere by any reading is not found."""
    config = opened(tmp_path, LLAMA)

    with pytest.raises(NotFoundError):
        config.require("models.providers.llama.cpp.port")
    with pytest.raises(NotFoundError):
        config.unset("models.providers.llama.cpu")


def test_sections_are_those_of_the_schema() -> None:
    """What counts as a section is what the schema names."""
    named = {each.alias or name for name, each in Schema.model_fields.items()}

    assert named == SECTIONS


@pytest.mark.parametrize("path", ["", " ", ".", "gateway..port"])
def test_no_path_means_everything_by_accident(tmp_path: Path, path: str) -> None:
    """An empty path is refused wherever one is taken, and the text stays."""
    config = opened(tmp_path, LLAMA)

    for use in (config.get, config.require, config.redacted, config.secret, config.unset):
        with pytest.raises(InvalidError, match="column"):
            use(path)
    with pytest.raises(InvalidError, match="column"):
        config.set(path, {})

    assert (tmp_path / "openclaw.json").read_text() == LLAMA
