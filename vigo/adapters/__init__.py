"""ACTS. Each file knows one foreign library and ends that library's exceptions."""

from __future__ import annotations
