"""Who is in the lab: names, groups and traits, and the inventory text that tells them. It decides; others write.

The text is JSON values inside YAML, which is YAML too: quoting is exact, and no YAML library is needed here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TypeAlias

from vigo.core.values import dataclass

Trait: TypeAlias = str | int | bool | tuple[str | int | bool, ...]
Tree: TypeAlias = "dict[str, Tree | Trait]"

HOSTS_MAX = 20_000
"""Each host needs a port of its own on one address, and the kernel has about 28,000 to hand out."""

_NUMBERED = re.compile(r"(?P<stem>[^.]*?)(?P<number>[0-9]{1,9})(?P<tail>\D.*|)$")


@dataclass(frozen=True, slots=True)
class Member:
    """One host of the lab, as its inventory describes it."""

    name: str
    groups: tuple[str, ...] = ()
    """Dotted paths, e.g. `prod.web`."""
    traits: Mapping[str, Trait] = field(default_factory=dict)
    """Dotted path -> value, e.g. `os.distro` -> `ubuntu`."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """How further names are made: `web-` + 2 digits + `.example.com`, after number 4, like the hosts in `kin`."""

    stem: str
    width: int
    tail: str
    last: int
    kin: tuple[Member, ...]

    def member(self, step: int) -> Member:
        like = self.kin[step % len(self.kin)]
        return Member(f"{self.stem}{self.last + 1 + step:0{self.width}}{self.tail}", like.groups, like.traits)


def grow(members: Sequence[Member], count: int) -> list[Member]:
    """Return `count` members: the given ones first (at least one), then more of the same pattern.

    The pattern is that of the first name with a number in its first label: `web-04.example.com` is followed by
    `web-05.example.com`, padding kept; groups and traits go round among the given hosts of that pattern.
    """
    chosen = list(members[:count])
    if count <= len(members):
        return chosen
    pattern = _pattern(members)
    taken = {member.name for member in chosen}
    step = 0
    while len(chosen) < count:
        member = pattern.member(step)
        if member.name not in taken:
            chosen.append(member)
        step += 1
    return chosen


def _pattern(members: Sequence[Member]) -> _Pattern:
    """Find the pattern of the first numbered name; without any, number the first name."""
    shapes = [(member, shape) for member in members if (shape := _NUMBERED.match(member.name))]
    if not shapes:
        label, dot, domain = members[0].name.partition(".")
        return _Pattern(f"{label}-", 2, dot + domain, 1, (members[0],))
    first = shapes[0][1]
    kin = [(m, s) for m, s in shapes if (s["stem"], s["tail"]) == (first["stem"], first["tail"])]
    last = max(int(shape["number"]) for _, shape in kin)
    return _Pattern(first["stem"], len(first["number"]), first["tail"], last, tuple(member for member, _ in kin))


@dataclass(frozen=True, slots=True)
class Access:
    """How all hosts of a lab are reached."""

    user: str
    identity: str
    known_hosts: str
    address: str = "127.0.0.1"


def inventory_text(members: Sequence[Member], ports: Sequence[int], access: Access) -> str:
    """Write the lab's inventory: the members, each at its port. `ports` is as long as `members`."""
    ssh = {"user": access.user, "identity": access.identity, "known_hosts": access.known_hosts}
    lines = ["# Written by `vigo lab up`; gone with `vigo lab down`.", f"defaults: {{ssh: {_flow(ssh)}}}"]
    groups = _group_tree(members)
    if groups:
        lines.append(f"groups: {_flow(groups)}")
    lines.append("hosts:")
    for member, port in zip(members, ports, strict=True):
        facts: dict[str, object] = {"address": access.address, "ssh": {"port": port}}
        if member.groups:
            facts["groups"] = list(member.groups)
        if member.traits:
            facts["traits"] = _trait_tree(member.traits)
        lines.append(f"  {_flow(member.name)}: {_flow(facts)}")
    return "\n".join(lines) + "\n"


def _flow(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _group_tree(members: Sequence[Member]) -> dict[str, object]:
    """Nest the members' dotted groups the way an inventory declares them."""
    top: dict[str, object] = {}
    for path in sorted({group for member in members for group in member.groups}):
        level = top
        *outer, last = path.split(".")
        for name in outer:
            group = level.setdefault(name, {})
            assert isinstance(group, dict)  # noqa: S101 - every node of this tree is made in this function
            level = group.setdefault("groups", {})
        level.setdefault(last, {})
    return top


def _trait_tree(traits: Mapping[str, Trait]) -> Tree:
    """Nest dotted traits: `os.distro` becomes `{os: {distro: …}}`."""
    top: Tree = {}
    for path, value in traits.items():
        level = top
        *outer, last = path.split(".")
        for name in outer:
            inner = level.setdefault(name, {})
            level = inner if isinstance(inner, dict) else {}
        level[last] = value
    return top
