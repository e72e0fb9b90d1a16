from __future__ import annotations

import io
import json

import pytest

import clawstate
from clawstate.cli.main import run

SECRET = "sk-canary-0123456789-abcdefgh"
SHOWN = "sk...gh"
TOKENS = {"access": "ya29-canary-access-01", "refresh": "1//canary-refresh-01", "expires": 9e12}
ADD = ("auth", "add", "openai:default")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Give a home of its own to the keys."""
    place = tmp_path / "home"
    place.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(place))
    for name in ("XDG_CONFIG_HOME", "CLAWSTATE_PASSPHRASE_FILE", "CLAWSTATE_NEW_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return place


@pytest.fixture
def passphrase(tmp_path, monkeypatch):
    path = tmp_path / "passphrase"
    path.write_text("correct horse battery\n")
    path.chmod(0o600)
    monkeypatch.setenv("CLAWSTATE_PASSPHRASE_FILE", str(path))
    return path


def added(cli, profile="openai:default", *options, secret=SECRET):
    ran = cli("auth", "add", profile, *options, stdin=secret.encode())
    assert ran.code == 0, ran.err
    return ran


def test_a_key_is_added_shown_and_removed(cli) -> None:
    """A profile lives from add over list and show to remove; its secret is only masked."""
    ran = added(cli, "openai:default", "--email", "ada@example.org", "--json", secret=SECRET + "\n")
    listed = cli("auth", "list", "--json").json
    shown = cli("auth", "show", "openai:default", "--json").json
    people = cli("auth", "list").out + cli("auth", "show", "openai:default").out
    gone = cli("auth", "remove", "openai:default", "--json")
    missing = cli("auth", "remove", "openai:default", "--json")

    assert ran.json["replaced"] is False
    (profile,) = listed["profiles"]
    assert profile == shown
    assert (profile["id"], profile["provider"], profile["type"]) == (
        "openai:default",
        "openai",
        "api_key",
    )
    assert (profile["secret"], profile["state"], profile["origin"]) == (SHOWN, "good", "own")
    assert profile["email"] == "ada@example.org"
    assert SHOWN in people
    assert SECRET not in people + json.dumps(listed)
    assert (gone.code, gone.json) == (0, {"id": "openai:default", "removed": True})
    assert (missing.code, missing.json["error"]["type"]) == (3, "not_found")


def test_every_type_is_added_from_stdin(cli, tmp_path) -> None:
    """A token with its end, and tokens of OAuth as one JSON object, are kept as they came."""
    added(cli, "x:token", "--type", "token", "--expires", "30d")
    added(cli, "google:me", "--type", "oauth", secret=json.dumps(TOKENS))
    added(cli, "any:key", "--provider", "xai")

    with clawstate.open(tmp_path / "state") as state:
        store = state.auth()
        assert store.require("google:me").refresh == TOKENS["refresh"]
        assert store.require("x:token").expires > state._context.clock() + 29 * 86_400
        assert store.require("any:key").provider == "xai"


def test_a_reference_is_added_and_never_asked_for(cli, monkeypatch) -> None:
    """`--ref` keeps where a secret is, shows it whole, and reads nothing from stdin."""
    ran = added(cli, "openai:env", "--ref", "env:default:CANARY_KEY", secret="")
    (profile,) = cli("auth", "list", "--json").json["profiles"]

    assert ran.code == 0
    assert profile["secret"] == "env:default:CANARY_KEY"


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        ((*ADD, "--ref", SECRET), b"", 2),
        ((*ADD, "--ref", f"env:default:{SECRET}"), b"", 2),
        ((*ADD, "--ref", "env:default:X", "--type", "oauth"), b"", 2),
        ((*ADD, "--type", "oauth"), SECRET.encode(), 1),
        ((*ADD, "--type", "oauth"), json.dumps([SECRET]).encode(), 1),
        ((*ADD, "--type", "oauth"), json.dumps({"access": 1, "refresh": SECRET}).encode(), 1),
        (ADD, b"", 2),
        (ADD, b" \n", 2),
        (ADD, SECRET.encode() + b"\xff", 2),
        (ADD, SECRET.encode() * 60_000, 2),
        (("auth", "add", "nocolon"), SECRET.encode(), 1),
        ((*ADD, "--type", "token", "--expires", "soon"), SECRET.encode(), 2),
        ((*ADD, "--type", "token", "--expires", "99999999999y"), SECRET.encode(), 2),
        ((*ADD, "--type", "token", "--expires", "9" * 400 + "d"), SECRET.encode(), 2),
        (("auth", "order", "openai", "openai:nope"), b"", 3),
        (("auth", "order", "openai", "openai:nope", "--clear"), b"", 2),
        (("auth", "show", "openai:nope"), b"", 3),
        (("auth", "encrypt", "--key", "vault"), b"", 2),
        (("auth", "encrypt", "--key", "passphrase"), b"", 1),
        (("auth", "decrypt"), b"", 3),
        (("auth", "rekey"), b"", 3),
    ],
)
def test_what_cannot_be_is_refused(cli, arguments, stdin, code, tmp_path) -> None:
    """A wrong input is one sentence and its exit code; nothing is kept, and no secret is shown."""
    ran = cli(*arguments, stdin=stdin)
    document = cli(*arguments, "--json", stdin=stdin)

    assert (ran.code, document.code) == (code, code)
    assert document.json["ok"] is False
    assert "canary" not in ran.out + ran.err + document.out + document.err
    assert "Traceback" not in ran.err
    assert cli("auth", "list", "--json").json["profiles"] == []


def test_a_secret_as_argument_is_not_taken(cli) -> None:
    """There is no option for a secret: arguments stand in the history of the shell."""
    ran = cli(*ADD, SECRET)
    document = cli(*ADD, SECRET, "--json")

    assert (ran.code, document.code) == (2, 2)
    assert "standard input" in ran.err
    assert "canary" not in ran.out + ran.err + document.out + document.err
    assert cli("auth", "list", "--json").json["profiles"] == []


def test_an_order_is_set_shown_and_cleared(cli) -> None:
    """The order that was set is the one that counts, until it is cleared."""
    for name in ("a", "b"):
        added(cli, f"openai:{name}")

    first = cli("auth", "order", "openai", "--json").json
    changed = cli("auth", "order", "openai", "openai:b", "openai:a", "--json").json
    cleared = cli("auth", "order", "openai", "--clear", "--json").json
    people = cli("auth", "order", "nobody")

    assert (first["order"], first["stored"]) == (["openai:a", "openai:b"], None)
    assert changed["order"] == changed["stored"] == ["openai:b", "openai:a"]
    assert cleared == first
    assert people.out == "no profile of 'nobody' can be used\n"


def test_the_status_says_what_is_tried_and_what_is_not(cli, tmp_path) -> None:
    """Each provider has its order; what rests, is over, or needs a login is told with why."""
    added(cli, "openai:good")
    added(cli, "openai:tired")
    added(cli, "xai:broke")
    added(cli, "x:old", "--type", "token", "--expires", "2020-01-01")
    with clawstate.open(tmp_path / "state") as state:
        state.auth().mark_failure("openai:tired", "rate_limit")
        state.auth().mark_failure("xai:broke", "billing")

    document = cli("auth", "status", "--json").json
    people = cli("auth", "status").out

    found = {each["provider"]: each for each in document["providers"]}
    assert found["openai"]["order"] == ["openai:good", "openai:tired"]
    states = {
        each["id"]: each["state"] for provider in found.values() for each in provider["unusable"]
    }
    assert states == {"openai:tired": "cooldown", "xai:broke": "disabled", "x:old": "expired"}
    assert "cooling down" in people
    assert "left" in people
    assert document["encryption"] == {"on": False, "key": None}


def test_legacy_files_are_imported(cli, tmp_path) -> None:
    """`import` takes over what older releases left, once, and leaves their files."""
    folder = tmp_path / "state/credentials"
    folder.mkdir(parents=True)
    path = folder / "oauth.json"
    path.write_text(json.dumps({"google": TOKENS}))

    nothing = cli("auth", "list", "--json").json["profiles"]
    first = cli("auth", "import", "--json").json
    (profile,) = cli("auth", "list", "--json").json["profiles"]

    assert [each["origin"] for each in nothing] == ["legacy"]
    assert first["imported"] == 1
    assert (profile["id"], profile["origin"]) == ("google:default", "own")
    assert path.exists()


def test_the_agent_counts(cli) -> None:
    """`--agent` chooses whose credentials they are; others inherit those of main."""
    added(cli)
    ran = cli("--agent", "bob", "auth", "add", "xai:bob", stdin=SECRET.encode())

    bob = cli("--agent", "bob", "auth", "list", "--json").json["profiles"]
    main = cli("auth", "list", "--json").json["profiles"]

    hidden = cli("--agent", "bob", *ADD, "--json", stdin=SECRET.encode())

    assert ran.code == 0
    assert hidden.json["replaced"] is False  # what is main's stays as it is
    assert {each["id"]: each["origin"] for each in bob} == {
        "openai:default": "inherited",
        "xai:bob": "own",
    }
    assert [each["id"] for each in main] == ["openai:default"]


def test_everything_is_encrypted_and_decrypted(cli, home, tmp_path) -> None:
    """Secrets leave the files and come back; what is said names the key, and how to keep it."""
    added(cli)
    state = tmp_path / "state"

    made = cli("auth", "encrypt", "--json")
    again = cli("auth", "encrypt")
    listed = cli("auth", "list", "--json").json["profiles"]
    files = [each for each in state.rglob("*") if each.is_file()]
    clear = [each for each in files if SECRET.encode() in each.read_bytes()]
    audited = cli("auth", "audit", "--json")
    status = cli("auth", "status").out
    back = cli("auth", "decrypt", "--json")

    (key,) = home.rglob("*.key")
    assert (made.code, made.json["encrypted"], made.json["agents"]) == (0, 1, ["main"])
    assert made.json["key"] == {"kind": "file", "place": str(key)}
    assert "encrypted 0 secrets" in again.out
    assert "keep a copy of the key" in again.out
    assert [each["secret"] for each in listed] == ["encrypted"]
    assert clear == []
    assert (audited.code, audited.json["status"]) == (0, "clean")
    assert str(key) in status
    assert (back.code, back.json["decrypted"]) == (0, 1)
    assert cli("auth", "list", "--json").json["profiles"][0]["secret"] == SHOWN


def test_a_new_key_is_made(cli, passphrase) -> None:
    """`rekey` seals with another key, and tells what becomes of the old one."""
    added(cli)
    cli("auth", "encrypt")

    made = cli("auth", "rekey")
    asked = cli("auth", "rekey", "--key", "passphrase", "--json")

    assert made.code == 0
    assert "still opens older backups" in made.err
    assert asked.code == 1  # a new passphrase may not be the present one by accident
    assert "CLAWSTATE_PASSPHRASE_FILE" not in asked.out or asked.json["ok"] is False


def test_a_lost_key_is_one_sentence(cli, home, tmp_path) -> None:
    """Without the key the list still works, and adding fails with nothing written."""
    added(cli)
    cli("auth", "encrypt")
    next(home.rglob("*.key")).unlink()
    before = (tmp_path / "state/agents/main/agent/auth-profiles.json").read_bytes()

    listed = cli("auth", "list")
    failed = cli("auth", "add", "openai:new", stdin=SECRET.encode())

    assert listed.code == 0
    assert "encrypted" in listed.out
    assert failed.code == 1
    assert "is missing" in failed.err
    assert (tmp_path / "state/agents/main/agent/auth-profiles.json").read_bytes() == before


def test_an_audit_with_findings_ends_with_1(cli, tmp_path) -> None:
    """What is found is printed by file, and no secret is."""
    added(cli)
    log = tmp_path / "state/logs/agent.log"
    log.parent.mkdir(mode=0o700, exist_ok=True)
    log.write_text(f"sent {SECRET}\n")

    people = cli("auth", "audit")
    document = cli("auth", "audit", "--json")

    assert (people.code, document.code) == (1, 1)
    assert str(log) in people.out
    assert f"line 1: holds a copy of the secret openai:default ({SHOWN})" in people.out
    assert "canary" not in people.out + people.err + document.out
    assert document.json["summary"]["secretCopyCount"] == 1


@pytest.mark.parametrize("is_json", [False, True])
def test_no_verb_prints_a_secret(cli, tmp_path, is_json) -> None:
    """Whatever is asked, in the clear or encrypted, sound or damaged, no canary comes out."""
    option = ["--json"] if is_json else []
    added(cli)
    added(cli, "google:me", "--type", "oauth", secret=json.dumps(TOKENS))
    verbs = [
        ["auth", "list"],
        ["auth", "show", "openai:default"],
        ["auth", "show", "google:me"],
        ["auth", "status"],
        ["auth", "order", "openai"],
        ["auth", "audit"],
        ["auth", "import"],
        ["doctor", "--quick"],
        ["status"],
    ]
    changes = [["auth", "encrypt"], ["auth", "rekey"], ["auth", "decrypt"]]
    said = ""

    def note(*arguments):
        nonlocal said
        ran = cli(*arguments, *option)
        said += ran.out + ran.err

    for change in [None, *changes]:
        if change is not None:
            note(*change)
        for verb in verbs:
            note(*verb)
    path = tmp_path / "state/agents/main/agent/auth-profiles.json"
    path.write_text(path.read_text()[:-20])
    for verb in [*verbs, *changes]:
        note(*verb)

    assert "openai:default" in said
    for canary in (SECRET, "canary", TOKENS["access"][6:], TOKENS["refresh"][4:]):
        assert canary not in said


def test_nothing_is_said_in_a_sentence(cli) -> None:
    """Empty results are told in words, and end well."""
    said = [cli("auth", verb) for verb in ("list", "status", "import", "audit")]

    assert [each.code for each in said] == [0, 0, 0, 0]
    assert all(each.out.strip() for each in said)


class Terminal(io.StringIO):
    """Where a person sits who is asked."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def person(cli, monkeypatch, capsys):
    """Run the command line for a person who gives these answers; return questions as well."""

    def call(*arguments: str, answers: list[str]):
        asked = []

        def hidden(question: str) -> str:
            asked.append(question)
            return answers[len(asked) - 1]

        monkeypatch.setattr("click.termui.hidden_prompt_func", hidden)
        monkeypatch.setattr("sys.stdin", Terminal())
        code = run(list(arguments))
        out, err = capsys.readouterr()
        assert len(asked) == len(answers)
        return code, " ".join(asked), out + err

    return call


