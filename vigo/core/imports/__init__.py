"""Foreign inventories: texts and values of other tools in, an inventory document of vigo's out.

Rule 1: what is taken means the same here as there; precedence is kept in effect, value by value and host by host.
Rule 2: what is not understood is left out and said with its place, never guessed and never passed over in silence.
Rule 3: secrets are left out by name and by looks; no message ever holds a value.
"""

from __future__ import annotations
