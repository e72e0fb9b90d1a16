from __future__ import annotations

import pytest


@pytest.fixture
def paired(cli) -> str:
    """Pair a phone that may read and write, and return its token."""
    made = cli("pairing", "request", "--user", "ada", "--device", "phone", "--json").json
    token: str = cli("pairing", "approve", made["code"], "--json").json["token"]
    return token


def is_let_in(cli, token, *options) -> bool:
    done = cli("devices", "verify", "phone", *options, "--json", stdin=token.encode())
    assert (done.code == 0) == done.json["valid"]
    return done.json["valid"]


def test_the_list_has_no_secrets(cli, paired) -> None:
    """A device is listed with its rights and moments, without its token or a digest of it."""
    assert is_let_in(cli, paired)

    (found,) = cli("devices", "list", "--json").json["devices"]

    assert found["deviceId"] == "phone"
    assert found["scopes"] == ["operator.read", "operator.write"]
    assert found["lastUsedAtMs"] >= found["approvedAtMs"]
    assert "hash" not in str(found)
    assert "phone of ada  operator.read, operator.write" in cli("devices", "list").out


def test_an_empty_list_says_what_to_do(cli) -> None:
    """Without devices the document is empty, and people are told how one gets in."""
    assert cli("devices", "list", "--json").json == {"devices": []}
    assert "clawstate pairing request" in cli("devices", "list").out


def test_a_token_is_verified_from_stdin(cli, paired) -> None:
    """The right token is let in for what it allows; anything else is exit code 1."""
    assert is_let_in(cli, f"{paired}\n")
    assert is_let_in(cli, paired, "--scope", "operator.write", "--scope", "operator.read")
    assert not is_let_in(cli, paired, "--scope", "operator.admin")
    assert not is_let_in(cli, paired[1:])
    assert cli("devices", "verify", "phone", stdin=b"\xff\xfe").code == 1
    assert cli("devices", "verify", "\udcff", "--json", stdin=b"x").json == {"valid": False}


def test_a_token_is_never_an_argument(cli, paired) -> None:
    """A token as an argument is refused and not repeated; so is nothing at all on stdin."""
    for arguments in (["phone", paired], ["phone"]):
        ran = cli("devices", "verify", *arguments)

        assert ran.code == 2
        assert "standard input" in ran.err or "stdin is empty" in ran.err
        assert paired not in ran.err + ran.out


def test_only_the_beginning_of_an_endless_stdin_is_read(cli, paired) -> None:
    """What is longer than any token is not let in, and not read to its end."""
    ran = cli("devices", "verify", "phone", stdin=paired.encode() * 100_000)

    assert (ran.code, ran.out) == (1, "not let in\n")


def test_a_list_without_the_revoked_says_where_they_are(cli, paired) -> None:
    """When all devices are revoked, the empty list names the option that shows them."""
    cli("devices", "revoke", "phone")

    assert (
        cli("devices", "list").out == "no device is let in; --all shows those that were revoked\n"
    )


def test_an_error_names_the_device(cli, paired) -> None:
    """Rotating the token of a revoked device is refused with its id."""
    cli("devices", "revoke", "phone")

    assert "'phone'" in cli("devices", "rotate", "phone").err


def test_rotation_prints_the_new_token(cli, paired) -> None:
    """After a rotation only the new token is good; it may allow less, and never more."""
    wider = cli("devices", "rotate", "phone", "--scope", "operator.admin", "--json")
    assert (wider.code, wider.json["error"]["type"]) == (2, "usage")
    assert is_let_in(cli, paired)

    done = cli("devices", "rotate", "phone", "--scope", "operator.read", "--json")

    assert not is_let_in(cli, paired)
    assert is_let_in(cli, done.json["token"])
    assert not is_let_in(cli, done.json["token"], "--scope", "operator.write")


def test_a_revoked_device_is_listed_when_asked_for(cli, paired) -> None:
    """Revoking twice changes nothing more; the device is out of the list, and of the state."""
    assert cli("devices", "revoke", "phone", "--json").json["revoked"] is True
    again = cli("devices", "revoke", "phone")
    assert (again.code, again.out) == (0, "phone was revoked already\n")

    assert not is_let_in(cli, paired)
    assert cli("devices", "list", "--json").json == {"devices": []}
    (found,) = cli("devices", "list", "--all", "--json").json["devices"]
    assert "revokedAtMs" in found
    assert "revoked" in cli("devices", "list", "--all").out


def test_a_device_is_renamed_and_removed(cli, paired) -> None:
    """A device gets a name for people; a removed one is gone."""
    assert cli("devices", "rename", "phone", "Ada's phone", "--json").json["name"] == "Ada's phone"
    assert cli("devices", "list").out.startswith("Ada's phone (phone) of ada")

    assert cli("devices", "remove", "phone", "--json").json == {
        "deviceId": "phone",
        "removed": True,
    }
    assert not is_let_in(cli, paired)


@pytest.mark.parametrize(
    "words", [["rotate", "tv"], ["revoke", "tv"], ["rename", "tv", "x"], ["remove", "tv"]]
)
def test_an_unknown_device_is_exit_code_three(cli, words) -> None:
    """What is not paired cannot be changed."""
    done = cli("devices", *words, "--json")

    assert (done.code, done.json["error"]["type"]) == (3, "not_found")


@pytest.mark.parametrize("words", [["rotate"], ["revoke"], ["rename", "x"], ["remove"]])
@pytest.mark.parametrize("text", ["\udcff", "a\nb", "x" * 300])
def test_a_strange_id_is_one_failure(cli, words, text) -> None:
    """Whatever is given as an id gives a typed failure and one document."""
    verb, *rest = words

    done = cli("devices", verb, text, *rest, "--json")

    assert (done.code, done.json["error"]["type"]) == (1, "invalid")


def test_a_beginning_of_an_id_is_enough(cli) -> None:
    """What the list shows of an id names the device, and so does any beginning of it alone."""
    for device in ("abcdef" + "0" * 58, "abcdef" + "1" * 58):
        code = cli("pairing", "request", "--user", "ada", "--device", device, "--json").json["code"]
        cli("pairing", "approve", code)

    listed = cli("devices", "list").out
    refused = cli("devices", "revoke", "abcd")
    shown = next(word for word in listed.split() if word.startswith("abcdef0"))
    done = cli("devices", "revoke", shown, "--json")

    assert len(shown) < 64
    assert refused.code == 1
    assert "begins those of several devices" in refused.err
    assert done.json == {"deviceId": "abcdef" + "0" * 58, "revoked": True}
    assert cli("devices", "rotate", "abcdef1", "--json").json["deviceId"] == "abcdef" + "1" * 58
