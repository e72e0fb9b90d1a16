"""`OAuthError`: why a client gets no token, in the words of OAuth."""

from __future__ import annotations

from clawstate.errors import StateError


class OAuthError(StateError):
    """
    A client asked for what it cannot have; *kind* is the word of OAuth, such as `invalid_grant`.

    *text* is for people.
    """

    code = "oauth"

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind = kind
        self.text = text

    def __str__(self) -> str:
        return self.text
