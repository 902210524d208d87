"""DECIDES. Pure values and functions: no I/O, no clock, no randomness, no asyncio."""

from __future__ import annotations
