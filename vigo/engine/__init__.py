"""ONE LOOP. Asks a run for its next step, has it done, writes down what happened."""

from __future__ import annotations
