from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_configs import SOUND
from schema_walk import Spot, spots

from clawstate.config.issues import MOST_SUGGESTIONS, Issue, check
from clawstate.config.schema.mistakes import data_path, expectation
from clawstate.config.schema.root import json_schema
from clawstate.json5.parse import parse_document, parse_json5, place_of
from clawstate.json5.places import Places

NEWER = "a newer OpenClaw may know it"
PATH = Path("openclaw.json")
CANARY = "sk-canary-4711"
SPOTS = list(spots(json_schema()))
# Objects in which every key is allowed, or of which OpenClaw alone knows all the keys.
OPEN = {("env",), ("plugins", "entries"), ("messages",), ("agents", "defaults", "subagents")}
NAMED = [
    spot
    for spot in SPOTS
    if isinstance(spot.path[-1], str)
    and spot.path[-1] not in {"any-key", "default", "id"}
    and "const" not in spot.schema
    and spot.path[:-1] not in OPEN
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.just(CANARY)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def found_in(text: str) -> tuple[Issue, ...]:
    document = parse_document(text, path=PATH)
    return check(document.value, document=document, text=text)


def only(text: str) -> Issue:
    (issue,) = found_in(text)
    return issue


def position(text: str, mark: str) -> tuple[int, int]:
    return place_of(text, text.index(mark))


@pytest.mark.parametrize("spot", NAMED, ids=str)
def test_misspelt_key_is_warned_about(spot: Spot) -> None:
    """A key with a letter too much is a warning at its place that names the key it is near."""
    *around, key = spot.path
    wrong = f"{key}{key[-1]}"
    text = json.dumps(Spot((*around, wrong), {}, spot.beside).config({"a": 1}), indent=1)

    (warning,) = [each for each in found_in(text) if each.path == (*around, wrong)]

    assert (warning.severity, warning.message) == ("warning", "unknown key")
    assert warning.hint == f"did you mean {key!r}?"
    assert (warning.line, warning.column) == position(text, json.dumps(wrong))


def test_wholly_unknown_key_has_no_suggestion() -> None:
    """A key that is near to none is a warning without a guess."""
    assert only("{zebra: 1}").hint == ""


def test_case_is_no_difference_for_suggestions() -> None:
    """A key in the wrong case is told the right one."""
    assert only("{gateway: {CONTROLUI: {}}}").hint == "did you mean 'controlUi'?"


def test_keys_below_an_unknown_key_are_not_reported() -> None:
    """One unknown key is one warning, whatever stands below it."""
    assert only("{gatevay: {prot: {a: 1}}}").path == ("gatevay",)


def test_keys_of_the_kind_of_provider_count() -> None:
    """A key of another kind of provider is unknown, and one without a kind is only an error."""
    warning = only("{secrets: {providers: {e: {source: 'env', command: '/bin/x'}}}}")
    error = only("{secrets: {providers: {e: {command: '/bin/x'}}}}")

    assert (warning.severity, warning.path[-1]) == ("warning", "command")
    assert (error.severity, error.path[-1], error.message) == ("error", "source", "is missing")


def test_many_unknown_keys_are_all_reported() -> None:
    """Suggestions end after a while, warnings do not."""
    text = json.dumps({f"gatewa{index}": 1 for index in range(MOST_SUGGESTIONS + 50)})

    issues = found_in(text)

    assert len(issues) == MOST_SUGGESTIONS + 50
    assert [issue.hint != "" for issue in issues].count(True) == MOST_SUGGESTIONS


@pytest.mark.parametrize("name", ["__proto__", "prototype", "constructor"])
@pytest.mark.parametrize("around", ["{%s: 1}", "{channels: {x: [{%s: {}}]}}", "{env: {%s: 'x'}}"])
def test_names_that_mislead_javascript_are_refused(around: str, name: str) -> None:
    """Such a name is one error wherever it stands, also where any key may."""
    text = around % name

    issue = only(text)

    assert issue.severity == "error"
    assert (issue.line, issue.column) == position(text, name)
    assert issue.path[-1] == name


@pytest.mark.parametrize(
    ("text", "path", "place"),
    [
        ("{whatsapp: {}}", ("whatsapp",), "channels.whatsapp"),
        ("{routing: {queue: {}}}", ("routing", "queue"), "messages.queue"),
        ("{routing: {}}", ("routing",), "agents, bindings, channels, messages and tools"),
        ("{agent: {model: 'x'}}", ("agent",), "agents.defaults"),
        ("{memorySearch: {}}", ("memorySearch",), "agents.defaults.memorySearch"),
        ("{identity: {}}", ("identity",), "agents.list, as the identity of an agent"),
        ("{tools: {bash: {}}}", ("tools", "bash"), "tools.exec"),
        ("{gateway: {token: 'x'}}", ("gateway", "token"), "gateway.auth.token"),
        (
            "{messages: {tts: {enabled: true}}}",
            ("messages", "tts", "enabled"),
            'messages.tts.auto, as "always" or "off"',
        ),
    ],
)
def test_old_keys_say_where_they_moved(text: str, path: tuple[str, ...], place: str) -> None:
    """A key of an older OpenClaw is one warning that says where it belongs now."""
    issue = only(text)

    assert (issue.severity, issue.path, issue.hint) == ("warning", path, f"move it to {place}")
    assert (issue.line, issue.column) == position(text, path[-1])


def test_two_agents_may_not_share_a_directory() -> None:
    """The second agent with a directory, however it is written, is an error at its path."""
    text = """{agents: {list: [
      {id: "a", agentDir: "~/x"}, {id: "b"}, {id: "c", agentDir: "~/y/../x/"},
      {id: "d", agentDir: "/elsewhere"},
    ]}}"""

    issue = only(text)

    assert issue.path == ("agents", "list", 2, "agentDir")
    assert issue.severity == "error"
    assert "agents.list[0]" in issue.message
    assert (issue.line, issue.column) == position(text, '"~/y')


@pytest.mark.parametrize("directory", ["~nobody-of-this-name/x", "a\0b"])
def test_directories_that_cannot_be_resolved_are_compared_as_text(directory: str) -> None:
    """A directory of an unknown user is the same as itself."""
    agents = [{"id": "a", "agentDir": directory}, {"id": "b", "agentDir": directory}]

    assert [issue.path[-1] for issue in check({"agents": {"list": agents}})] == ["agentDir"]


def test_key_written_twice_is_warned_about_with_both_lines() -> None:
    """Equal keys are a warning at the last of them, also where any key may stand."""
    text = '{\nchannels: {\n  x: 1,\n  y: 2,\n  "\\u0078": 3}}'

    issue = only(text)

    assert issue.path == ("channels", "x")
    assert (issue.severity, issue.line, issue.column) == ("warning", 5, 3)
    assert issue.message == "is written 2 times (line 3 and 5), the last one counts"


def test_key_written_twice_without_a_text() -> None:
    """Without the text, the warning has no lines."""
    document = parse_document("{channels: {x: 1, x: 1}}", path=PATH)

    (issue,) = check(document.value, document=document)

    assert (issue.line, issue.column) == (None, None)
    assert issue.message == "is written 2 times, the last one counts"


def test_missing_key_is_an_error_at_its_object() -> None:
    """A missing key has the path of the key and the place of the object."""
    text = '{auth: {profiles: {"a:b": {provider: "a"}}}}'

    issue = only(text)

    assert issue.path == ("auth", "profiles", "a:b", "mode")
    assert (issue.line, issue.column) == position(text, "{provider")
    assert (issue.message, issue.hint) == ("is missing", "add the key")


def test_bad_name_of_a_key_is_an_error_at_the_key() -> None:
    """Where keys have a form, a wrong one is shown itself, not its value."""
    text = "{secrets: {providers: {Vault: {source: 'env'}}}}"

    issue = only(text)

    assert (issue.line, issue.column) == position(text, "Vault")
    assert issue.message.startswith("the key should be an alias")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "{gateway: {port: '5'}}",
            "expected a whole number, found text",
            "write the number without quotes",
        ),
        ("{gateway: {port: 1.5}}", "expected a whole number, found a fraction", ""),
        ("{gateway: {port: 0}}", "expected a number of at least 1, found another number", ""),
        ("{gateway: {port: true}}", "expected a whole number, found true", ""),
        ("{gateway: {host: ''}}", "expected text that is not empty, found empty text", ""),
        ("{gateway: {host: 5}}", "expected text, found a number", "put it in quotes"),
        ("{gateway: {mode: 'x'}}", 'expected "local" or "remote", found other text', NEWER),
        (
            "{gateway: null}",
            "expected an object, found null",
            "remove the key to get its default",
        ),
        (
            "{commands: {text: 'false'}}",
            "expected true or false, found other text",
            "write it without quotes",
        ),
        (
            "{plugins: {allow: 'x'}}",
            "expected a list, found text",
            "put it in square brackets",
        ),
        ("{plugins: {allow: {}}}", "expected a list, found an object", ""),
        ("{auth: {order: 'x'}}", "expected a list or an object, found other text", ""),
        (
            "{auth: {order: {openai: 'x'}}}",
            "expected a list, found text",
            "put it in square brackets",
        ),
        ("{commands: {native: 'x'}}", 'expected true or false or "auto", found other text', NEWER),
        (
            "{locks: {stale: Infinity}}",
            "expected a finite number, found one that is not finite",
            "",
        ),
        ("{locks: {stale: 0}}", "expected a number above 0, found another number", ""),
        (
            "{memory: {store: {vector: {enabled: 1}}}}",
            "expected true or false, found a number",
            "",
        ),
        (
            "{session: {agentToAgent: {maxPingPongTurns: 6}}}",
            "expected a number of at most 5, found another number",
            "",
        ),
        (
            "{secrets: {providers: {v: {source: 'x'}}}}",
            'expected "env" or "file" or "exec" or "keyring", found other text',
            NEWER,
        ),
        (
            "{secrets: {providers: {v: {source: 5}}}}",
            'expected "env", "file", "exec" or "keyring", found a number',
            "",
        ),
        (
            "{gateway: {auth: {token: {source: 'env', id: 'a b'}}}}",
            "expected an id that the source env can have, found an object",
            "",
        ),
        ("[]", "expected an object, found a list", ""),
        (
            '{gateway: {host: "\\ud800"}}',
            "expected text without half characters, found other text",
            "",
        ),
    ],
)
def test_wording(text: str, message: str, hint: str) -> None:
    """An error says what should stand there, what kind of thing does, and what to do."""
    issue = only(text)

    assert (issue.message, issue.hint) == (message, hint)