def test_a_person_is_asked_for_secrets(person, cli) -> None:
    """On a terminal a secret and a passphrase are asked for, hidden; a new passphrase twice."""
    words = "correct horse battery"

    ran = [
        person(*ADD, answers=[SECRET]),
        person("auth", "encrypt", "--key", "passphrase", answers=[words, words]),
        person("auth", "audit", answers=[words]),
        person("auth", "decrypt", answers=[words]),
    ]

    assert [code for code, _, _ in ran] == [0, 0, 0, 0], ran
    assert [("new" in asked, "this state" in asked) for _, asked, _ in ran[1:]] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert not any(SECRET in said or words in said for _, _, said in ran)
    assert cli("auth", "list", "--json").json["profiles"][0]["secret"] == SHOWN


def test_a_wrong_passphrase_changes_nothing(person, cli) -> None:
    """It is told in a sentence, and the secrets stay encrypted."""
    words = "correct horse battery"
    person(*ADD, answers=[SECRET])
    person("auth", "encrypt", "--key", "passphrase", answers=[words, words])

    code, _, said = person("auth", "decrypt", answers=["incorrect horse"])

    assert code == 1
    assert "not the one" in said
    assert cli("auth", "list", "--json").json["profiles"][0]["secret"] == "encrypted"


def test_an_audit_shows_a_bar_on_a_terminal(terminal) -> None:
    """A person sees how far the search is."""
    watched = terminal("auth", "audit")

    assert watched.code == 0
    assert "no secret in the clear" in watched.out


