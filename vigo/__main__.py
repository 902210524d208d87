"""`python -m vigo` is `vigo`."""

from __future__ import annotations

from vigo.cli.main import main

main()
