"""Reads a command and says what it would do to the host: the analyser behind both guards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import tree_sitter
import tree_sitter_bash

from vigo.core.guard.finding import Finding, Layer


@lru_cache(maxsize=4096)
def judge(text: str) -> Finding | None:
    """Judge one command text; the gravest finding, or None when there is none."""
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))
    source = text.encode("utf-8", "replace")
    for words in _commands(parser.parse(source).root_node):
        plain = [re.sub(r"[\"'\\]", "", word) for word in words]
        while plain and plain[0] in {"sudo", "env", "nohup", "exec", "command"}:
            plain = plain[1:]
        pattern = _pattern(plain)
        if pattern:
            return Finding(Layer.HARD, "first-judge", pattern, span=(0, len(text)))
    return None


def _commands(node: tree_sitter.Node) -> Iterator[list[str]]:
    if node.type == "command":
        yield [(child.text or b"").decode() for child in node.named_children]
    for child in node.named_children:
        yield from _commands(child)


def _pattern(words: list[str]) -> str | None:
    name, rest = (words[0].rsplit("/", 1)[-1], words[1:]) if words else ("", [])
    if name == "systemctl" and rest and rest[0] in {"stop", "disable", "mask", "kill"}:
        units = [word.removesuffix(".service") for word in rest[1:]]
        hit = next((unit for unit in units if unit in {"vigo", "vigosrv", "vigo-envoy"}), None)
        return f"systemctl {rest[0]} {hit}" if hit else None
    if name in {"pkill", "killall"} and "vigo" in rest:
        return f"{name} vigo"
    if name in {"rm", "unlink"}:
        path = next((word for word in rest if re.match(r"/srv/vigo(/|$)", word)), None)
        return f"{name} {path}" if path else None
    return None
