"""Names of profiles and providers, text of secrets, and the limits of what is stored."""

from __future__ import annotations

import re
from typing import Final

from clawstate.errors import InvalidError
from clawstate.quantities import number_of
from clawstate.records.contract import Json

LONGEST_ID: Final = 256
"""Characters of a profile's id."""
LONGEST_PROVIDER: Final = 128
"""Characters of a provider's name."""
LONGEST_SECRET: Final = 65_536
"""Characters of one secret."""
LARGEST_RECORD: Final = 262_144
"""Bytes of one profile as JSON."""

# OpenClaw compares providers so. With other rules the two would try different profiles.
LATER_NAMES = {
    "z.ai": "zai",
    "z-ai": "zai",
    "opencode-zen": "opencode",
    "qwen": "qwen-portal",
    "kimi-code": "kimi-coding",
    "bedrock": "amazon-bedrock",
    "aws-bedrock": "amazon-bedrock",
    "bytedance": "volcengine",
    "doubao": "volcengine",
}
"""Names of providers that OpenClaw 2026.2.26 takes for another."""

_BREAKS = re.compile("[\r\n\u2028\u2029]+")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONE_VARIABLE = re.compile(r"\$\{[A-Z][A-Z0-9_]{0,127}\}")
# What a JavaScript program strips from the ends of a text.
_BLANKS = (
    "\t\n\x0b\x0c\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)


def normalise_provider(provider: str) -> str:
    """Return the name under which *provider* is compared with others."""
    lower = provider.strip(_BLANKS).lower()
    return LATER_NAMES.get(lower, lower)


def clean_secret(text: str) -> str:
    """Return *text* without line breaks and without blanks at its ends, which pasting leaves."""
    return _BREAKS.sub("", text).strip(_BLANKS)


def is_blank(text: str) -> bool:
    """Tell whether *text* holds nothing but blanks."""
    return not text.strip(_BLANKS)


def is_variable(text: str) -> bool:
    """Tell whether *text* is exactly `${NAME}`, which stands for a variable."""
    return _LONE_VARIABLE.fullmatch(text) is not None


def require_profile_id(profile_id: object) -> str:
    """Return *profile_id* if it is `provider:name`; raises `InvalidError` otherwise."""
    if not isinstance(profile_id, str):
        problem = f"is {type(profile_id).__name__}, not text"
    elif len(profile_id) > LONGEST_ID:
        problem = f"is {number_of(len(profile_id), 'character')} long, more than {LONGEST_ID:,}"
    elif _UNPRINTABLE.search(profile_id):
        problem = "holds control characters, or half a surrogate pair"
    elif not all(part and part == part.strip(_BLANKS) for part in profile_id.partition(":")):
        problem = "is not two parts with a colon between"
    else:
        return profile_id
    raise InvalidError("profile id", problem, "write one like 'openai:default'")


def require_provider(provider: Json, name: str = "provider") -> str:
    """Return *provider* if it can name one; raises `InvalidError` otherwise."""
    if not isinstance(provider, str) or is_blank(provider):
        raise InvalidError(name, "is missing", "name one, such as 'openai'")
    if len(provider) > LONGEST_PROVIDER or _UNPRINTABLE.search(provider):
        problem = f"is longer than {LONGEST_PROVIDER:,} characters, or holds control characters"
        raise InvalidError(name, problem, "name one, such as 'openai'")
    return provider
