"""The screen Devices: who asks is let in or turned away, who is in can be changed and ended."""

from __future__ import annotations

import base64
import hashlib

import pytest
from browsing import SIZES, redeem, token_for
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import expect
from running_gateway import Gateway

READ, WRITE = "operator.read", "operator.write"


def ask(gateway: Gateway, name: str) -> str:
    """Ask to be let in as a new device called *name*, and return its code."""
    raw = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    body = {
        "deviceId": hashlib.sha256(raw).hexdigest(),
        "publicKey": base64.urlsafe_b64encode(raw).decode().rstrip("="),
        "name": name,
        "scopes": [READ, WRITE],
    }
    return gateway.post("/api/v1/pairing/device_authorization", body, token=None).json["userCode"]


def invited(gateway: Gateway, name: str, *scopes: str) -> str:
    """Let a device in, and return its token."""
    body = {"scopes": list(scopes) or [READ], "name": name}
    return redeem(gateway, gateway.post("/api/v1/pairing/invitations", body).json["secret"])


def names(gateway: Gateway) -> dict[str, list[str]]:
    found = gateway.get("/api/v1/devices").json["devices"]
    return {each.get("name", ""): each["scopes"] for each in found}


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_device_is_let_in_with_fewer_scopes_than_it_asked_for(sight, gateway, size) -> None:
    """A request shows its code; what is not ticked is not given."""
    name = f"Reader {size}"
    code = ask(gateway, name)
    with sight(size=size) as seen:
        page = seen.open("/devices")
        request = page.get_by_role("article", name=f"Request {code}")
        expect(request).to_contain_text(name)
        seen.picture(f"devices-request-{size}")

        assert seen.axe() == []
        request.get_by_role("checkbox", name="write").uncheck()
        request.get_by_role("button", name="Approve").click()
        expect(request).to_have_count(0)

    assert names(gateway)[name] == [READ]


@pytest.mark.slow
def test_a_link_with_a_code_leads_to_its_request(sight, gateway: Gateway) -> None:
    """What a device shows as a link opens the screen at that request, and leaves the address."""
    code = ask(gateway, "By link")
    with sight() as seen:
        page = seen.page
        page.goto(f"{gateway.url}/#pair={code}")
        request = page.get_by_role("article", name=f"Request {code}")
        expect(request).to_have_class("card request wanted")

        assert code not in page.url
        request.get_by_role("button", name="Deny").click()
        expect(request).to_have_count(0)
    assert "By link" not in names(gateway)


@pytest.mark.slow
def test_revoking_ends_the_connections_of_a_device_at_once(sight, gateway: Gateway) -> None:
    """A browser whose device is revoked elsewhere is signed out."""
    with sight() as owner, sight(scopes=(READ,)) as other:
        other.open("/devices")
        mine = other.page.get_by_role("row").filter(has_text="this browser")
        expect(mine).to_be_visible()
        device = other.page.evaluate(
            "fetch('/api/v1/sign-in', {headers: {Authorization: 'Bearer '"
            " + localStorage.getItem('clawstate.token')}}).then((answer) => answer.json())"
        )["deviceId"]
        page = owner.open(f"/devices/{device}")
        page.get_by_role("button", name="Revoke").click()
        page.get_by_role("button", name="Revoke").last.click()

        expect(page.get_by_text("revoked", exact=True).first).to_be_visible()
        expect(other.page.get_by_role("button", name="Pair this browser")).to_be_visible()
        other.problems = [each for each in other.problems if "40" not in each]


def test_an_invitation_lets_a_browser_in_once(sight, browser, gateway: Gateway) -> None:
    """The link of an invitation needs one press; its secret stays in no address and no page."""
    with sight() as seen, sight(scopes=None) as guest:
        page = seen.open("/devices")
        page.keyboard.press("i")
        page.get_by_role("button", name="Make the invitation").click()
        expect(page.get_by_role("img", name="QR code of the invitation")).to_be_visible()
        seen.picture("devices-invitation")
        assert "#invite=" not in page.content()
        page.get_by_role("button", name="Show").click()
        link = page.locator(".once code").inner_text()

        guest.page.goto(link)
        guest.page.get_by_role("button", name="Accept the invitation").click()
        expect(guest.page.get_by_text("read only")).to_be_visible()
        assert link.partition("=")[2] not in guest.page.url + guest.page.content()