def test_long_lists_and_texts_are_bounded() -> None:
    """A bound on a length is named."""
    provider = {"source": "exec", "command": "/x", "args": ["a" * 2000], "passEnv": ["A"] * 129}

    issues = check({"secrets": {"providers": {"v": provider}}})

    assert {issue.message for issue in issues} == {
        "expected at most 1,024 characters, found other text",
        "expected at most 128 elements, found a longer list",
    }


def test_error_of_an_unknown_kind_has_a_wording() -> None:
    """An error that a later pydantic invents is reported, too, without its text."""
    assert expectation("invented", {"input": CANARY}) == "another value"


def test_issues_are_in_the_order_of_the_text() -> None:
    """Whoever mends a file goes through it once."""
    issues = found_in("{\nzebra: 1,\ngateway: {port: '1'},\nwhatsapp: {},\nauth: {order: 1}}")

    assert [issue.line for issue in issues] == [2, 3, 4, 5]


def test_all_mistakes_are_reported_at_once() -> None:
    """One wrong value hides neither another one nor a misspelt key beside it."""
    issues = found_in("{gateway: {port: 'x', hots: 'y'}, session: {scope: 1}}")

    assert [issue.path for issue in issues] == [
        ("gateway", "port"),
        ("gateway", "hots"),
        ("session", "scope"),
    ]


