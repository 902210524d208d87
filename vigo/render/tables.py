"""Aligned columns and tab-separated values; nothing is drawn, nothing is cut unless the caller cut it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vigo.render.sanitize import clean


def columns(header: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int]) -> str:
    """Return lines whose columns start at least `widths` apart; the last column is as wide as it is."""
    lines = [tuple(header), *(tuple(map(clean, row)) for row in rows)]
    actual = [max(width, *(len(line[i]) + 1 for line in lines)) for i, width in enumerate(widths)]
    return "".join(_aligned(line, actual) for line in lines)


def tsv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return tab-separated lines; tabs, newlines and other controls inside a value are shown as escapes."""
    return "".join(map(tsv_line, (header, *rows)))


def tsv_line(row: Sequence[str]) -> str:
    """Return one such line: what is printed as it comes has no whole table."""
    return "\t".join(map(clean, row)) + "\n"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), *line[len(widths) :]]
    return "".join(cells).rstrip() + "\n"
