"""A device pairs itself over HTTP: with a code, and by an invitation."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from running_gateway import Gateway

import clawstate
from clawstate.clock import to_ms
from clawstate.gateway.links import join_invitation
from clawstate.gateway.pairing_client import PairingClient, RefusedError
from clawstate.stores.pairing import proof_text


def run(root: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clawstate", "--state-dir", str(root), "--json", *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


@pytest.fixture
def device(tmp_path: Path):
    with clawstate.open(tmp_path / "device") as opened:
        yield opened


def wish(device, **more) -> dict:
    found = device.identity.load_or_create()
    return {"deviceId": found.device_id, "publicKey": found.public_key, **more}


def prove(device, about: str) -> dict:
    at = to_ms(device.clock())
    text = proof_text(device.identity.device_id, about, at)
    return wish(device, signedAtMs=at, signature=device.identity.sign(text))


def test_a_second_machine_pairs_itself(gateway: Gateway, tmp_path: Path) -> None:
    """`devices pair` shows a code, the owner approves it on the host, and the token works."""
    root = tmp_path / "laptop"
    command = [sys.executable, "-m", "clawstate", "--state-dir", str(root), "--json"]
    asking = subprocess.Popen(
        [*command, "devices", "pair", "--url", gateway.url, "--name", "laptop"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    code = re.search(r"with the code (\S+)", asking.stderr.readline())[1]

    approved = run(gateway.root, "pairing", "approve", code.lower())
    told, _ = asking.communicate(timeout=60)

    assert approved.returncode == 0
    assert "token" not in json.loads(approved.stdout)
    assert asking.returncode == 0
    name = json.loads(told)["name"]
    with clawstate.open(root) as state:
        token = str(state.device_auth.get(name))
    assert gateway.get("/api/v1/devices/self", token=token).json["name"] == "laptop"
    assert token not in told


def test_who_was_turned_away_is_told_what_next(gateway: Gateway, device) -> None:
    """A rejected device is denied, and reads how to ask again."""
    asked = gateway.post(
        "/api/v1/pairing/device_authorization", wish(device, name="no"), token=None
    ).json
    assert run(gateway.root, "pairing", "reject", asked["userCode"]).returncode == 0

    body = {**prove(device, asked["deviceCode"]), "deviceCode": asked["deviceCode"]}
    answer = gateway.post("/api/v1/pairing/token", body, token=None)

    assert (answer.status, answer.error) == (400, "access_denied")
    assert "clawstate devices pair" in answer.json["error"]["message"]


def test_asking_too_often_is_slowed_down(gateway: Gateway, device) -> None:
    """The second question within seconds is answered with `slow_down`."""
    asked = gateway.post("/api/v1/pairing/device_authorization", wish(device), token=None).json
    code = asked["deviceCode"]

    answers = [
        gateway.post(
            "/api/v1/pairing/token", {**prove(device, code), "deviceCode": code}, token=None
        ).error
        for _ in range(2)
    ]

    assert answers == ["authorization_pending", "slow_down"]


def test_an_invitation_pairs_without_a_question(gateway: Gateway, tmp_path: Path) -> None:
    """The link that `devices invite` prints lets one machine in; the second one reads why not."""
    link = json.loads(run(gateway.root, "devices", "invite", "--scope", "operator.read").stdout)[
        "link"
    ]
    assert link.startswith(gateway.url)

    first = run(tmp_path / "first", "devices", "pair", "--invited", stdin=link)
    second = run(tmp_path / "second", "devices", "pair", "--invited", stdin=link)

    assert first.returncode == 0
    assert json.loads(first.stdout)["scopes"] == ["operator.read"]
    assert second.returncode == 1
    assert "clawstate devices invite" in json.loads(second.stdout)["error"]["message"]


def test_an_invitation_is_drawn_for_a_phone(tmp_path: Path) -> None:
    """`devices invite --qr` draws the link that it prints."""
    command = [sys.executable, "-m", "clawstate", "--state-dir", str(tmp_path / "state")]
    done = subprocess.run(
        [*command, "devices", "invite", "--qr"], capture_output=True, text=True, check=True
    )

    *drawn, link, _ = done.stdout.splitlines()
    assert link.startswith("http://localhost:18789/#invite=")
    assert sum("█" in each or "▀" in each or "▄" in each for each in drawn) > 10


def test_a_token_survives_the_gateway(tmp_path: Path, device) -> None:
    """Approved while no gateway runs, a device fetches its token from the next one."""
    root = tmp_path / "state"
    with Gateway(root) as first:
        client = PairingClient(device, first.url)
        waiting = client.ask(name="phone", scopes=None)
    assert run(root, "pairing", "approve", waiting.user_code).returncode == 0

    with Gateway(root) as second:
        paired = PairingClient(device, second.url).collect(waiting)
        token = str(device.device_auth.get(paired.name))
        assert second.get("/api/v1/devices/self", token=token).status == 200


def test_guessing_invitations_is_limited(tmp_path: Path, device) -> None:
    """After some wrong secrets no more are looked at, from this machine neither."""
    with Gateway(tmp_path / "state") as gateway:
        answers = [
            gateway.post(
                "/api/v1/pairing/redeem",
                {**prove(device, f"wrong {each}"), "secret": f"wrong {each}"},
                token=None,
            )
            for each in range(8)
        ]

    assert {each.status for each in answers[:5]} == {404}
    assert {each.status for each in answers[5:]} == {429}
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_a_device_waits_while_the_gateway_is_away(tmp_path: Path, device) -> None:
    """A gateway that stops and comes back at its place costs a waiting device nothing."""
    with Gateway(tmp_path / "state") as first:
        client = PairingClient(device, first.url)
        waiting = client.ask(name="phone", scopes=None)
    assert client.collect(waiting) is None


@pytest.mark.parametrize(
    "answer",
    [
        *("", "null", "[]", "{}", '{"deviceCode": 1}', "[" * 100_000, '{"serverTimeMs": 1e400}'),
        '{"serverTimeMs": 1, "deviceCode": "a", "userCode": "b", "expiresIn": "x", "interval": 1}',
    ],
    ids=str,
)
def test_whatever_answers_is_told_in_a_sentence(device, answer: str) -> None:
    """Answers that no gateway gives are typed errors, whatever they are."""

    class Odd(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = PairingClient(device, f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(clawstate.StateError):
            client.ask(name=None, scopes=None)
        server.shutdown()


def test_who_is_refused_reads_why(gateway: Gateway, tmp_path: Path) -> None:
    """The fourth device that asks reads what the gateway says, and what its owner can do."""
    with Gateway(tmp_path / "state") as own:
        with clawstate.open(own.root) as owner:
            for each in ("a", "b", "c"):
                owner.pairing.request(user_id="ada", device_id=each)

        with clawstate.open(tmp_path / "device") as state:
            client = PairingClient(state, own.url)
            with pytest.raises(RefusedError, match="clawstate pairing list"):
                client.ask(name=None, scopes=None)


def test_a_wrong_address_is_told(device, tmp_path: Path) -> None:
    """What is no URL, does not answer, or is another program is refused with what to do."""
    for url, told in {
        "ftp://x": "no URL",
        "http://192.0.2.7:1": "plain HTTP",
        "http://localhost:1": "does not answer",
    }.items():
        with pytest.raises(clawstate.StateError, match=told):
            PairingClient(device, url).ask(name=None, scopes=None)


def test_a_revoked_device_asks_again(gateway: Gateway, device) -> None:
    """Whoever is let in no more gets in by a new request alone."""
    invited = json.loads(run(gateway.root, "devices", "invite").stdout)["link"]
    secret = invited.partition("invite=")[2]
    PairingClient(device, gateway.url).redeem(secret, name=None)
    device_id = device.identity.device_id
    assert run(gateway.root, "devices", "revoke", device_id).returncode == 0

    with pytest.raises(RefusedError):
        PairingClient(device, gateway.url).redeem(secret, name=None)

    assert join_invitation(gateway.url, secret) == invited
    link = json.loads(run(gateway.root, "devices", "invite").stdout)["link"]
    again = PairingClient(device, gateway.url).redeem(link.partition("invite=")[2], name=None)
    assert again.name == gateway.url


def test_many_devices_pair_at_once(gateway: Gateway, tmp_path: Path) -> None:
    """Devices that come at the same moment, each with its invitation, are all let in."""
    links = [json.loads(run(gateway.root, "devices", "invite").stdout)["link"] for _ in range(4)]
    scopes: list[tuple[str, ...]] = []

    def pair(number: int) -> None:
        with clawstate.open(tmp_path / str(number)) as state:
            secret = links[number].partition("invite=")[2]
            scopes.append(PairingClient(state, gateway.url).redeem(secret, name=None).scopes)

    threads = [threading.Thread(target=pair, args=(each,)) for each in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert scopes == [("operator.read", "operator.write")] * 4