def test_a_missing_key_is_told_by_every_view(cli, home) -> None:
    """With the key file gone, list, show and status say "key missing"."""
    added(cli)
    assert cli("auth", "encrypt").code == 0
    next(home.rglob("*.key")).unlink()

    views = [cli("auth", "list"), cli("auth", "show", "openai:default"), cli("auth", "status")]

    assert [each.code for each in views] == [0, 0, 0]
    assert all("key missing" in each.out for each in views)
    assert "the key is missing" in views[2].out


def test_seconds_are_converted_with_a_word(cli) -> None:
    """Tokens whose end is in seconds are kept, and the words say how they are understood."""
    tokens = {"access": "a", "refresh": "r", "expires": 1_700_000_000}

    ran = added(cli, "google:me", "--type", "oauth", secret=json.dumps(tokens))
    listed, shown = cli("auth", "list"), cli("auth", "show", "google:me")

    assert "in seconds; it is kept as 2023-11-14T22:13:20.000Z" in ran.err
    assert "expired, will be refreshed" in listed.out
    assert "2023-11-14" in shown.out
    assert "1970" not in shown.out


def test_ids_of_unequal_length_can_be_pasted(cli) -> None:
    """In a list no id is quoted for the blanks that align it."""
    added(cli, "openai:ci")
    added(cli, "anthropic:a-much-longer-name")

    lines = cli("auth", "list").out.splitlines()

    assert {line.split()[0] for line in lines} == {"openai:ci", "anthropic:a-much-longer-name"}


@pytest.mark.parametrize("name", ["..", "", "team/a", "команда"])
def test_an_agent_that_may_be_another_one_is_not_written(cli, name) -> None:
    """`--agent` takes no name for a change that would be another agent's."""
    added(cli)

    ran = cli("--agent", name, "auth", "add", "openai:other", stdin=SECRET.encode())

    assert ran.code == 2
    assert "would be the agent" in ran.err
    assert [each["id"] for each in cli("auth", "list", "--json").json["profiles"]] == [
        "openai:default"
    ]
