"""Rules about files: what deletes, moves away, truncates, overwrites or replaces a protected one.

A text cannot tell whether a file exists. So the command's kind decides: what opens a path for writing (`>`, `cp`, `tee`,
`install` onto a file's path) overwrites, what makes a new name (`mkdir`, `touch`, `ln` without `-f`, copying into a
directory) creates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vigo.core.guard.call import Call
from vigo.core.guard.options import Options
from vigo.core.guard.protected import Aim, Reach, aim, literals, system_directory, system_file
from vigo.core.guard.session import Hit
from vigo.core.guard.words import HOLE, Word, matches, shown

DEVICE = re.compile(
    r"/dev/(?:[shv]d[a-z…*?\[]|xvd|nvme|mmcblk|dm-|md[0-9]|mapper/|disk/|loop[0-9]|nbd|zd|sr[0-9]|vg|mem|bcache|block/|pmem)"
)
_KEYS = re.compile(r"/.*/\.ssh(?:/authorized_keys2?)?")
_KEY_NAMES = (".ssh", ".ssh/authorized_keys")
_SSH_DIRECTORIES = ("/etc/ssh",)


def removals(call: Call, word: Word, *, recursive: bool, says: str = "") -> Iterator[Hit]:
    """Judge that a command removes or moves away what a word names."""
    verb = says or call.name
    for path in call.paths(word):
        found = aim(path)
        whole = system_directory(path)
        deep = recursive or (whole is not None and whole[0].endswith("/*"))
        said = f"{verb} -r" if recursive and verb in {"rm", "find"} and found and found.reach is Reach.PARENT else verb
        if whole and deep and (found is None or whole[0] in {"/", "/*"}):
            yield Hit("system-remove", f"{verb} {shown(whole[0])}", (call.head, word), certain=whole[1])
        if found and _removed(found, recursive=recursive):
            yield Hit("path-remove", f"{said} {shown(path)}", (call.head, word), certain=found.certain)
        elif whole and deep:
            yield Hit("system-remove", f"{verb} {shown(whole[0])}", (call.head, word), certain=whole[1])
        if system_file(path):
            yield Hit("system-empty", f"{verb} {shown(path)}", (call.head, word), certain=HOLE not in path)
        yield from login_keys(call, word, path, verb, recursive=recursive)


def _removed(found: Aim, *, recursive: bool) -> bool:
    if found.reach is Reach.PARENT:
        return recursive
    return recursive or not (found.loose and found.reach is Reach.AT and found.is_directory)


def login_keys(call: Call, word: Word, path: str, verb: str, *, recursive: bool = False) -> Iterator[Hit]:
    """Judge that the way in is taken away: authorized keys, `/etc/ssh`."""
    ssh = aim(path, _SSH_DIRECTORIES)
    reached = ssh is not None and (ssh.reach is not Reach.PARENT or recursive) and not (ssh.loose and not recursive)
    parts = path.split("/")
    globbed = any(
        name.count("/") + 1 < len(parts)
        and literals(parts[-1]) > 1
        and matches("/".join(parts[-1 - name.count("/") :]), name)
        for name in _KEY_NAMES
        if recursive or "/" in name
    )
    if reached or globbed or (_KEYS.fullmatch(path) and (recursive or "authorized_keys" in path)):
        yield Hit("login-keys", f"{verb} {shown(path)}", (call.head, word))


def overwrites(call: Call, word: Word, *, says: str, empties: bool = False, into: bool = False) -> Iterator[Hit]:
    """Judge that a command writes over what a word names; `into`: a directory there would only get a new name in it."""
    if word.text.endswith("/"):
        return
    for path in call.paths(word):
        yield from devices(call, word, path, says)
        found = aim(path)
        if found and found.reach is not Reach.PARENT and not (into and found.reach is Reach.AT and found.is_directory):
            yield Hit("path-overwrite", f"{says} {shown(path)}", (call.head, word), certain=found.certain)
        if empties and system_file(path):
            yield Hit("system-empty", f"{says} {shown(path)}", (call.head, word), certain=HOLE not in path)
        if empties and "authorized_keys" in path:
            yield from login_keys(call, word, path, says)


def devices(call: Call, word: Word, path: str, says: str) -> Iterator[Hit]:
    """Judge that a command writes to a block device."""
    if DEVICE.match(shown(path)) or path == f"/dev/{HOLE}":
        yield Hit("device-write", f"{says} {shown(path)}", (call.head, word))


# -- commands ----------------------------------------------------------------------------------------------------------


def rm(call: Call) -> Iterator[Hit]:
    """Judge `rm` and its like."""
    options = call.options()
    recursive = options.has("r", "R", "recursive") or call.name in {"trash", "trash-put", "srm", "wipe", "gio", "del"}
    for word in options.operands:
        yield from removals(call, word, recursive=recursive)


def rmdir(call: Call) -> Iterator[Hit]:
    """Judge `rmdir`, which removes empty directories only."""
    for word in call.options().operands:
        for path in call.paths(word):
            found = aim(path)
            if found and found.reach is not Reach.PARENT and not found.loose:
                yield Hit("path-remove", f"rmdir {shown(path)}", (call.head, word), certain=found.certain)


def shred(call: Call) -> Iterator[Hit]:
    """Judge `shred`, `truncate`, `fallocate` and others that spoil the files they are given."""
    options = call.options("nsrolc", "iterations size reference random-source offset length")
    if call.name == "fallocate" and not options.has("p", "z", "c", "d", "punch-hole", "zero-range", "collapse-range"):
        return
    for word in options.operands:
        yield from overwrites(call, word, says=call.name, empties=True)


def mv(call: Call) -> Iterator[Hit]:
    """Judge `mv`: what is moved away, and what is replaced."""
    options = call.options("tS", "target-directory suffix")
    sources, target = _targets(options)
    for word in sources:
        yield from removals(call, word, recursive=True)
    if target and not _keeps(options) and len(sources) == 1 and not options.has("t", "target-directory"):
        yield from overwrites(call, target, says="mv … to")


def _targets(options: Options) -> tuple[tuple[Word, ...], Word | None]:
    directory = options.value("t", "target-directory")
    if directory or not options.operands:
        return options.operands, directory
    return options.operands[:-1], options.operands[-1]


def _keeps(options: Options) -> bool:
    update = options.value("update")
    return options.has("n", "no-clobber") or (update is not None and update.text.startswith("none"))


def cp(call: Call) -> Iterator[Hit]:
    """Judge `cp`, `install`, `scp` onto a file's path."""
    short = "tSmogiFlPcJ" if call.name != "cp" else "tS"
    options = call.options(short, "target-directory suffix mode owner group")
    sources, target = _targets(options)
    if (
        target is None
        or _keeps(options)
        or len(sources) != 1
        or (call.name == "install" and options.has("d", "directory"))
    ):
        return
    source = sources[0].text
    whole = options.has("T", "no-target-directory") or source.endswith("/.")
    empties = source == "/dev/null"
    if not (options.has("t", "target-directory")) and ":" not in target.text:
        yield from overwrites(call, target, says=f"{call.name} … to", empties=empties, into=not whole)


