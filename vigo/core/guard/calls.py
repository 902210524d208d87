"""Carries out one call: functions, builtins, wrappers, code carriers, then what the rules say of the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from vigo.core.guard import builtins, carriers, find, interpreters, printing, processes
from vigo.core.guard.call import Call, resolve
from vigo.core.guard.carriers import Carried, Code, FromFile, FromInput
from vigo.core.guard.effects import EFFECTS, hits
from vigo.core.guard.evaluate import DEPTH_MAX
from vigo.core.guard.paths import devices, overwrites, removals
from vigo.core.guard.session import Hit, Shell
from vigo.core.guard.state import State
from vigo.core.guard.words import (
    BRACKET,
    EMPTY,
    GLOBS,
    HOLE,
    PID,
    UNKNOWN,
    Value,
    Word,
    concat,
    join,
    known,
    literal,
    matches,
    shown,
)
from vigo.core.guard.wrappers import WRAPPERS, unwrap

RECURSION_MAX = 3
COMMANDS_GLOBBED_MAX = 4
_STREAMS = frozenset({
    "cat", "head", "tail", "base64", "base32", "xxd", "rev", "tac", "grep", "sort", "openssl", "awk", "sed", "cut", "tr",
    "zcat",
})  # fmt: skip
_CRON = re.compile(r"/etc/cron|/var/spool/cron|/etc/anacrontab")
_CGROUP = re.compile(r"/sys/fs/cgroup/.*/(vigo(?:srv|-envoy)?)\.service/cgroup\.(?:kill|freeze)$")


class Calls:
    """The commands of one judgement. Implements `session.CallPort`."""

    # -- calls -------------------------------------------------------------------------------------------------------

    def call(self, words: tuple[Word, ...], stdin: Value | None, shell: Shell) -> Value:
        """Carry out one call; what it prints."""
        shell.session.step()
        if not words:
            return EMPTY
        shell.session.deeper()
        printed = self._one(words, stdin, shell)
        shell.session.higher()
        return printed

    def inert(self, words: Sequence[tuple[tuple[str, ...], ...]], shell: Shell) -> bool:
        """Tell whether a command is known by its name to do nothing but print, whatever its arguments are."""
        heads = words[0]
        if len(heads) != 1 or len(heads[0]) != 1:
            return False
        name = heads[0][0]
        if name == "printf" and any("-v" in fields for word in words[1:] for fields in word):
            return False
        return self.idle(name, shell)

    def idle(self, name: str, shell: Shell) -> bool:
        """Tell whether a command of this name does nothing but print; of `printf` it depends on its arguments."""
        if not _PLAIN_NAME.fullmatch(name) or name in _ACTS or name.startswith("mkfs") or interpreters.language(name):
            return False
        state = shell.state
        return name not in state.functions and name not in state.aliases and name not in shell.session.files

    def _one(self, words: tuple[Word, ...], stdin: Value | None, shell: Shell) -> Value:
        head = words[0]
        if GLOBS & set(head.text) and head.text != BRACKET and not head.text.startswith(2 * BRACKET):
            meant = [Word(name, head.span) for name in _commands_like(head.text.rsplit("/", 1)[-1])]
            return join(EMPTY, *(self.call((word, *words[1:]), stdin, shell) for word in meant))
        own = self._own(words, stdin, shell)
        if own is not None:
            return own
        name = head.text.rstrip("\r").rsplit("/", 1)[-1]
        if name in builtins.BUILTINS and "/" not in head.text:
            return builtins.BUILTINS[name](words[1:], stdin, shell)
        if name in WRAPPERS:
            return self._wrapped(name, words, stdin, shell)
        return self._plain(name, words, stdin, shell)

    def _own(self, words: tuple[Word, ...], stdin: Value | None, shell: Shell) -> Value | None:
        """Call a function or an alias of this text, if the name is one."""
        head = words[0]
        function = shell.state.functions.get(head.text)
        active = shell.session.active
        if function is not None:
            if active.count(head.text) >= RECURSION_MAX or len(active) > DEPTH_MAX:
                return UNKNOWN
            active.append(head.text)
            printed = shell.call_function(function, tuple(word.text for word in words[1:]), stdin)
            active.pop()
            return printed
        alias = shell.state.aliases.get(head.text)
        if alias is None or active.count(head.text):
            return None
        active.append(head.text)
        line = " ".join([alias, *(_quoted(word.text) for word in words[1:])])
        printed = shell.code(line, (head.span[0], words[-1].span[1]), stdin)
        active.pop()
        return printed

    def _wrapped(self, name: str, words: tuple[Word, ...], stdin: Value | None, shell: Shell) -> Value:
        inner = unwrap(name, words[1:])
        if inner is None:
            return printing.value(Call("which", words[0], words[1:], shell.state.cwd))
        state = shell.state.copy()
        for word in inner.assignments:
            variable, _, value = word.text.partition("=")
            state.variables[variable] = (value,)
        if inner.directory is not None:
            state.cwd = tuple(resolve(inner.directory.text, cwd) for cwd in state.cwd)
        if name in {"su", "runuser", "sudo"} and not inner.words and inner.code is None:
            return self._input(stdin, words[0], shell)
        if inner.code is not None:
            shell.session.note(f"{name} gives a shell: {shown(inner.code.text)}")
            return shell.code(inner.code.text, inner.code.span, stdin, own=state)
        if not inner.words:
            return EMPTY
        kept = shell.state.copy()
        if inner.directory is not None:
            shell.state.cwd = state.cwd
        shell.state.variables.update(state.variables)
        printed = self.call(inner.words, stdin, shell)
        if name not in {"command", "builtin"}:
            shell.state.become(kept)
        return printed

    def _plain(self, name: str, words: tuple[Word, ...], stdin: Value | None, shell: Shell) -> Value:
        shell.session.spend(_cost(name, words, stdin))
        call = self._made(name, words, stdin, shell)
        self._judge(call, shell, hits(call))
        if name == "ln":
            self._linked(call, shell)
        if name == "tee":
            for word in call.options().operands:
                self.keep(call.paths(word)[0], call.stdin or UNKNOWN, word, shell)
        carrier = carriers.CARRIERS.get(name)
        if carrier is not None:
            return self._carried(carrier(call), call, shell)
        special = _SPECIAL.get(name)
        if special is not None:
            return special(self, call, shell)
        if interpreters.language(name):
            self._one_liners(call, shell)
        if call.head.text in shell.session.files or "/" in call.head.text:
            self._script(call, shell)
        return printing.value(call) if shell.heard else UNKNOWN

    def _made(self, name: str, words: tuple[Word, ...], stdin: Value | None, shell: Shell) -> Call:
        args = words[1:]
        if name in _STREAMS:
            for word in args:
                content = self._known_file(word, shell)
                if content is not None:
                    stdin, args = content, tuple(other for other in args if other is not word)
                    break
        return Call(name, words[0], args, shell.state.cwd, stdin, shell.session.links)

    @staticmethod
    def _linked(call: Call, shell: Shell) -> None:
        options = call.options("tS")
        if options.has("s", "symbolic") and len(options.operands) == len(("target", "name")):
            target, name = options.operands
            path, meant = call.paths(name)[0], call.paths(target)[0]
            link = f"{path}/{meant.rsplit('/', 1)[-1]}" if name.text.endswith("/") else path
            shell.session.links[link] = meant

    def _known_file(self, word: Word, shell: Shell) -> Value | None:
        owner = processes.pid_file(word.text)
        if owner:
            return (f"{PID}{owner}\n",)
        if word.text in shell.session.files:
            return shell.session.files[word.text]
        path = resolve(word.text, shell.state.cwd[0])
        return shell.session.files.get(path)

    def _judge(self, call: Call, shell: Shell, found: Iterable[Hit]) -> None:
        for hit in found:
            words = [word.text for word in call.args]
            if any(not known(text) for text in words) or len(call.cwd) == 1:
                shell.session.note(f"{call.name} runs as: {shown(' '.join([call.name, *words]))}")
            shell.session.report(hit)

    # -- code --------------------------------------------------------------------------------------------------------

    def _carried(self, carried: Carried | None, call: Call, shell: Shell) -> Value:
        if carried is None:
            return UNKNOWN
        if isinstance(carried, FromInput):
            return self._input(call.stdin, call.head, shell, carried.args)
        if isinstance(carried, FromFile):
            content = self._known_file(carried.path, shell)
            if "/init.d/" in carried.path.text:
                self._judge(call, shell, hits(Call(call.name, carried.path, call.args[1:], call.cwd)))
            if content is None:
                return UNKNOWN
            state = self._inner(shell, carried.args) if carried.own else None
            kept = shell.state.args
            if not carried.own and carried.args:
                shell.state.args = carried.args
            printed = join(*(shell.code(text, carried.path.span, call.stdin, own=state) for text in content))
            shell.state.args = kept
            return printed
        shell.session.note(f"{call.name} reads as code: {shown(carried.text)}")
        return shell.code(carried.text, carried.span, call.stdin, own=self._state_for(carried, shell))

    def _state_for(self, code: Code, shell: Shell) -> State | None:
        if not code.own:
            return None
        state = State.at_login() if code.remote else self._inner(shell, code.args)
        if code.zero is not None:
            state.variables["0"] = (code.zero,)
        return state

    @staticmethod
    def _inner(shell: Shell, args: tuple[str, ...] | None) -> State:
        state = shell.state.copy()
        state.args = args
        return state

    def _input(self, stdin: Value | None, head: Word, shell: Shell, args: tuple[str, ...] | None = None) -> Value:
        """Read the standard input as code."""
        printed: Value = EMPTY
        for text in stdin or ():
            if text != HOLE:
                shell.session.note(f"{shown(head.text)} reads its input as code: {shown(text.strip())}")
                printed = join(printed, shell.code(text, (0, len(shell.session.judged)), own=self._inner(shell, args)))
        return printed if stdin else UNKNOWN

    def _one_liners(self, call: Call, shell: Shell) -> None:
        for code in interpreters.one_liners(call):
            shell.session.spend(16 + len(code.text) // 8)
            self._judge(call, shell, interpreters.judge_code(call, code))
            for line in interpreters.commands(code):
                self._tried(line, shell)
            if interpreters.kills(code):
                self._judge(
                    call,
                    shell,
                    (Hit("process-signal", f"kill {shown(word)}", (call.head, code)) for word in _pids(code)),
                )

    def _tried(self, line: Word, shell: Shell) -> None:
        """Read what may be a command of another program's making; text that is none breaks nothing."""
        breaks = list(shell.session.breaks)
        shell.code(line.text, line.span, own=shell.state.copy())
        shell.session.breaks[:] = breaks

    def _script(self, call: Call, shell: Shell) -> None:
        content = self._known_file(call.head, shell)
        for text in content or ():
            shell.code(text, call.head.span, call.stdin, own=self._inner(shell, tuple(word.text for word in call.args)))

    # -- commands that run what they are given -----------------------------------------------------------------------

    def xargs(self, call: Call, shell: Shell) -> Value:
        """Run what `xargs` builds."""
        source = call.options("IiEeLlnPsda", "arg-file", permutes=False).value("a", "arg-file")
        if source is not None and source.text not in {"-", "/dev/stdin"}:
            content = self._known_file(source, shell)
            call = Call(call.name, call.head, call.args, call.cwd, content, call.links)
        printed = [self.call(words, None, shell) for words in carriers.xargs(call)]
        return concat(*printed) if printed else EMPTY

    def parallel(self, call: Call, shell: Shell) -> Value:
        """Run what GNU parallel builds."""
        for line in carriers.parallel(call):
            shell.code(line.text, line.span, own=shell.state.copy())
        return UNKNOWN

    def find(self, call: Call, shell: Shell) -> Value:
        """Judge what `find` deletes, and run what it is told to."""
        search = find.read(call)
        results = find.reached(call, search)
        if search.deletes is not None:
            for result in results:
                found = (
                    Hit(
                        hit.rule,
                        hit.says.replace("find -r ", "find ") + " -delete",
                        (call.head, result, search.deletes),
                        hit.certain,
                    )
                    for hit in removals(call, result, recursive=True, says="find")
                )
                self._judge(call, shell, found)
        for word in search.prints:
            self._judge(call, shell, overwrites(call, word, says="find -fprint"))
        for words in find.commands(search, results):
            self.call(words, None, shell)
        return ("".join(f"{result.text}\n" for result in results) or HOLE,)

    def crontab(self, call: Call, shell: Shell) -> Value:
        """Read a crontab that is installed."""
        files = [word for word in call.options("u").operands if word.text != "-"]
        content = self._known_file(files[0], shell) if files else call.stdin
        for text in content or ():
            for line in carriers.cron_lines(text, user=False):
                shell.code(line, call.head.span, own=State.at_login())
        return UNKNOWN

    # -- CallPort: files and functions -------------------------------------------------------------------------------

    def contents(self, path: Word, shell: Shell) -> Value:
        """Return what is known to be in a file that is read."""
        return self._known_file(path, shell) or UNKNOWN

    def written(self, path: Word, printed: Value, operator: str, shell: Shell) -> None:
        """Judge a redirection into a file, and remember what it wrote."""
        call = Call(operator, path, (path,), shell.state.cwd, None, shell.session.links)
        sink = shell.session.sinks.get(path.text)
        if sink is not None:
            shell.code(sink[0], sink[1], printed, own=shell.state.copy())
            return
        resolved = call.paths(path)[0]
        appends = operator in {">>", "&>>"}
        self._special_file(call, path, resolved, printed, shell)
        if appends:
            self._judge(call, shell, devices(call, path, resolved, ">>"))
            printed = concat(shell.session.files.get(resolved, EMPTY), printed)
        else:
            self._judge(call, shell, overwrites(call, path, says=">", empties=True))
        self.keep(resolved, printed, path, shell)

    def _special_file(self, call: Call, path: Word, resolved: str, printed: Value, shell: Shell) -> None:
        group = _CGROUP.search(resolved)
        if group:
            self._judge(call, shell, [Hit("process-signal", f"> {shown(resolved)}", (path,))])
        if resolved == "/proc/sysrq-trigger" and any(text.strip()[:1] in {"b", "o", "c"} for text in printed):
            self._judge(call, shell, [Hit("power", "> /proc/sysrq-trigger", (path,))])

    def keep(self, resolved: str, printed: Value, path: Word, shell: Shell) -> None:
        """Remember what a file was given; what cron will run is read as code."""
        if resolved.startswith("/dev/"):
            return
        shell.session.files[resolved] = printed
        for text in printed if _CRON.match(resolved) else ():
            for line in carriers.cron_lines(text, user="/spool/" not in resolved):
                shell.code(line, path.span, own=State.at_login())

    def defined(self, name: str, text: str, span: tuple[int, int], shell: Shell) -> None:
        """Recognise a fork bomb: a function that pipes into itself, or sends itself to the background twice."""
        body = text[: text.find("}") + 1] if "}" in text else text
        calls_itself = len(re.findall(rf"(?<![\w./-]){re.escape(name)}(?![\w./-])", body))
        piped = re.search(rf"(?<![\w./-]){re.escape(name)}\s*\|\s*&?\s*{re.escape(name)}(?![\w./-])", body)
        backgrounds = re.search(rf"(?<![\w./-]){re.escape(name)}\s*&(?!&)", body)
        if piped or (backgrounds and calls_itself > 1):
            self._bomb(name, span, shell)

    @staticmethod
    def _bomb(name: str, span: tuple[int, int], shell: Shell) -> None:
        shell.session.report(Hit("fork-bomb", f"{name}() {{ {name} | {name} & }}", (Word(name, span),)))


