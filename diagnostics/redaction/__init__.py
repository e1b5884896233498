"""How secrets are found in text and covered; `diagnostics.redact` is what the rest of the program uses.

`rules`: secrets that are known by their own look; `names`: names whose values are secrets; `assigned`: values under
such names; `pem`: private keys; `chance`: what looks drawn by lot; `cover`: all of them together.
"""

import re
from typing import Tuple

Span = Tuple[int, int, str]
"""Where a secret begins and ends in a text, and its kind."""

MARKER = re.compile(r"\[redacted:[a-z-]+\]")
