"""Where the authorization server and what it protects are, as the client that asks names them."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import HTTPConnection

from clawstate.gateway.address import Address

MCP: Final = "/mcp"
RESOURCE_METADATA: Final = "/.well-known/oauth-protected-resource"
SERVER_METADATA: Final = "/.well-known/oauth-authorization-server"
# Where clients of the protocol of 2025-03-26 look that find no metadata.
AUTHORIZE, TOKEN, REGISTER = "/authorize", "/token", "/register"
REVOKE, STYLE = "/revoke", "/authorize/style.css"
SCOPES: Final = ("operator.read", "operator.write")
"""What a client may ask for: at `/mcp` there is nothing else to be allowed."""


def issuer_of(connection: HTTPConnection) -> str:
    """
    Return the origin by which the client reaches this gateway.

    Behind a proxy that speaks TLS it is the one that the owner named for it: only names that the
    gateway answers to come so far.
    """
    address: Address = connection.app.state.address
    host = connection.headers.get("host", "").lower()
    for each in address.origins:
        if each.partition("://")[2].lower() == host:
            return each.lower()
    scheme = {"ws": "http", "wss": "https"}.get(connection.url.scheme, connection.url.scheme)
    return f"{scheme}://{host}"


def resource_of(connection: HTTPConnection) -> str:
    """Return the name of what tokens are for (RFC 8707)."""
    return issuer_of(connection) + MCP


def is_resource(connection: HTTPConnection, named: str | None) -> bool:
    """Tell whether *named* is what we protect; a client need not name it."""
    ours = issuer_of(connection)
    return named is None or named.rstrip("/").lower() in {ours, ours + MCP}


def challenge(connection: HTTPConnection, *, error: str | None) -> str:
    """Return the `WWW-Authenticate` that leads a client to us (RFC 9728)."""
    told = {
        "realm": "clawstate",
        "error": error,
        "scope": " ".join(SCOPES),
        "resource_metadata": issuer_of(connection) + RESOURCE_METADATA + MCP,
    }
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in told.items() if value)


def resource_metadata(connection: HTTPConnection) -> dict[str, Any]:
    """Return what a client of MCP reads first (RFC 9728)."""
    return {
        "resource": resource_of(connection),
        "resource_name": "clawstate memory",
        "authorization_servers": [issuer_of(connection)],
        "scopes_supported": list(SCOPES),
        "bearer_methods_supported": ["header"],
    }


def server_metadata(connection: HTTPConnection) -> dict[str, Any]:
    """Return what the authorization server can do (RFC 8414)."""
    issuer = issuer_of(connection)
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTHORIZE,
        "token_endpoint": issuer + TOKEN,
        "registration_endpoint": issuer + REGISTER,
        "revocation_endpoint": issuer + REVOKE,
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
    }
