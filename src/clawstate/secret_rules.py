"""
What counts as a secret: the one rule of names and shapes, for modes, views, audits and exports.

A name such as `botToken` makes any text a secret. A name that only hints at one (`key`, a variable
of a program) needs a text that may be a key. A text of a well-known shape, or one that only chance
can have made, is a secret whatever its name. Digests in hexadecimal, UUIDs and checksums are none:
too much that is public looks like them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import pairwise

Step = str | int

_LONG_ENOUGH = 16  # characters of which the first and the last two may be shown
_SHOWN = 2

# OpenClaw's own rule, on the whole path (reference, "Redaction").
_SENSITIVE = re.compile(r"token$|password|secret|api.?key|serviceaccount(ref)?$", re.IGNORECASE)
# OpenClaw's own exceptions: numbers of a language model's tokens, and the name of a file.
_HARMLESS = (
    "maxtokens",
    "maxoutputtokens",
    "maxinputtokens",
    "maxcompletiontokens",
    "contexttokens",
    "totaltokens",
    "tokencount",
    "tokenlimit",
    "tokenbudget",
    "passwordfile",
)
_ALSO_SENSITIVE = re.compile(
    r"""
    (?:priv(?:ate)?|encrypt(?:ion)?|decrypt(?:ion)?|sign(?:ing)?|access|auth|master|aes|hmac|jwt
      |ssh|gpg|pgp|deploy|service|storage|account|shared|session.?signing|license)[_.\- ]?keys?
  | passphrase | passwd | nsec | mnemonic | seed.?phrase | (?:proxy-)?authorization
  | (?:set-)?cookie | [a-z]+[_\-]pat | pat[_\-]token | x-auth(?:-[a-z]+)?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PASSWORDS = frozenset({"pass", "pwd"})
_HINTS = _PASSWORDS | frozenset(
    {"key", "keys", "pat", "auth", "cred", "creds", "credential", "credentials", "dsn", "seed"}
    | {"bearer", "jwt", "cookies", "signature"}
)
_HARMLESS_WORDS = frozenset(
    {"public", "pub", "sort", "group", "cache", "partition", "foreign", "idempotency", "dedupe"}
    | {"route", "thread", "peer", "lane", "hot", "max", "main", "primary"}
)
_PROGRAM_VARIABLES = frozenset({"env", "environment", "vars"})
_NOT_OF_KEYS = frozenset(
    {"sha", "commit", "hash", "revision", "digest", "checksum", "version", "id", "path", "dir"}
    | {"file", "url", "uri", "host", "image", "model", "name", "home", "shasum", "integrity"}
    | {"md", "rev", "ref", "uuid", "guid", "etag", "fingerprint", "folder", "root", "project"}
)