def _cost(name: str, words: tuple[Word, ...], stdin: Value | None) -> int:
    """Count the work that a command's words and its input make: what is open in a word is matched against all we protect."""
    fed = sum(map(len, stdin)) // 64 if stdin else 0
    if name not in EFFECTS and name not in _SPECIAL:
        return fed + len(words) // 8
    open_length = sum(len(word.text) for word in words if not word.text.isascii())
    return fed + 6 * len(words) + open_length + (24 if name in _SPECIAL else 0)


@lru_cache(maxsize=256)
def _commands_like(base: str) -> tuple[str, ...]:
    """Name the commands that a glob in a command's place may be."""
    names = [name for name in (*EFFECTS, *WRAPPERS, *carriers.CARRIERS) if matches(base, name)]
    return tuple(dict.fromkeys(names))[:COMMANDS_GLOBBED_MAX]


def _quoted(text: str) -> str:
    return "'" + literal(text).replace("'", "'\\''") + "'"


def _pids(code: Word) -> list[str]:
    return re.findall(f"{PID}[a-z-]+", code.text)


_SPECIAL: dict[str, Callable[[Calls, Call, Shell], Value]] = {
    "xargs": Calls.xargs,
    "parallel": Calls.parallel,
    "find": Calls.find,
    "gfind": Calls.find,
    "crontab": Calls.crontab,
}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.+\[-]+")
_ACTS = frozenset((*EFFECTS, *WRAPPERS, *carriers.CARRIERS, *_SPECIAL, *(builtins.BUILTINS.keys() - builtins.IDLE)))