@pytest.mark.slow
def test_a_device_is_renamed_and_the_name_can_come_back(sight, gateway: Gateway) -> None:
    """A rename can be undone."""
    invited(gateway, "Old name")
    with sight() as seen:
        page = seen.open("/devices")
        page.get_by_role("link", name="Old name").click()
        seen.picture("devices-one")
        assert seen.axe() == []
        page.get_by_role("textbox", name="Name").fill("New name")
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="New name")).to_be_visible()
        page.get_by_role("button", name="Undo").click()

        expect(page.get_by_role("link", name="Old name")).to_be_visible()


@pytest.mark.slow
def test_who_only_reads_sees_no_way_to_change_devices(sight) -> None:
    """Without its scope an action is not there."""
    with sight(scopes=(READ,)) as seen:
        page = seen.open("/devices")
        page.get_by_role("link").filter(has_text="-").or_(page.locator("a.plain")).first.click()
        expect(page.get_by_role("dialog")).to_be_visible()

        for name in ("Invite a device", "Rename", "Revoke", "Forget", "Approve"):
            expect(page.get_by_role("button", name=name)).to_have_count(0)


def test_no_token_of_a_device_is_in_a_page_or_an_answer(sight, gateway: Gateway) -> None:
    """What lists devices and requests holds no token, nor its digest."""
    token = invited(gateway, "Secretive")
    digest = hashlib.sha256(token.encode()).hexdigest()
    answers: list[str] = []
    with sight() as seen:
        seen.page.on("response", lambda each: answers.append(each.url) or None)
        page = seen.open("/devices")
        page.get_by_role("link", name="Secretive").click()
        expect(page.get_by_role("heading", name="Secretive")).to_be_visible()
        shown = page.content()
    told = gateway.get("/api/v1/devices").body.decode()

    assert token not in shown + told
    assert digest not in shown + told


@pytest.mark.slow
def test_health_tells_what_it_will_do_mends_and_tells_what_was_done(sight, gateway) -> None:
    """A finding that can be mended says first what happens, and then what was done."""
    gateway.root.chmod(0o755)
    token = gateway.root / "state" / "gateway-token"
    token.chmod(0o644)
    with sight() as seen:
        page = seen.open("/doctor")
        finding = page.get_by_role("article").filter(has_text=str(gateway.root))
        expect(finding.first).to_be_visible()
        seen.picture("health-finding")
        finding.first.get_by_role("button", name="Mend").click()
        expect(page.get_by_role("dialog")).to_contain_text("Then:")
        page.get_by_role("dialog").get_by_role("button", name="Mend").click()

        expect(page.get_by_text("What was done")).to_be_visible()
    modes = [each.stat().st_mode & 0o077 for each in (gateway.root, token)]
    assert 0 in modes


@pytest.mark.slow
def test_health_tells_no_reader_to_mend(sight, gateway: Gateway) -> None:
    """Who only reads sees the findings and the space, and no button that mends."""
    with sight(scopes=(READ,)) as seen:
        page = seen.open("/doctor")
        expect(page.get_by_text("free of")).to_be_visible()

        expect(page.get_by_role("button", name="Mend")).to_have_count(0)
    assert gateway.post("/api/v1/doctor/fix", token=token_for(gateway, (READ,))).status == 403


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", ["/devices", "/doctor", "/credentials"])
def test_each_of_these_screens_is_usable_by_everybody(sight, path, size) -> None:
    """They have no serious fault by axe, light or dark, and are as wide as their window."""
    for scheme in ("light", "dark"):
        with sight(size=size, color_scheme=scheme) as seen:
            page = seen.open(path)
            expect(page.locator("main .waiting")).to_have_count(0)
            seen.picture(f"{path.strip('/')}-{size}-{scheme}")

            assert seen.axe() == []
            assert seen.overflow() == 0
