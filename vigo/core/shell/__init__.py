"""Says where in a shell command a quoted word may be put. Reads the text once, from left to right, and never runs it."""

from __future__ import annotations

from vigo.core.shell.places import Fault, Place
from vigo.core.shell.scan import scan

__all__ = ["Fault", "Place", "scan"]
