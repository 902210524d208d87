"""ASKS. Flags, prompts and exit codes; `wiring` is the one place where the rooms meet."""

from __future__ import annotations
