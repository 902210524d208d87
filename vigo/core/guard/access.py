"""Rules about access: modes, owners, attributes and mounts that take a protected path away from who needs it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vigo.core.guard.call import Call
from vigo.core.guard.options import Options
from vigo.core.guard.protected import Aim, Reach, aim, system_directory
from vigo.core.guard.session import Hit
from vigo.core.guard.words import Word, shown

_MODE = re.compile(r"[ugoa]*[-+=][rwxXstugo]*(?:[-+=][rwxXstugo]*)*(?:,[ugoa]*[-+=][rwxXstugo]*)*|-[rwxXst]+")
_OWN = re.compile(r"vigo(?::(?:vigo)?)?|:vigo")
_OPEN_DIGITS = re.compile(r"0?[0-7]?7[57][57]")
_READ_WRITE = re.compile(r"0?[67][4567][4567]")


def _takes(mode: str, found: Aim | None, *, recursive: bool) -> bool:
    """Tell whether a mode may take access away from somebody who has it."""
    if mode.isdigit():
        config = found is not None and found.root.startswith("/etc/vigo") and found.reach is Reach.UNDER
        return recursive or not (_OPEN_DIGITS.fullmatch(mode) or (config and _READ_WRITE.fullmatch(mode)))
    if "-" in mode:
        return True
    return any(not {"r", "X"} <= set(part.replace("x", "X")) for part in re.findall(r"=([rwxXst]*)", mode))


def chmod(call: Call) -> Iterator[Hit]:
    """Judge `chmod`."""
    reference = any(word.text.startswith("--reference") for word in call.args)
    words = [word for word in call.args if not word.text.startswith("--")]
    recursive = any(re.fullmatch(r"-[cfvhHLP]*R[cfvhHLP]*", word.text) for word in words)
    recursive = recursive or any(word.text == "--recursive" for word in call.args)
    words = [word for word in words if not re.fullmatch(r"-[cfvRHLPh]+", word.text)]
    mode = "000" if reference else words.pop(0).text if words else ""
    for word in words:
        for path in call.paths(word):
            yield from _changed(call, word, path, recursive=recursive, takes=mode, says=f"chmod {shown(mode)}")


def _changed(call: Call, word: Word, path: str, *, recursive: bool, takes: str, says: str) -> Iterator[Hit]:
    found, whole = aim(path), system_directory(path)
    said = f"{says.replace(' ', ' -R ', 1)}" if recursive else says
    if (
        whole
        and (recursive or (takes.isdigit() and takes.strip("0") == ""))
        and (found is None or whole[0] in {"/", "/*"})
    ):
        yield Hit("system-access", f"{said} {shown(whole[0])}", (call.head, word), certain=whole[1])
    reached = found is not None and (found.reach is not Reach.PARENT or recursive)
    if found and reached and (takes == "owner" or _takes(takes, found, recursive=recursive)):
        yield Hit("path-access", f"{said} {shown(path)}", (call.head, word), certain=found.certain)
    elif whole and recursive:
        yield Hit("system-access", f"{said} {shown(whole[0])}", (call.head, word), certain=whole[1])
    if takes.isdigit() and not takes.strip("0") and re.search(r"/\.ssh(/authorized_keys)?$|^/etc/ssh(/|$)", path):
        yield Hit("login-keys", f"{said} {shown(path)}", (call.head, word))


def chown(call: Call) -> Iterator[Hit]:
    """Judge `chown` and `chgrp`; giving to `vigo` what is vigo's takes nothing away."""
    options = call.options("", "from reference")
    operands = list(options.operands)
    owner = "?" if options.has("reference") else operands.pop(0).text if operands else ""
    recursive = options.has("R", "recursive")
    for word in operands:
        for path in call.paths(word):
            found = aim(path)
            if found and found.reach is not Reach.PARENT and _OWN.fullmatch(owner):
                continue
            says = f"{call.name} {shown(owner)}"
            yield from _changed(call, word, path, recursive=recursive, takes="owner", says=says)


def attributes(call: Call) -> Iterator[Hit]:
    """Judge `chattr +i`, `setfacl` and `chcon`."""
    options = call.options("mMxXnvptlur" if call.name != "chattr" else "pv", "modify remove set")
    recursive = options.has("R", "recursive")
    operands = list(options.operands)
    if call.name == "chattr":
        mode = operands.pop(0).text if operands else ""
        if not re.match(r"[+=].*[ia]", mode):
            return
    elif call.name == "setfacl":
        given = options.value("m", "modify", "set")
        if given and not re.search(r":(?:-*|[-wx]+)(?:,|$)", given.text):
            return
    elif operands and not options.has("t", "u", "r", "l"):
        operands.pop(0)
    for word in operands:
        for path in call.paths(word):
            found = aim(path)
            if found and (found.reach is not Reach.PARENT or recursive):
                yield Hit("path-access", f"{call.name} {shown(path)}", (call.head, word), certain=found.certain)


def mount(call: Call) -> Iterator[Hit]:
    """Judge `mount` over a protected path, and `umount` of one."""
    options = call.options("toLUO", "types options source target label uuid")
    if call.name == "umount":
        yield from _unmounted(call, options)
        return
    given = options.value("o", "options")
    remounts = given is not None and "remount" in given.text
    target = options.value("target") or (options.operands[-1] if options.operands else None)
    mounts = len(options.operands) >= len(("source", "target")) or options.has("t", "types", "source")
    locks = remounts and given is not None and "ro" in given.text.split(",")
    if target is None or not (mounts or locks):
        return
    for path in call.paths(target):
        found = aim(path)
        if found and not (found.reach is Reach.PARENT and (path == "/" or remounts)):
            yield Hit("path-mount", f"mount … on {shown(path)}", (call.head, target), certain=found.certain)


def _unmounted(call: Call, options: Options) -> Iterator[Hit]:
    for word in options.operands:
        for path in call.paths(word):
            found = aim(path)
            if found:
                yield Hit("path-mount", f"umount {shown(path)}", (call.head, word), certain=found.certain)
