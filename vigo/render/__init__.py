"""SHOWS. Turns runs and events into text; reads everything, changes nothing."""

from __future__ import annotations