# Inside of JSON text: no pattern takes a quote or a backslash but that of a line end.
_SHAPES = r"""
    \b(?:
        sk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{16,}       # OpenAI, Anthropic, OpenRouter
      | [sr]k_(?:live|test)_[A-Za-z0-9]{16,} | whsec_[A-Za-z0-9+/]{20,}         # Stripe
      | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,}
      | gl(?:pat|ptt|dt|rt|cbt|oas|soat|ft|agent)-[A-Za-z0-9_-]{16,}            # GitLab
      | xox[abcdeprs](?:\.xox[a-z])?-[A-Za-z0-9%-]{10,} | xapp-[A-Za-z0-9-]{10,} # Slack
      | (?:AKIA|ASIA)[A-Z0-9]{16}
      | AIza[A-Za-z0-9_-]{30,} | ya29\.[A-Za-z0-9_-]{20,} | GOCSPX-[A-Za-z0-9_-]{20,}
      | hf_[A-Za-z0-9]{20,} | npm_[A-Za-z0-9]{30,} | pypi-[A-Za-z0-9_-]{30,}
      | gsk_[A-Za-z0-9]{20,} | xai-[A-Za-z0-9]{20,} | pplx-[A-Za-z0-9]{20,}
      | r8_[A-Za-z0-9]{20,} | tvly-[A-Za-z0-9-]{16,} | lin_api_[A-Za-z0-9]{20,}
      | dop_v1_[a-f0-9]{32,} | shp(?:at|ca|pa|ss)_[a-fA-F0-9]{20,}
      | SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}
      | dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,} | ATATT3[A-Za-z0-9_=-]{40,} | fig[du]_[A-Za-z0-9_-]{30,}
      | sq0(?:atp|csp)-[A-Za-z0-9_-]{20,} | EAAA[A-Za-z0-9_-]{56,} | PMAK-[a-f0-9]{24}-[a-f0-9]{30,}
      | NRAK-[A-Z0-9]{20,} | lsv2_(?:pt|sk)_[A-Za-z0-9_]{30,} | nvapi-[A-Za-z0-9_-]{40,}
      | tskey-[a-z]+-[A-Za-z0-9-]{16,} | hv[sbr]\.[A-Za-z0-9_-]{24,} | dapi[a-f0-9]{32}
      | ph[cx]_[A-Za-z0-9]{30,} | ntn_[A-Za-z0-9]{40,} | sbp_[a-f0-9]{40}
      | sb_secret_[A-Za-z0-9_-]{20,} | jina_[A-Za-z0-9_-]{40,} | rnd_[A-Za-z0-9]{24,}
      | re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}
      | (?:SK|key-)[a-f0-9]{32} | sntry[su]_[A-Za-z0-9_+/=]{40,} | fo1_[A-Za-z0-9_-]{30,}
      | fc-[a-f0-9]{32} | fw_[A-Za-z0-9]{22,} | cfut_[A-Za-z0-9]{30,} | 1//0[A-Za-z0-9_-]{30,}
      | nsec1[a-z0-9]{50,} | AGE-SECRET-KEY-1[A-Z0-9]{40,}
      | [MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}         # Discord
      | eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*
    )
  | (?<![0-9])[0-9]{8,10}:[A-Za-z0-9_-]{35}            # Telegram
  | (?<=Bearer[ ])[A-Za-z0-9._~+/-]{16,}=*
  | (?<=Basic[ ])(?=(?:[A-Z]*[a-z0-9+/]*[a-z0-9][A-Z]){2})[A-Za-z0-9+/]{8,}={0,2}(?![a-z])
  | (?<=://)[^\s/?\#:@"\\]{0,64}:[^\s/?\#@"\\]{1,128}(?=@)
  | (?<=hooks\.slack\.com/services/)[A-Za-z0-9/]{20,}
  | (?<=/api/webhooks/)[0-9]{15,}/[A-Za-z0-9_-]{40,}
  | (?<=[?&])(?i:(?:[a-z]+[_-]?)?(?:token|api[_-]?key|secret|password|sig|signature))
    =[^\s&"\\${]{8,}
  | (?<=[?&])key=(?=[^\s&"]*[0-9])(?=[^\s&"]*[A-Za-z])[^\s&"\\${]{16,}
  | (?<=[?&])(?i:password|passwd|pwd)=[^\s&"\\${]+
  | (?<![^;\s"])(?i:password|pwd|accountkey|sharedaccesskey)=[^\s;"\\${]{4,}(?=[;"]|$)
  | (?<=[ ])password=[^\s;"\\${]{4,}(?=[ ][a-z_]+=)   # PostgreSQL, as words
  | (?<=://)(?=[^\s/@"]*[0-9])[A-Za-z0-9_-]{20,}(?=@)
  | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY(?:[ ]BLOCK)?-----[^"]*?
    -----END[ ][A-Z ]*PRIVATE[ ]KEY(?:[ ]BLOCK)?-----
"""
_PEM_START = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")
_ADDRESS_WITH_PASSWORD = re.compile(
    r"[a-z][a-z0-9+.-]*://[^/?#\s]*:[^/?#\s]*[^/?#\s]@", re.IGNORECASE
)
_PLACEHOLDER = re.compile(r"\$\{[A-Z_][A-Z0-9_]*\}")
_OPTION = re.compile(r"--?([A-Za-z][A-Za-z0-9_-]*)")
_ASSIGNMENT = re.compile(r"(?:--?)?([A-Za-z][A-Za-z0-9_-]*)=(.+)", re.DOTALL)

