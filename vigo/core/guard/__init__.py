"""Judges commands and the places of files. The only maker of an `Order` and a `FileOrder`: a transport takes nothing else.

`review` is the dispatch guard: once per task, its finding can be forced. `clear` is the hard guard: per target, on the
exact text for it, and nothing passes it. `explain` is the same judgement with what led to it; `rules` is the table.
"""

from __future__ import annotations

from vigo.core.guard.finding import Finding, Layer
from vigo.core.guard.judge import Judgement, explain
from vigo.core.guard.order import Act, Content, FileOrder, Order, Placement, Refusal, Text, clear, review
from vigo.core.guard.rules import Rule, rules

__all__ = [
    "Act",
    "Content",
    "FileOrder",
    "Finding",
    "Judgement",
    "Layer",
    "Order",
    "Placement",
    "Refusal",
    "Rule",
    "Text",
    "clear",
    "explain",
    "review",
    "rules",
]
