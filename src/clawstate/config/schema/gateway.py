"""`gateway`: where the gateway listens, and who may talk to it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from clawstate.documents import (
    Count,
    Document,
    Maybe,
    NotNegative,
    Object,
    Port,
    Text,
)
from clawstate.secrets.schema import Secret


class RateLimit(Document):
    """How many failed attempts a client has."""

    max_attempts: Maybe[NotNegative] = Field(
        default=None, description="Failed attempts before a lockout."
    )
    window_ms: Maybe[NotNegative] = Field(
        default=None, description="The time in which attempts are counted."
    )
    lockout_ms: Maybe[NotNegative] = Field(default=None, description="How long a lockout takes.")
    exempt_loopback: Maybe[bool] = Field(
        default=None, description="Do not count attempts from this machine."
    )


class TrustedProxy(Document):
    """A proxy that says who the user is."""

    user_header: Text = Field(description="The header that names the user.")
    required_headers: list[str] = Field(default=[], description="Headers that must be there, too.")
    allow_users: list[str] = Field(default=[], description="The only users; empty for all.")


class GatewayAuth(Document):
    """How clients prove who they are."""

    mode: Maybe[Literal["none", "token", "password", "trusted-proxy"]] = Field(
        default=None, description="What a client has to show."
    )
    token: Maybe[Secret] = Field(default=None, description="The token that clients share.")
    password: Maybe[Secret] = Field(default=None, description="The password that clients share.")
    allow_tailscale: Maybe[bool] = Field(
        default=None, description="Believe the identity that Tailscale vouches for."
    )
    rate_limit: Maybe[RateLimit] = Field(
        default=None, description="How many failed attempts are allowed."
    )
    trusted_proxy: Maybe[TrustedProxy] = Field(
        default=None,
        description="The proxy that says who the user is, in the mode `trusted-proxy`.",
    )


class ControlUi(Document):
    """The web pages of the gateway."""

    enabled: Maybe[bool] = Field(default=None, description="Serve the pages.")
    base_path: Maybe[str] = Field(default=None, description="The path that the pages lie below.")
    root: Maybe[str] = Field(default=None, description="A directory with pages to serve instead.")
    allowed_origins: list[str] = Field(
        default=[], description="Further origins whose pages may connect."
    )
    dangerously_allow_host_header_origin_fallback: Maybe[bool] = Field(
        default=None, description="Take the Host header for an allowed origin."
    )
    allow_insecure_auth: Maybe[bool] = Field(
        default=None, description="Allow to sign in without TLS."
    )
    dangerously_disable_device_auth: Maybe[bool] = Field(
        default=None, description="Do not ask browsers to be paired."
    )


class RemoteGateway(Document):
    """The gateway of another machine."""

    url: Maybe[str] = Field(default=None, description="Its WebSocket address.")
    transport: Maybe[Literal["ssh", "direct"]] = Field(
        default=None, description="How it is reached."
    )
    token: Maybe[Secret] = Field(default=None, description="The token to show there.")
    password: Maybe[Secret] = Field(default=None, description="The password to show there.")
    tls_fingerprint: Maybe[str] = Field(default=None, description="The only certificate to accept.")
    ssh_target: Maybe[str] = Field(default=None, description="`user@host` of the SSH tunnel.")
    ssh_identity: Maybe[str] = Field(default=None, description="The file with the SSH key.")


class Reload(Document):
    """What happens when the configuration changes."""

    mode: Maybe[Literal["off", "restart", "hot", "hybrid"]] = Field(
        default=None,
        description="Ignore it, restart, apply what can be applied, or both as needed.",
    )
    debounce_ms: Maybe[Count] = Field(
        default=None, description="How long to wait for further changes."
    )


class Tls(Document):
    """Encryption on the wire."""

    enabled: Maybe[bool] = Field(default=None, description="Serve HTTPS.")
    auto_generate: Maybe[bool] = Field(
        default=None, description="Make a certificate if there is none."
    )
    cert_path: Maybe[str] = Field(default=None, description="The certificate, PEM.")
    key_path: Maybe[str] = Field(default=None, description="The key of the certificate, PEM.")
    ca_path: Maybe[str] = Field(default=None, description="The authorities to trust, PEM.")


class Tailscale(Document):
    """Reachability through Tailscale."""

    mode: Maybe[Literal["off", "serve", "funnel"]] = Field(
        default=None, description="Not at all, in the private network, or in public."
    )
    reset_on_exit: Maybe[bool] = Field(default=None, description="Undo it when the gateway ends.")


class GatewayTools(Document):
    """The tools that clients may call."""

    allow: list[str] = Field(default=[], description="The tools that are allowed.")
    deny: list[str] = Field(default=[], description="The tools that are refused.")


class Gateway(Document):
    """Where the gateway listens, and who may talk to it."""

    port: Port = Field(default=18789, description="The TCP port.")
    host: Text = Field(
        default="localhost",
        description="The name or address to listen on; OpenClaw wants `bind` instead.",
    )
    bind: Maybe[Literal["auto", "lan", "loopback", "custom", "tailnet"]] = Field(
        default=None, description="The network to listen on; counts before `host`."
    )
    custom_bind_host: Maybe[str] = Field(
        default=None, description="The address for the bind `custom`."
    )
    mode: Literal["local", "remote"] = Field(
        default="local", description="Whether the gateway runs here or on another machine."
    )
    auth: Maybe[GatewayAuth] = Field(default=None, description="How clients prove who they are.")
    control_ui: Maybe[ControlUi] = Field(default=None, description="The web pages of the gateway.")
    trusted_proxies: list[str] = Field(
        default=[], description="Addresses of proxies whose forwarding headers count."
    )
    allow_real_ip_fallback: Maybe[bool] = Field(
        default=None, description="Take X-Real-IP where X-Forwarded-For is missing."
    )
    tools: Maybe[GatewayTools] = Field(default=None, description="The tools that clients may call.")
    channel_health_check_minutes: Maybe[Count] = Field(
        default=None, description="How often channels are checked; 0 for never."
    )
    tailscale: Maybe[Tailscale] = Field(default=None, description="Reachability through Tailscale.")
    remote: Maybe[RemoteGateway] = Field(
        default=None, description="The gateway of another machine."
    )
    reload: Maybe[Reload] = Field(
        default=None, description="What a change of the configuration does."
    )
    tls: Maybe[Tls] = Field(default=None, description="Encryption on the wire.")
    http: Maybe[Object] = Field(default=None, description="Further HTTP endpoints and headers.")
    nodes: Maybe[Object] = Field(default=None, description="What nodes may be asked to do.")