def test_value_that_the_text_does_not_hold_has_the_place_of_what_is_around_it() -> None:
    """A value from an included file is shown where the file is included."""
    text = '{gateway: {$include: "gateway.json5"}}'
    document = parse_document(text, path=PATH)

    (issue,) = check({"gateway": {"port": "x"}}, document=document, text=text)

    assert issue.path == ("gateway", "port")
    assert (issue.line, issue.column) == position(text, "{$include")


def test_issues_without_a_document_have_no_place() -> None:
    """A value without a text is checked all the same."""
    (issue,) = check({"gateway": {"port": "x"}})

    assert str(issue) == ("gateway.port: expected a whole number, found text")


def test_sentence_of_an_issue() -> None:
    """An issue is one line: path, place, what is wrong, what to do."""
    assert str(only("{gateway: {port: '5'}}")) == (
        "gateway.port (line 1, column 18): expected a whole number, found text;"
        " write the number without quotes"
    )


def test_sentence_of_an_issue_of_the_whole() -> None:
    """The root has no path, but a name."""
    assert str(only("5")).startswith("the configuration (line 1, column 1): expected an object")


def test_arms_of_unions_are_no_steps() -> None:
    """A step that names an arm is passed over, also if a key has the same name."""
    value = {"items": [{"a": {"q": 1}}]}

    assert data_path(value, ("items", 0, "a", "q"), 1) == ("items", 0, "a", "q")
    assert data_path(value, ("items", 0, "a", "a", "q"), 1) == ("items", 0, "a", "q")
    assert data_path(value, ("items", "list[int]", 0, "b"), None) == ("items", 0)


