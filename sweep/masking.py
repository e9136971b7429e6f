"""Passwords of database URLs are shown nowhere, and neither is what a terminal would obey."""

import re

IN_URL = re.compile(r"(:/{1,2}[^\s:@/]*:).*@", re.DOTALL)  # any character may be of a password: up to the last @
IN_QUERY = re.compile(r"(?i)([?&]\w*(?:password|passwd|pwd|secret|token)=)[^\s&'\"]+")
MOST_CHARACTERS = 2000


def mask_passwords(text: str) -> str:
    """The text with *** for each password of a URL, as in `postgresql://user:***@host/db`."""
    return IN_QUERY.sub(r"\1***", IN_URL.sub(r"\1***@", text))


def one_line(text: str) -> str:
    """A message of one line for a terminal: passwords masked, control characters written out, cut if it is long."""
    masked = mask_passwords(text)
    plain = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in masked)
    return plain if len(plain) <= MOST_CHARACTERS else f"{plain[:MOST_CHARACTERS]}..."
