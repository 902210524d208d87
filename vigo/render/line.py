"""One line of styled text: pieces, each with the name of its style.

A board has thousands of pieces and is drawn eight times a second; rich's `Text` does far more for each than a line needs
that is never wrapped.
"""

from __future__ import annotations

from typing import Self

from rich.cells import cell_len, set_cell_size


class Line:
    """Pieces of text, in the order of the screen; a style is named as rich names it, `""` is none."""

    __slots__ = ("pieces",)

    def __init__(self, *pieces: tuple[str, str]) -> None:
        self.pieces = list(pieces)

    def append(self, text: str, style: str = "") -> Self:
        """Add text at the end."""
        self.pieces.append((text, style))
        return self

    @property
    def plain(self) -> str:
        """The text alone."""
        return "".join([text for text, _ in self.pieces])

    @property
    def cells(self) -> int:
        """The width on a screen."""
        plain = self.plain
        return len(plain) if plain.isascii() else cell_len(plain)

    def cut(self, width: int, dots: str = "") -> None:
        """Leave out what a screen of that many cells has no room for; `dots` says so where they fit."""
        if self.cells <= width:
            return
        room = max(0, width - len(dots))
        kept = []
        for text, style in self.pieces:
            cells = cell_len(text)
            if cells > room:
                kept.append((set_cell_size(text, room) + dots[:width], style))
                break
            kept.append((text, style))
            room -= cells
        self.pieces = kept