def test_tie_between_readings_is_broken_by_the_value() -> None:
    """Of two readings of the same length, the one that ends at the wrong value is right."""
    value = {"a": {"x": [1]}, "x": [2]}

    assert data_path(value, ("a", "x"), value["a"]["x"]) == ("a", "x")
    assert data_path({"a": [1], "b": [2]}, ("a", "b"), 1) == ("a",)
    culprit = [2]
    assert data_path({"a": [1], "b": culprit}, ("a", "b"), culprit) == ("b",)


@given(st.lists(st.sampled_from(["\r", "\n", "\r\n", "\ufeff", "\u2028", "/*😀*/"])))
def test_places_are_counted_as_everywhere(blanks: list[str]) -> None:
    """A place is the one that `place_of` counts."""
    text = "".join(blanks) + "{zebra: 1}"
    document = parse_document(text, path=PATH)
    places = Places(document, text)

    assert places.of_key(("zebra",)) == place_of(text, document.items[0].start)
    assert places.of_value(()) == place_of(text, document.start)


@given(st.sampled_from(SPOTS), VALUES)
def test_whatever_stands_there_is_checked(spot: Spot, value: object) -> None:
    """No value in any place makes the check fail, and no issue repeats it."""
    issues = check(spot.config(value))

    assert all(CANARY not in f"{issue!r}{issue}" for issue in issues)


@pytest.mark.parametrize("spot", SPOTS, ids=str)
def test_no_secret_is_repeated(spot: Spot) -> None:
    """Text in a wrong place is in no issue: a secret may have slipped there."""
    for value in (CANARY, [CANARY], {"a": CANARY}, {CANARY[:2]: {"x": [CANARY]}}):
        issues = check(spot.config(value))

        assert CANARY not in f"{issues!r}" + "".join(map(str, issues))


def test_no_secret_is_in_an_exception() -> None:
    """When the schema itself is asked, its exception does not show what it refused."""
    from clawstate.config.schema.root import Config  # noqa: PLC0415 - the one place that needs it

    try:
        Config.model_validate({"gateway": {"auth": {"token": [CANARY]}, "port": CANARY}})
    except ValueError as error:
        shown = f"{error!r}{error}" + "".join(traceback.format_exception(error))

    assert CANARY not in shown


def test_deep_documents_are_checked() -> None:
    """The deepest document that is read is checked as well, in known places and in open ones."""
    deep = "[" * 490 + "{constructor: 1}" + "]" * 490

    issues = found_in(f"{{channels: {{x: {deep}}}, auth: {{profiles: {deep}}}}}")

    assert len(issues) == 3


@pytest.mark.parametrize("name", SOUND)
def test_value_alone_is_enough(name: str) -> None:
    """What is sound is sound without its text."""
    assert check(parse_json5(SOUND[name], path=PATH)) == ()


@pytest.mark.parametrize(
    ("text", "severity", "hint"),
    [
        ("{agents: {defaults: {memorySearch: {provider: 'ollama'}}}}", "warning", NEWER),
        ("{agents: {defaults: {memorySearch: {sources: ['wiki']}}}}", "warning", NEWER),
        ("{agents: {list: [{id: 'a', humanDelay: {mode: 'x'}}]}}", "warning", NEWER),
        ("{gateway: {mode: 'remot'}}", "warning", "did you mean 'remote'?"),
        ("{commands: {native: 'AUTO'}}", "warning", "did you mean 'auto'?"),
        ("{commands: {native: 'true'}}", "error", "write it without quotes"),
        ("{gateway: {mode: 5}}", "error", ""),
        ("{secrets: {providers: {v: {source: 'cloud'}}}}", "warning", NEWER),
        ("{secrets: {providers: {v: {source: 'exce'}}}}", "warning", "did you mean 'exec'?"),
        ("{gateway: {auth: {token: {source: 'cloud', id: 'A'}}}}", "warning", NEWER),
        ("{memory: {store: {type: 'sqlit'}}}", "error", "did you mean 'sqlite'?"),
        ("{memory: {store: {type: 'pickle'}}}", "error", ""),
    ],
)
def test_word_that_a_newer_openclaw_may_know_is_a_warning(
    text: str, severity: str, hint: str
) -> None:
    """A word of OpenClaw's that nobody knows keeps nobody out; one of ours is an error."""
    found = check(parse_json5(text, path=PATH))

    assert [(each.severity, each.hint) for each in found] == [(severity, hint)]
