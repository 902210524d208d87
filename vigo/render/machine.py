"""What all forms for machines share: the schema's number, and one line of JSON."""

from __future__ import annotations

import json
from typing import Final

SCHEMA: Final = 1
"""Stands as `"schema"` in each object; a change that readers must know of raises it."""


def dump(value: object) -> str:
    """Return one line of JSON in plain ASCII: control characters and other outside text arrive escaped."""
    return json.dumps(value) + "\n"
