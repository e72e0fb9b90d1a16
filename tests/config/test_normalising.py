from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.config.defaults import apply_defaults, normalise_paths
from clawstate.files.paths import StatePaths

ENV = {"HOME": "/h"}
PATHS = StatePaths(Path("/s"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["gateway", "memory", "store", "session", "agents", "path", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"dbPath": "~/x"}, {"dbPath": "/h/x"}),
        ({"dir": "~"}, {"dir": "/h"}),
        ({"AGENTDIR": "~/a/../b"}, {"AGENTDIR": "/h/b"}),
        ({"workspace": " ~/w "}, {"workspace": "/h/w"}),
        ({"tokenFile": "~\\x"}, {"tokenFile": "/h\\x"}),
        ({"dir": "~ada/x"}, {"dir": "~ada/x"}),
        ({"dir": "x/~/y"}, {"dir": "x/~/y"}),
        ({"dir": "./x"}, {"dir": "./x"}),
        ({"store": "~/sessions.json"}, {"store": "~/sessions.json"}),
        ({"directory": "~/x", "pathology": "~/x"}, {"directory": "~/x", "pathology": "~/x"}),
        ({"paths": ["~/a", "b"]}, {"paths": ["/h/a", "b"]}),
        ({"pathPrepend": ["~/a"]}, {"pathPrepend": ["/h/a"]}),
        ({"extraPaths": ["~/a"], "dir": ["~/a"]}, {"extraPaths": ["~/a"], "dir": ["~/a"]}),
        ({"paths": [["~/a"], {"root": "~/b"}]}, {"paths": [["~/a"], {"root": "/h/b"}]}),
        ({"paths": {"x": "~/a", "root": "~/b"}}, {"paths": {"x": "~/a", "root": "/h/b"}}),
    ],
)
def test_rule_of_paths(value: object, expected: object) -> None:
    """A leading tilde is the home exactly where the key means a path."""
    assert normalise_paths(value, env=ENV) == expected


@given(JSON)
def test_paths_are_made_absolute_once(value: Any) -> None:
    """What is normal stays as it is, down to the very same objects."""
    once = normalise_paths(value, env=ENV)

    assert normalise_paths(once, env=ENV) is once


def test_empty_configuration_means_the_documented_defaults() -> None:
    """Without any setting the values are those of the specification, in this state."""
    value = apply_defaults({}, paths=PATHS)

    assert value["gateway"] == {"host": "localhost", "mode": "local", "port": 18789}
    assert value["session"] == {"store": "/s/sessions/sessions.json"}
    vector = {"enabled": True, "embedder": "static", "index": "auto", "threads": 1}
    store = {"path": "/s/memory/memory.db", "type": "sqlite", "vector": vector}
    assert value["memory"] == {"history": {"versions": 10}, "store": store}
    assert value["agents"]["defaults"] == {"maxConcurrent": 4, "subagents": {"maxConcurrent": 8}}
    assert value["messages"] == {"ackReactionScope": "group-mentions"}
    assert value["commands"]["text"] is True
    assert "logging" not in value


@given(JSON)
def test_default_never_replaces_what_is_written(config: Any) -> None:
    """Every written value survives, its neighbours appear, and the configuration is not changed."""
    config = config if isinstance(config, dict) else {"x": config}
    before = repr(config)

    value = apply_defaults(config, paths=PATHS)

    assert repr(config) == before
    assert holds(value, config)
    assert apply_defaults(value, paths=PATHS) == value


def holds(value: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return all(key in value and holds(value[key], each) for key, each in part.items())
    return bool(value == part)


@pytest.mark.parametrize(
    ("config", "path", "expected"),
    [
        ({"gateway": {"bind": "lan"}}, ("gateway", "host"), None),
        (
            {"memory": {"store": {"type": "lancedb"}}},
            ("memory", "store", "path"),
            "/s/memory/lancedb",
        ),
        ({"memory": {"store": {"type": "other"}}}, ("memory", "store", "path"), None),
        ({"memory": {"store": {"type": ["x"]}}}, ("memory", "store", "path"), None),
        ({"logging": {}}, ("logging", "redactSensitive"), "tools"),
        ({"session": {"mainKey": "mine"}}, ("session", "mainKey"), "main"),
        ({"session": None}, ("session",), None),
    ],
)
def test_default_depends_on_what_is_written(
    config: dict[str, Any], path: tuple[str, ...], expected: object
) -> None:
    """A default that would contradict its neighbour is another one, or none."""
    value: Any = apply_defaults(config, paths=PATHS)
    for step in path:
        value = value.get(step)

    assert value == expected
