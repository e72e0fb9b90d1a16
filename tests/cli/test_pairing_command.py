from __future__ import annotations

import json

import pytest

TEXTS = ["\udcff", "a\nb", "x" * 300, " ", "\u202egnp"]


def request(cli, *options, device="phone"):
    return cli("pairing", "request", "--user", "ada", "--device", device, *options, "--json").json


def test_a_request_is_printed_with_its_code(cli) -> None:
    """A program gets the request as a document, a person the code and what to do with it."""
    asked = cli("pairing", "request", "--user", "ada", "--device", "phone", "--account", "work")
    found = request(cli, "--account", "work")

    assert asked.out == f"{found['code']}\n" + asked.out.split("\n", 1)[1]
    assert f"clawstate pairing approve {found['code']}" in asked.out
    assert (found["userId"], found["deviceId"], found["accountId"]) == ("ada", "phone", "work")
    assert found["expiresAt"] - found["createdAt"] == 3_600_000


def test_requests_are_listed(cli) -> None:
    """The list has the requests that wait, and says so when there are none."""
    assert cli("pairing", "list", "--json").json == {"requests": []}
    assert "no device" in cli("pairing", "list").out
    made = request(cli, "--name", "Ada's phone", "--scope", "operator.read")

    assert cli("pairing", "list", "--json").json == {"requests": [made]}
    shown = cli("pairing", "list").out
    assert made["code"] in shown
    assert "Ada's phone (phone of ada), asks for operator.read" in shown


def test_approval_prints_the_token_once(cli) -> None:
    """The token is the document's, or alone on stdout; it is good, and never printed again."""
    code = request(cli, "--scope", "operator.read")["code"]

    done = cli("pairing", "approve", code.lower(), "--json")

    assert done.json.keys() == {"deviceId", "role", "scopes", "token"}
    assert done.json["scopes"] == ["operator.read"]
    token = done.json["token"]
    assert cli("devices", "verify", "phone", stdin=f"{token}\n".encode()).code == 0
    shown = [
        cli("pairing", "list", "--json"),
        cli("devices", "list", "--json"),
        cli("pairing", "approve", code),
    ]
    assert not [each for each in shown if token in each.out + each.err]


def test_people_are_told_to_keep_the_token(cli) -> None:
    """What is said to people goes to stderr, so that stdout is the token alone."""
    code = request(cli)["code"]

    done = cli("pairing", "approve", code)

    assert "cannot be shown again" in done.err
    assert cli("devices", "verify", "phone", stdin=done.out.encode()).code == 0


def test_an_unknown_code_is_exit_code_three(cli) -> None:
    """A code that nobody asked for is not found, whether it is approved or rejected."""
    for verb in ("approve", "reject"):
        done = cli("pairing", verb, "AAAAAAAA", "--json")

        assert (done.code, done.json["error"]["type"]) == (3, "not_found")


def test_guessing_on_the_command_line_is_limited(cli) -> None:
    """The owner's own tries are counted, and the error says when to try again."""
    code = request(cli)["code"]
    for _ in range(5):
        cli("pairing", "approve", "AAAAAAAA")

    done = cli("pairing", "approve", code, "--json")

    assert (done.code, done.json["error"]["type"]) == (1, "limit")
    assert "try again in" in done.json["error"]["message"]


def test_the_fourth_request_is_refused(cli) -> None:
    """Beyond the limit nothing is printed but the error."""
    for number in range(3):
        request(cli, device=f"d{number}")

    done = cli("pairing", "request", "--user", "ada", "--device", "d3", "--json")

    assert (done.code, done.json["error"]["type"]) == (1, "limit")


def test_a_rejected_request_is_gone(cli) -> None:
    """Rejecting names the device, and its code is good no more."""
    code = request(cli)["code"]

    done = cli("pairing", "reject", code, "--json")

    assert done.json == {"rejected": True, "userId": "ada", "deviceId": "phone"}
    assert cli("pairing", "approve", code).code == 3


def test_admin_is_granted_only_by_name(cli) -> None:
    """A device that asks for everything waits until the approval names it."""
    code = request(cli, "--scope", "operator.admin")["code"]

    refused = cli("pairing", "approve", code)
    done = cli("pairing", "approve", code, "--scope", "operator.admin", "--json")

    assert refused.code == 1
    assert "operator.admin" in refused.err
    assert done.json["scopes"] == ["operator.admin"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("option", ["--user", "--device", "--name", "--account", "--scope"])
def test_what_cannot_be_shown_is_refused(cli, option, text) -> None:
    """Ids and names that hide something, or are too long, are one typed failure."""
    needed = {"--user": "ada", "--device": "phone"} | {option: text}
    words = [word for pair in needed.items() for word in pair]

    done = cli("pairing", "request", *words, "--json")

    assert (done.code, done.json["error"]["type"]) == (2, "usage")
    assert len(done.out) < 300


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_a_code_or_not_found(cli, text) -> None:
    """Whatever is given as a code gives an exit code and one document."""
    done = cli("pairing", "approve", text, "--json")

    assert (done.code, json.loads(done.out)["ok"]) == (3, False)
