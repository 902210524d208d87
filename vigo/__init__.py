"""vigo runs commands on fleets over SSH: planned, guarded, gated and written down."""

from __future__ import annotations

__version__ = "0.1.0"
