"""Judges commands. The only maker of an `Order`, which is all that a transport accepts.

`review` is the dispatch guard: once per task, its finding can be forced. `clear` is the hard guard: per target, on the
exact text for it, and nothing passes it.
"""

from __future__ import annotations

from vigo.core.guard.finding import Finding, Layer
from vigo.core.guard.order import Order, Refusal, Text, clear, review

__all__ = ["Finding", "Layer", "Order", "Refusal", "Text", "clear", "review"]
