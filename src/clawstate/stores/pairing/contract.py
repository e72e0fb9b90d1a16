"""What pairing asks of others: a place that issues tokens, and its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol


class Issued(Protocol):
    """A token as it was issued: the only moment at which it can be read."""

    @property
    def device_id(self) -> str:
        """The device that may use it."""

    @property
    def token(self) -> str:
        """The token."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """What it allows."""

    @property
    def collects(self) -> bool:
        """Whether the device fetches a token of its own in the place of this one."""

    @property
    def role(self) -> str:
        """The role in which the device uses it."""


# A protocol, since no store knows another one: `state` hands the devices in (decision 13).
class Approvals(Protocol):
    """Where approved devices are kept."""

    def issue(
        self,
        *,
        device_id: str,
        user_id: str,
        account_id: str | None,
        name: str | None,
        public_key: str | None,
        scopes: Iterable[str] | None,
        caller_scopes: Iterable[str] | None,
        request: str,
        collects: bool,
    ) -> Issued:
        """
        Pair the device and return its token; once for each mark *request*, whoever else tries.

        With *collects* the device fetches its token by itself.

        Raises `NotFoundError` when that request was used already, `InvalidError` when the device
        cannot be paired so, with nothing written.
        """

    def collect(self, device_id: str, *, request: str, signed_at_ms: int) -> Issued:
        """
        Give the device the token that the mark *request* brought it, until it was used.

        Raises `NotFoundError` if that request did not let it in, `ConflictError` once its token
        was used, or for a proof that is not younger than the one before.
        """

    def refuse(self, request: str, device_id: str) -> None:
        """
        Let the mark *request* of that device let nobody in from now on.

        Raises `NotFoundError` when that request was used already.
        """

    def was_used(self, request: str, device_id: str | None = None) -> bool:
        """Tell whether the mark *request* was used or refused, by that device or by any."""


@dataclass(frozen=True, slots=True)
class PairingSettings:
    """How long a request waits, in seconds, and how many may wait at once (`pairing.*`)."""

    ttl: float = 3600.0
    limit: int | Callable[[], int] = 3
    """Asked for when somebody asks to be paired, where it is a function."""