_SHORTEST = 8
_RANDOM = re.compile(r"[A-Za-z0-9+/=_-]{32,512}")
_PARTS = re.compile(r"[-_/=+.:~]")
_KEY_LIKE = re.compile(r"[A-Za-z0-9+/=_.:~-]{12,}")
_PUBLIC = re.compile(
    r"sha(?:1|256|384|512)-.*|[./~].*|[0-9.:+-]+|[A-Za-z][a-z0-9+.-]*:/.*|[a-z]+(?:[-_][a-z]+)*"
)
_NO_PASSWORD = re.compile(r"[./~].*|true|false|off|on|none|")
_CHECKSUM = re.compile(r"sha[0-9]+-")
_WORD = re.compile(r"[A-Za-z]*[0-9]*|[0-9]+[A-Za-z]*")
_SPELLED = re.compile(r"(?=[A-Z]?[a-z]*[aeiouy])[A-Z]?[a-z]{3,}|(?<![A-Za-z])[A-Z]{4,}(?![a-z])")
_PATH_NAMES = 2
_ENDING = re.compile(r"\.[a-z][a-z0-9]{0,4}$")
_PLACES = frozenset({"file", "path", "dir", "folder"})
_ROOTED = re.compile(r"[/~.]|[A-Za-z]:[/\\]|\\\\")
_SLASHES = re.compile(r"[/\\]")
_LONGEST_WORD = 12  # characters: longer runs without a separator are hardly words
_SHORTEST_MIX = 8  # characters of a run of letters and digits that is no word
_CLASS = 3  # capitals, and small letters, that chance gives 32 characters
_SWITCHES = 0.35  # of all neighbours are of two classes; two in each word of six letters
_BITS = 4.0  # a character; words of any language stay below


def is_sensitive(path: Iterable[Step]) -> bool:
    """
    Tell whether any text at *path* is a secret, judged by its keys alone.

    Indexes do not count: the elements of a list are as secret as the list.
    """
    names = [step for step in path if isinstance(step, str)]
    dotted = ".".join(names)
    if _SENSITIVE.search(dotted) is not None:
        return not dotted.lower().endswith(_HARMLESS)
    return bool(names) and any(map(_ALSO_SENSITIVE.fullmatch, _bare(names[-1])))


def is_secret(path: Iterable[Step], text: str) -> bool:
    """
    Tell whether *text*, which stands at *path*, is a secret.

    A lone `${NAME}` says where one is, and is none.
    """
    # A reference is told first: it may be shown, whatever the names around it say.
    steps = tuple(path)
    if is_variable(text) or _is_place_of_secret(steps, text):
        return False
    if is_sensitive(steps) or has_secret_shape(text):
        return True
    # An argument or variable brings its name along, as in `--api-key=...`.
    named = _ASSIGNMENT.fullmatch(text)
    if named is not None and not is_variable(named[2]):
        return is_sensitive((named[1],)) or _is_hinted((named[1],), named[2])
    return _is_hinted(steps, text)


def is_variable(text: str) -> bool:
    """Tell whether *text* is a lone `${NAME}`."""
    return _PLACEHOLDER.fullmatch(text) is not None


def is_option_of_secret(text: object) -> bool:
    """Tell whether *text* is an option such as `--token`, behind which an argument is a secret."""
    found = _OPTION.fullmatch(text) if isinstance(text, str) else None
    return found is not None and is_sensitive((found[1],))


def has_secret_shape(text: str) -> bool:
    """Tell whether *text* holds something that is a secret by its form, whatever its name."""
    if len(text) < _SHORTEST:
        return False
    return (
        _shapes().search(text) is not None
        or _ADDRESS_WITH_PASSWORD.match(text) is not None
        or _PEM_START.search(text) is not None
        or _is_random(text)
    )


def without_secrets(text: str, mask: str) -> str:
    """Return *text* with *mask* in the place of each secret that is known by its form."""
    return _shapes().sub(mask, text)


def _is_place_of_secret(path: tuple[Step, ...], text: str) -> bool:
    """Tell whether *text* only says where a secret lies, as `clientSecretFile: /run/secrets/x`."""
    words = _words(path[-1]) if path and isinstance(path[-1], str) else []
    return (
        bool(words)
        and words[-1] in _PLACES
        and (_ROOTED.match(text) is not None or _is_path(text))
        and not has_secret_shape(text)
    )


