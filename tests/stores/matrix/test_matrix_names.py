from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.errors import InvalidError
from clawstate.stores.matrix import MatrixLogin, account_key

SERVER, USER, TOKEN = "https://matrix.example.org", "@bot:example.org", "syt_secret_token"


def login(homeserver=SERVER, user_id=USER, access_token=TOKEN, account_id="default"):
    return MatrixLogin(homeserver, user_id, access_token, account_id)


@pytest.mark.parametrize(
    ("homeserver", "user", "pair"),
    [
        ("http://127.0.0.1:18008", "@bot:localhost", "127.0.0.1_18008__bot_localhost"),
        ("https://Matrix.Example.ORG", "@bot:Example.org", "matrix.example.org__bot_example.org"),
        ("https://example.org:443/", "@Bot:example.org", "example.org__bot_example.org"),
        ("https://example.org:8448/base", "@b=t/1:h:8448", "example.org_8448__b_t_1_h_8448"),
        ("http://[::1]:8008", "@bot:localhost", "1_8008__bot_localhost"),
        ("https://bücher.example", "@bot:x", "xn--bcher-kva.example__bot_x"),
    ],
)
def test_the_directories_are_called_as_openclaw_calls_them(homeserver, user, pair) -> None:
    """Server and user make the name of one directory, and the token only shows as its digest."""
    found = login(homeserver, user)

    assert found.pair_key == pair
    assert found.token_hash == hashlib.sha256(TOKEN.encode()).hexdigest()[:16]
    assert TOKEN not in repr(found)


@pytest.mark.parametrize(
    "homeserver",
    [
        *(
            "",
            "matrix.example.org",
            "ftp://example.org",
            "https://",
            "https://:8448",
            "https://h:x",
        ),
        *("https://h:99999", "https://bot:pw@h", "https://h?token=1", "https://h#a", "https://a b"),
        *("file:///etc/passwd", "https://h\n", "https://" + "a" * 70 + ".org", "javascript:1"),
    ],
)
def test_what_is_no_server_is_refused(homeserver: str) -> None:
    """A wrong URL is an error that says what one looks like, and repeats no password."""
    with pytest.raises(InvalidError, match="homeserver") as caught:
        login(homeserver)

    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "user",
    [
        *("", "bot", "@bot", "@:example.org", "@bot:", "bot:example.org", "@b\0t:h", "@b t:h"),
        *("@bot:exa\nmple", "@" + "b" * 250 + ":h.org", "@\udc00:h"),
    ],
)
def test_what_is_no_user_id_is_refused(user: str) -> None:
    """An id without a name or a server, or with characters that do not show, is an error."""
    with pytest.raises(InvalidError, match="user id"):
        login(user_id=user)


@pytest.mark.parametrize(
    "account",
    [
        *("..", ".", "../x", "a/b", "a b", "a.b", "", "__proto__", "constructor", "ä", "a\\b"),
        *("\0", "\u212a", "x" * 65, "_x", "-x"),
    ],
)
def test_an_account_that_could_be_another_is_refused(account: str) -> None:
    """An id that OpenClaw would write like that of another account is an error."""
    with pytest.raises(InvalidError, match="account id"):
        login(account_id=account)


@pytest.mark.parametrize("token", ["", " ", "a b", "a\n", "ä", "x" * 70_000])
def test_a_token_that_cannot_be_one_is_not_repeated(token: str) -> None:
    """What no header can carry is refused, by an error that does not show it."""
    with pytest.raises(InvalidError, match="access token") as caught:
        login(access_token=token)

    assert not token.strip() or token not in str(caught.value)


@given(st.text(max_size=80), st.text(max_size=60), st.text(max_size=60))
def test_no_id_leads_out_of_its_directory(account: str, user: str, server: str) -> None:
    """Whatever the ids, each name is one level of a path, and none climbs."""
    names = []
    for make in (
        lambda: account_key(account),
        lambda: login(user_id=f"@{user}:{server}").pair_key,
        lambda: login(f"https://{server}").pair_key,
    ):
        with suppress(InvalidError):
            names.append(make())

    for name in names:
        assert name not in {"", ".", ".."}
        assert not {"/", "\\", "\0", os.sep} & set(name)
        assert len(os.fsencode(name)) <= 255
        assert (Path("/a") / name).parent == Path("/a")


def test_a_name_too_long_for_a_directory_is_shortened_to_one_of_its_own() -> None:
    """Two users with long names do not meet in one directory."""
    server = f"https://{'.'.join(['a' * 60] * 3)}.org"
    names = {login(server, f"@{'b' * 200}{n}:h.org").pair_key for n in range(2)}

    assert len(names) == 2
    assert all(len(each) <= 200 for each in names)
