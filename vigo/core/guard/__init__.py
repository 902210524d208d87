"""Judges commands. The only maker of an `Order`, which is all that a transport accepts.

`review` is the dispatch guard: once per task, its finding can be forced. `clear` is the hard guard: per target, on the
exact text for it, and nothing passes it. `explain` is the same judgement with what led to it; `rules` is the table.
"""

from __future__ import annotations

from vigo.core.guard.finding import Finding, Layer
from vigo.core.guard.judge import Judgement, explain
from vigo.core.guard.order import Order, Refusal, Text, clear, review
from vigo.core.guard.rules import Rule, rules

__all__ = ["Finding", "Judgement", "Layer", "Order", "Refusal", "Rule", "Text", "clear", "explain", "review", "rules"]
