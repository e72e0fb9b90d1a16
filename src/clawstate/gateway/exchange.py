"""`Exchange`: a question to a gateway over HTTP, and its answer."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from clawstate.errors import UnavailableError

_PATIENCE: Final = 15.0  # seconds for one answer
_LONGEST: Final = 1 << 20  # bytes of it


class AwayError(UnavailableError):
    """Nothing answers there just now."""


class Exchange:
    """
    Asks the gateway at *origin*, each time on a connection of its own.

    *context* makes what certificates are trusted by, by default those that the system trusts; it is
    asked for where the gateway speaks TLS alone.
    """

    def __init__(
        self,
        origin: str,
        *,
        context: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self.origin = origin
        self._context = context

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None
    ) -> tuple[int, bytes]:
        """
        Return the status and the text of the answer; *body* is sent as JSON.

        Raises `AwayError` where nothing answers, `UnavailableError` for a certificate that is not
        trusted or a server without TLS.
        """
        connection = self._connect()
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_LONGEST)
        except ssl.SSLCertVerificationError as error:
            hint = "name the file of its certificate with --ca"
            problem = f"has a certificate that is not trusted ({error.verify_message})"
            raise UnavailableError(self.origin, problem, hint) from error
        except ssl.SSLError as error:
            hint = "it may speak plain HTTP: write http://"
            raise UnavailableError(self.origin, "does not speak TLS", hint) from error
        except (OSError, http.client.HTTPException) as error:
            problem = f"does not answer ({_reason(error)})"
            hint = "is it running there? 'clawstate gateway status' on that machine tells its URL"
            raise AwayError(self.origin, problem, hint) from error
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        place = urlsplit(self.origin)
        if place.scheme != "https":
            return http.client.HTTPConnection(place.netloc, timeout=_PATIENCE)
        return http.client.HTTPSConnection(place.netloc, timeout=_PATIENCE, context=self._context())


def _reason(error: Exception) -> str:
    told = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(told)
