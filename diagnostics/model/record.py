"""Base of all values that stages pass on and bundles hold."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all values here: frozen, strict, small when written down."""