def _is_hinted(path: tuple[Step, ...], text: str) -> bool:
    """Tell whether the names hint at a secret, and *text* may be one: no word, path or number."""
    names = [step for step in path if isinstance(step, str)]
    words = _words(names[-1]) if names else []
    if not words or _HARMLESS_WORDS & set(words):
        return False
    if words[-1] in _PASSWORDS:
        return _NO_PASSWORD.fullmatch(text) is None
    if _PUBLIC.fullmatch(text) or _is_path(text):
        return False
    if words[-1] in _HINTS and "session" not in words[:-1]:
        return _KEY_LIKE.fullmatch(text) is not None and _is_mixed(text)
    is_variable = any(each in _PROGRAM_VARIABLES for each in names[:-1])
    return is_variable and words[-1] not in _NOT_OF_KEYS and _is_key(text)


def _is_mixed(text: str) -> bool:
    return any(each.isdigit() for each in text) and any(each.isalpha() for each in text)


def _is_key(text: str) -> bool:
    """Tell whether *text*, of which no name tells anything, has a run that is no word."""
    if not _KEY_LIKE.fullmatch(text):
        return False
    return any(
        len(part) >= _SHORTEST_MIX and not _WORD.fullmatch(part) and not _is_spelled(part, 0.7)
        for part in _PARTS.split(text)
    )


def _words(name: str) -> list[str]:
    return [each.lower() for each in _WORDS.findall(name) if not each.isdigit()]


def _bare(name: str) -> tuple[str, ...]:
    """Return *name*, its last two words and its last: `NOSTR_PRIVATE_KEY` is a private key."""
    words = _words(name)
    return name, "_".join(words[-2:]), *words[-1:]


def _is_random(text: str) -> bool:
    """Tell whether only chance can have made *text*: long, of all classes, and without words."""
    if not _RANDOM.fullmatch(text) or _CHECKSUM.match(text):
        return False
    if max(map(len, _PARTS.split(text))) < _LONGEST_WORD:
        return False
    classes = [_class_of(each) for each in text]
    counts = Counter(classes)
    switches = sum(one != other for one, other in pairwise(classes))
    return (
        min(counts["A"], counts["a"]) >= _CLASS
        and counts["0"] > 0
        and switches >= _SWITCHES * len(text)
        and _entropy(text) >= _BITS
        and not _is_spelled(text)
    )


def _is_path(text: str) -> bool:
    """Tell whether *text* is a path, all names of which a person may have given."""
    names = [each for each in _SLASHES.split(text) if each]
    if len(names) < _PATH_NAMES:
        return False
    longest_mix = _LONGEST_WORD if _is_spelled(text) else _SHORTEST_MIX
    return _ENDING.search(names[-1]) is not None or all(
        len(part) < longest_mix or _WORD.fullmatch(part) or _is_spelled(part)
        for name in names
        for part in _PARTS.split(name)
    )


def _is_spelled(text: str, least: float = 0.5) -> bool:
    """
    Tell whether at least *least* of *text* is words, as in names of files and of functions.

    Chance brings a random text to a tenth.
    """
    letters = sum(map(str.isalnum, text))
    return sum(map(len, _SPELLED.findall(text))) >= least * letters


def _class_of(character: str) -> str:
    if character.isdigit():
        return "0"
    return "A" if character.isupper() else "a" if character.islower() else "-"


def _entropy(text: str) -> float:
    """Return how many bits a character of *text* has, by how often each occurs in it."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


@cache
def _shapes() -> re.Pattern[str]:
    # Not when this is imported: it takes longer than all that most commands do.
    return re.compile(_SHAPES, re.VERBOSE)


def mask(secret: str) -> str:
    """Return `sk...cy`: two characters of each end, of a long secret only (reference, 19.5)."""
    text = secret.strip()
    if len(text) < _LONG_ENOUGH or not text.isprintable():
        return "***"
    return f"{text[:_SHOWN]}...{text[-_SHOWN:]}"
