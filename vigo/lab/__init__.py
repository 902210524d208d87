"""A fleet to try things on: real SSH servers on loopback, run by one background process."""

from __future__ import annotations
