"""Which embedder the memory of a state uses, by its configuration and its credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clawstate.config.settings import MEMORY_EMBEDDER, MEMORY_THREADS
from clawstate.errors import ConfigError, InvalidError, StateError, UnavailableError
from clawstate.memory.embedders import KEY_SETTING, EmbedderChoice, EmbeddingServer
from clawstate.memory.embedders.remote_models import DEFAULT_MODEL, OWN_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from clawstate.config.view import View
    from clawstate.state.context import Context

PROVIDER = "openai"
VARIABLE = "OPENAI_API_KEY"

_PLUGIN = "memory-lancedb"
_SECTION = KEY_SETTING.rpartition(".")[0]


def embedder_choice(context: Context, view: View) -> EmbedderChoice:
    """
    Return the embedder that *view* asks for, with the server that it names (decision 47).

    Raises `ConfigError`. No secret is asked for before a text is to be sent.
    """
    name, threads = MEMORY_EMBEDDER.of(view), MEMORY_THREADS.of(view)
    section = _section(view.loaded.resolved)
    is_named = _at(view.loaded.resolved, *MEMORY_EMBEDDER.path.split(".")) is not None
    # Only what is written asks for a server: a variable that happens to be set, or a credential
    # that the agent has, must not send the texts of somebody away.
    if not is_named and section.get("provider", PROVIDER) == PROVIDER:
        name = PROVIDER if section.keys() & {"provider", "apiKey", "baseUrl"} else name
    url = _text(view, section, "baseUrl", OWN_URL)
    if url != OWN_URL:
        _require_address(url)
    server = EmbeddingServer(
        model=_text(view, section, "model", DEFAULT_MODEL),
        base_url=url,
        key=_key_of(context, has_key="apiKey" in section, is_own=url.rstrip("/") == OWN_URL),
        dimensions=_dimensions(view, section),
        allow_plain_http=section.get("allowPlainHttp") is True,
        price=_price(view, section),
    )
    return EmbedderChoice(name, threads, server, is_set=is_named or name == PROVIDER)


def _require_address(url: str) -> None:
    from clawstate.memory.embedders.address import address_of  # noqa: PLC0415 - few have one

    try:
        address_of(url)
    except InvalidError as error:
        raise ConfigError(f"{_SECTION}.baseUrl", error.problem, error.hint) from None


def _key_of(context: Context, *, has_key: bool, is_own: bool) -> Callable[[], str | None]:
    def find_key() -> str | None:
        if has_key:
            return str(context.config.secret(KEY_SETTING))
        if not is_own:
            return None  # what OpenAI's key opens is nobody else's business
        found = _of_profiles(context) or context.config.view().loaded.variables.get(VARIABLE)
        if not found or not found.strip():
            hint = f"set {KEY_SETTING}, add a profile of openai, or set {VARIABLE}"
            raise UnavailableError("the key of OpenAI", "is not known", hint)
        return found

    return find_key


def _of_profiles(context: Context) -> str | None:
    """Return the key of the profile of the main agent that is to be tried first."""
    from clawstate.state.auth import MAIN, open_auth  # noqa: PLC0415 - seldom asked for
    from clawstate.stores.auth.credentials import ApiKey  # noqa: PLC0415

    try:
        profiles = open_auth(context, MAIN)
        for each in profiles.order(PROVIDER):
            # A token of a person's login is for chats, not for this.
            if isinstance(profiles.get(each), ApiKey):
                return profiles.secret(each)
    except StateError:
        return None
    return None


def _section(resolved: Any) -> dict[str, Any]:
    """Return what the plugin says about embeddings; nothing if it is not in use."""
    entry = _at(resolved, "plugins", "entries", _PLUGIN)
    chosen = _at(resolved, "plugins", "slots", "memory")
    if (
        not isinstance(entry, dict)
        or entry.get("enabled") is False
        or chosen not in {None, _PLUGIN}
    ):
        return {}
    found = _at(entry, "config", "embedding")
    return found if isinstance(found, dict) else {}


def _text(view: View, section: dict[str, Any], name: str, usual: str) -> str:
    if name not in section:
        return usual
    value = view.get(f"{_SECTION}.{name}")
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ConfigError(f"{_SECTION}.{name}", "is no text", f"the default is {usual!r}")


def _dimensions(view: View, section: dict[str, Any]) -> int | None:
    if "dimensions" not in section:
        return None
    value = view.get(f"{_SECTION}.dimensions")
    if type(value) in {int, float} and value > 0 and value == int(value):
        return int(value)
    raise ConfigError(f"{_SECTION}.dimensions", "is no whole number, 1 or more", "leave it out")


def _price(view: View, section: dict[str, Any]) -> float | None:
    if "pricePerMillion" not in section:
        return None
    value = view.get(f"{_SECTION}.pricePerMillion")
    if type(value) in {int, float} and 0 <= value < float("inf"):
        return float(value)
    hint = "write what a million tokens cost in USD, or leave it out"
    raise ConfigError(f"{_SECTION}.pricePerMillion", "is no number, 0 or more", hint)


def _at(value: Any, *path: str) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value
