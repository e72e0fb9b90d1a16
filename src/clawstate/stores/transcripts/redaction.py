"""
Secrets that can be known by their form, taken out of what is exported.

What is kept stays as it was said: a masked history would be replayed with its masks (a mask has
come back as a command before). So only a copy for other eyes is masked.
"""

from __future__ import annotations

import re

MASK = "[redacted]"

# Inside of JSON text: no pattern takes a quote or a backslash but that of a line end.
_SECRETS = re.compile(
    r"""
    \b(?:
        sk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{16,}       # OpenAI, Anthropic, OpenRouter
      | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,}
      | glpat-[A-Za-z0-9_-]{16,}
      | xox[abeprs]-[A-Za-z0-9-]{10,} | xapp-[A-Za-z0-9-]{10,}
      | (?:AKIA|ASIA)[A-Z0-9]{16}
      | AIza[A-Za-z0-9_-]{30,}
      | hf_[A-Za-z0-9]{20,} | npm_[A-Za-z0-9]{30,} | pypi-[A-Za-z0-9_-]{30,}
      | \d{8,10}:[A-Za-z0-9_-]{35}                     # Telegram
      | eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*
    )
  | (?<=Bearer[ ])[A-Za-z0-9._~+/-]{16,}=*
  | (?<=://)[^\s/:@"\\]{1,64}:[^\s/@"\\]{1,128}(?=@)
  | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----[^"]*?-----END[ ][A-Z ]*PRIVATE[ ]KEY-----
    """,
    re.VERBOSE,
)


def redacted(text: str) -> str:
    """Return *text* with a mask in the place of each secret that is known by its form."""
    return _SECRETS.sub(MASK, text)