def ln(call: Call) -> Iterator[Hit]:
    """Judge `ln -f`, which replaces."""
    options = call.options("tS", "target-directory suffix")
    if not options.has("f", "force") or len(options.operands) < len(("target", "name")):
        return
    yield from overwrites(call, options.operands[-1], says="ln -f … to", empties=True)


def tee(call: Call) -> Iterator[Hit]:
    """Judge `tee` without `-a`, and `sponge`."""
    options = call.options()
    for word in options.operands:
        if not options.has("a", "append"):
            yield from overwrites(call, word, says=call.name, empties=True)
        else:
            for path in call.paths(word):
                yield from devices(call, word, path, call.name)


def dd(call: Call) -> Iterator[Hit]:
    """Judge `dd of=`."""
    for word in call.args:
        if word.text.startswith("of="):
            yield from overwrites(call, Word(word.text[3:], word.span), says="dd of=", empties=True)


def rsync(call: Call) -> Iterator[Hit]:
    """Judge `rsync`: deletions at the receiving end, sources that are removed, a file replaced."""
    options = call.options(
        "efBTM",
        "rsh filter exclude include exclude-from include-from files-from temp-dir backup-dir bwlimit timeout port",
    )
    if len(options.operands) < len(("source", "target")) or options.has("n", "dry-run"):
        return
    *sources, target = options.operands
    if any(flag.startswith(("delete", "del")) for flag in options.flags):
        for path in call.paths(target):
            found, whole = aim(path), system_directory(path)
            if found:
                yield Hit("path-remove", f"rsync --delete {shown(path)}", (call.head, target), certain=found.certain)
            elif whole:
                yield Hit("system-remove", f"rsync --delete {shown(path)}", (call.head, target), certain=whole[1])
    for word in sources if options.has("remove-source-files") else ():
        yield from removals(call, word, recursive=True, says="rsync --remove-source-files")
    for path in call.paths(target) if not target.text.endswith("/") else ():
        found = aim(path)
        if found and found.reach is Reach.AT and not found.is_directory:
            yield Hit("path-overwrite", f"rsync … to {shown(path)}", (call.head, target), certain=found.certain)


def compress(call: Call) -> Iterator[Hit]:
    """Judge compressors that replace the file they are given."""
    options = call.options("SbMT", "suffix")
    if options.has("k", "c", "l", "t", "keep", "stdout", "to-stdout", "list", "test"):
        return
    if call.name in {"zstd", "unzstd", "lz4"} and not options.has("rm"):
        return
    for word in options.operands:
        yield from removals(call, word, recursive=options.has("r", "recursive"))


def sed(call: Call) -> Iterator[Hit]:
    """Judge `sed -i` and `perl -i`, which replace the files they edit."""
    if not any(re.fullmatch(r"-[nErszu]*i.*|--in-place.*|-p?i.*|-[a-z]*pi.*", word.text) for word in call.args):
        return
    options = call.options("efl", "expression file line-length")
    operands = options.operands if options.has("e", "f", "expression", "file") else options.operands[1:]
    for word in operands:
        yield from overwrites(call, word, says="sed -i", empties=False)


def archive(call: Call) -> Iterator[Hit]:
    """Judge archivers that remove what they packed, or overwrite where they unpack."""
    options = call.options("fCTbXdxI", "file directory files-from exclude")
    if call.name == "tar" and options.has("remove-files"):
        for word in options.operands:
            yield from removals(call, word, recursive=True, says="tar --remove-files")
    if call.name == "tar" and options.has("overwrite", "unlink-first", "U", "recursive-unlink"):
        yield from _unpacked(call, options.value("C", "directory"))
    if call.name == "zip" and options.has("m", "move"):
        for word in options.operands[1:]:
            yield from removals(call, word, recursive=True, says="zip -m")
    if call.name == "unzip" and options.has("o"):
        yield from _unpacked(call, options.value("d"))


def _unpacked(call: Call, directory: Word | None) -> Iterator[Hit]:
    for path in call.paths(directory) if directory else ():
        found = aim(path)
        if directory and found and found.reach is not Reach.PARENT:
            yield Hit(
                "path-overwrite", f"{call.name} into {shown(path)}", (call.head, directory), certain=found.certain
            )


_OUTPUTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "curl": ("oHdXuAbceFKmTxwr", ("o", "output")),
    "wget": ("OoPaUteTQwi", ("O", "output-document")),
    "sort": ("okSTt", ("o", "output")),
    "openssl": ("", ("out",)),
    "gpg": ("ordu", ("o", "output")),
    "pg_dump": ("fdhpUntT", ("f", "file")),
    "mysqldump": ("rhuP", ("r", "result-file")),
    "gcc": ("oIL", ("o",)),
}


def outputs(call: Call) -> Iterator[Hit]:
    """Judge the option that names an output file."""
    short, names = _OUTPUTS[call.name]
    options = call.options(short, "output output-document file result-file header data request user")
    word = options.value(*names)
    if call.name == "openssl":
        at = next((at for at, arg in enumerate(call.args[:-1]) if arg.text == "-out"), -1)
        word = call.args[at + 1] if at >= 0 else None
    if word:
        yield from overwrites(call, word, says=f"{call.name} to", empties=True)


OUTPUT_COMMANDS = tuple(_OUTPUTS)


def operands_overwritten(call: Call) -> Iterator[Hit]:
    """Judge editors and patchers of the files they are given."""
    if call.name == "patch" and any(word.text == "--dry-run" for word in call.args):
        return
    for word in call.options("pidDr").operands:
        yield from overwrites(call, word, says=call.name)


def git(call: Call) -> Iterator[Hit]:
    """Judge `git clean` and `git rm` in a protected directory."""
    options = call.options("Ccm", permutes=True)
    place = options.value("C")
    verb = next((word for word in options.operands if word.text in {"clean", "rm"}), None)
    if verb is None or options.has("n", "dry-run", "cached"):
        return
    where = place or Word(".", verb.span)
    targets = [word for word in options.operands if word is not verb]
    if verb.text == "clean" and options.has("f", "force") and not targets:
        targets = [where]
    for word in targets:
        text = word.text if word is where or place is None else f"{place.text}/{word.text}"
        yield from removals(call, Word(text, word.span), recursive=True, says=f"git {verb.text}")


def rename(call: Call) -> Iterator[Hit]:
    """Judge `rename EXPRESSION FILES`, `dpkg-divert --rename`, `btrfs subvolume delete`, `rclone purge`."""
    operands = call.options().operands
    if call.name == "dpkg-divert" and any(word.text == "--remove" for word in call.args):
        return  # it puts back what was diverted
    deleting = call.name in {"rename", "prename", "mmv"} or any(
        word.text in {"delete", "purge", "deletefile", "--rename"} for word in call.args
    )
    for word in operands if deleting else ():
        if "/" in word.text and not word.text.startswith(("s/", "y/")):
            yield from removals(call, word, recursive=True)
