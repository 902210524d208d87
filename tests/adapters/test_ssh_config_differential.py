"""vigo's reading of ssh_config beside that of the installed `ssh -G`, on configurations that are made by chance.

Each configuration is asked for five hosts. What ssh refuses vigo refuses; what vigo alone refuses is documented.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vigo.adapters.ssh_config import FORWARDED_SOCKET, ConfigFile
from vigo.adapters.ssh_settings import Settler
from vigo.adapters.ssh_settings_read import Settings
from vigo.core.errors import ConfigError
from vigo.core.model import Host, Overrides, SshSettings

SSH = shutil.which("ssh")
pytestmark = pytest.mark.skipif(SSH is None, reason="needs OpenSSH's client")

NAMES = ("web-01", "WEB-02", "db.example.com", "10.0.0.7", "bastion")
PATTERNS = (
    "web-*",
    "web-0?",
    "*",
    "db.*",
    "*.example.com",
    "10.*",
    "bastion",
    "WEB-02",
    "web-01",
    "10.0.0.?",
    "nobody",
)
WORDS = ("ops", "deploy", '"build user"', "root")


@dataclass(slots=True)
class Maker:
    """Makes one configuration and the files it includes."""

    chance: random.Random
    folder: Path
    files: int = 0
    odd: float = 0.0
    """How many lines are such that ssh may refuse them."""
    values: dict[str, Callable[[], str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pick = self.chance.choice
        self.odd = pick((0.0, 0.0, 0.0, 0.06))
        self.values = {
            "HostName": lambda: pick(("%h.internal", "10.1.2.3", "real.example.com", "%h", "FE80::1", "a%%b", "127.1")),
            "User": lambda: pick(WORDS),
            "Port": lambda: pick(("22", "2222", "65535", "ssh", "0022")),
            "IdentityFile": lambda: pick(("~/.ssh/a", "~/.ssh/%r@%h", '"/k/with blank"', "none", "/k/%n-%p", "/k/b\\ c")),
            "CertificateFile": lambda: pick(("~/.ssh/a-cert.pub", "/c/%u")),
            "ProxyJump": lambda: pick(("none", "hop", "ops@hop:2200", "a,b", "ops@a:1,[::1]:2,c", "ssh://u@h:5", "x-%n")),
            "ProxyCommand": lambda: pick(("none", "nc %h %p", "= nc -x 'a b' %h %p", 'ssh "%r" -W [%h]:%p hop # no', "/x")),
            "UserKnownHostsFile": lambda: pick(("/kh/%h", "~/.ssh/kh /kh/two", "none", '"/kh/a b"', "/kh/%k", "${HOME}/x")),
            "GlobalKnownHostsFile": lambda: pick(("/etc/kh", "none", "/etc/a /etc/b")),
            "HostKeyAlias": lambda: pick(("alias", "Alias.B")),
            "ConnectTimeout": lambda: pick(("5", "1m", "1m30s", "none", "2H")),
            "ServerAliveInterval": lambda: pick(("0", "7", "1m")),
            "ServerAliveCountMax": lambda: pick(("0", "2", "9")),
            "IdentitiesOnly": lambda: pick(("yes", "no", "True", "FALSE")),
            "ForwardAgent": lambda: pick(("yes", "no", "/etc/passwd")),
            "AddressFamily": lambda: pick(("any", "inet", "INET6")),
            "BindAddress": lambda: "127.0.0.1",
            "CanonicalizeHostname": lambda: "no",
            "ControlMaster": lambda: "auto",
            "SendEnv": lambda: "LANG LC_*",
            "Compression": lambda: "yes",
            "LocalForward": lambda: "1234 localhost:80",
            "IgnoreUnknown": lambda: pick(("Frob*", "a,b", "Other,Frobnicate")),
            "StrictHostKeyChecking": lambda: pick(("yes", "ask", "accept-new")),
            "PreferredAuthentications": lambda: "publickey,password",
        }  # fmt: skip

    def write(self) -> Path:
        """Write the configuration and return its file."""
        return self._file(depth=0)

    def _file(self, *, depth: int) -> Path:
        self.files += 1
        path = self.folder / f"f{self.chance.randrange(3)}_{self.files}.conf"
        lines = self._lines(depth, self.chance.randrange(4))
        for _ in range(self.chance.randrange(1, 5)):
            lines += [self._indent() + self._condition(), *self._lines(depth, self.chance.randrange(1, 5))]
        text = self.chance.choice(("\n", "\n", "\n", "\r\n")).join(lines)
        path.write_text(text + self.chance.choice(("\n", "", "\n# end")))
        path.chmod(0o600)
        return path

    def _lines(self, depth: int, count: int) -> list[str]:
        return [self._indent() + self._line(depth) for _ in range(count)]

    def _line(self, depth: int) -> str:
        roll = self.chance.random()
        if roll < 0.12 and depth < 3:
            return self._include(depth)
        if roll < 0.15:
            return self.chance.choice(("", "# comment", "   # another", "\t"))
        if roll < 0.15 + self.odd:
            return self._odd()
        keyword = self.chance.choice(tuple(self.values))
        spelled = self.chance.choice((keyword, keyword, keyword.lower(), keyword.upper()))
        between = self.chance.choice((" ", " ", "\t", "=", " = ", "= ", "  "))
        end = (
            self.chance.choice(("", "", "", " ", "\t"))
            if keyword == "ProxyCommand"
            else self.chance.choice(("", "", " # why", " "))
        )
        return f"{spelled}{between}{self.values[keyword]()}{end}"

    def _odd(self) -> str:
        """Return something that ssh may refuse."""
        return self.chance.choice(
            ("Frobnicate yes", "User", "Port 0", "Port none", 'User "open', "User two words", "IdentitiesOnly perhaps",
             "ConnectTimeout soon", "Match", "Match all host x", "Host", 'Host ""', "ProxyJump @", "ProxyJump a:b:c",
             "Include", "UserKnownHostsFile none /x", "HostName %p", "Port 99999", "ProxyJump ,a", "Match frob x")
        )  # fmt: skip

    def _include(self, depth: int) -> str:
        if self.chance.random() < 0.2:
            return f"Include {self.folder}/nothing/* {self.folder}/missing"
        made = [self._file(depth=depth + 1) for _ in range(self.chance.randrange(1, 3))]
        if self.chance.random() < 0.4:  # a glob over files of its own
            self.files += 1
            folder = self.folder / f"d{self.files}"
            folder.mkdir()
            for path in made:
                path.rename(folder / path.name)
            return f'Include "{folder}/*.conf"'
        return f"Include {' '.join(map(str, made))}"

    def _condition(self) -> str:
        if self.chance.random() < 0.55:
            return f"Host {' '.join(self._pattern() for _ in range(self.chance.randrange(1, 4)))}"
        if self.chance.random() < 0.15:
            return self.chance.choice(
                ("Match all", "Match !all", "Match canonical all", "match final all", "Match=all")
            )
        criteria = [self._criterion() for _ in range(self.chance.randrange(1, 4))]
        return f"Match {' '.join(criteria)}{self.chance.choice(('', '', ' # why'))}"

    def _criterion(self) -> str:
        listed = ",".join(self._pattern() for _ in range(self.chance.randrange(1, 3)))
        no = self.chance.choice(("", "", "!"))
        return no + self.chance.choice(
            (f"host {listed}", f"originalhost {listed}", "user ops,root", "localuser *,!ops", "user=deploy", "final",
             'exec "test %h = 10.0.0.7"', "exec true", "exec false", 'exec "test %n-%p-%r = web-01-22-root"', "canonical")
        )  # fmt: skip

    def _pattern(self) -> str:
        return self.chance.choice(("", "", "", "!")) + self.chance.choice(PATTERNS)

    def _indent(self) -> str:
        return self.chance.choice(("", "  ", "\t"))


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: which host, with which flags."""

    name: str
    user: str | None = None
    port: int | None = None
    address: str | None = None
    option: tuple[str, str] | None = None

    @property
    def argv(self) -> list[str]:
        """Return ssh's words for it."""
        words = [] if self.option is None else ["-o", "=".join(self.option)]
        words += [] if self.address is None else ["-o", f"HostName={self.address}"]
        words += [] if self.user is None else ["-l", self.user]
        words += [] if self.port is None else ["-p", str(self.port)]
        return [*words, self.name]


def by_ssh(path: Path, asked: Asked) -> dict[str, list[str]] | None:
    """Return what `ssh -G` says, or None where it refuses."""
    argv = [str(SSH), "-G", "-F", str(path), *asked.argv]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    said: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        said.setdefault(key, []).append(value)
    return said


def by_vigo(path: Path, asked: Asked) -> tuple[Settings | None, str]:
    """Return what vigo decides, or the refusal."""
    options = () if asked.option is None else (asked.option,)
    host = Host(asked.name, "u", asked.address, ssh=SshSettings(user=asked.user, port=asked.port))
    try:
        return Settler.make((ConfigFile(path),), Overrides(options=options)).settle_and_wait(host), ""
    except ConfigError as error:
        return None, str(error)


def raw(settings: Settings, key: str) -> list[str]:
    """Return values as they were said."""
    return [str(found.value) for found in settings.values.get(key, ())]


def differences(ssh: dict[str, list[str]], settings: Settings) -> dict[str, tuple[object, object]]:
    """Return what differs: key -> (ssh, vigo)."""
    timeout = settings.connect_timeout_ms
    chosen = "proxycommand" if "proxycommand" in settings.values else "proxyjump"
    way = [text for text in raw(settings, chosen) if text.lower() != "none"]
    way = [text.removeprefix("ssh://") for text in way]
    user_files = [path for path in settings.known_hosts if path not in system_files(settings)]
    home = str(Path.home())
    expected: dict[str, list[str]] = {
        "hostname": [settings.name],
        "port": [str(settings.port)],
        "user": [settings.user],
        "proxyjump": way if chosen == "proxyjump" else [],
        "proxycommand": way if chosen == "proxycommand" else [],
        "userknownhostsfile": [" ".join(user_files)],
        "globalknownhostsfile": [" ".join(system_files(settings))],
        "hostkeyalias": list(settings.host_key_names[:1]) if "hostkeyalias" in settings.values else [],
        "connecttimeout": ["none" if timeout is None else str(timeout // 1000)],
        "identitiesonly": ["yes" if settings.identities_only else "no"],
        "certificatefile": raw(settings, "certificatefile"),
        "addressfamily": [settings.address_family],
        "bindaddress": raw(settings, "bindaddress"),
    }
    if "identityfile" in settings.values:
        expected["identityfile"] = raw(settings, "identityfile")
    if "serveraliveinterval" in settings.values:
        expected["serveraliveinterval"] = [str(settings.keepalive_ms // 1000)]
    if "serveralivecountmax" in settings.values:
        expected["serveralivecountmax"] = [str(settings.keepalive_count)]
    flag, path = raw(settings, "forwardagent"), raw(settings, FORWARDED_SOCKET)
    expected["forwardagent"] = path or ["yes" if flag == ["True"] else "no"]
    found = {key: ssh.get(key, []) for key in expected}
    found["userknownhostsfile"] = [
        text.replace("~", home) for text in found["userknownhostsfile"] if text != "none"
    ] or [""]
    found["globalknownhostsfile"] = [text for text in found["globalknownhostsfile"] if text != "none"] or [""]
    return {key: (found[key], value) for key, value in expected.items() if found[key] != value}


def system_files(settings: Settings) -> list[str]:
    """Return the machine's known_hosts files."""
    if "globalknownhostsfile" not in settings.values:
        return ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]
    value = settings.values["globalknownhostsfile"][0].value
    assert isinstance(value, tuple)
    return [str(path) for path in value if path != "none"]


DOCUMENTED = ("the way leads in a circle", "move the comment")
"""What vigo alone refuses: ssh would start itself for ever; ssh takes `none # why` for a host."""


def refuses_a_hop(path: Path, said: dict[str, list[str]]) -> bool:
    """Tell whether ssh would refuse the first of the hops, which `-G` does not look at but vigo does."""
    hops = said.get("proxyjump", [])
    return bool(hops) and by_ssh(path, Asked(hops[0].split(",")[0].rpartition("@")[2].split(":")[0])) is None


def compare(seed: int, folder: Path) -> tuple[int, list[str]]:
    """Compare one configuration for five hosts: how many vigo and ssh both took, and what they disagree on."""
    chance = random.Random(seed)
    folder.mkdir()
    path = Maker(chance, folder).write()
    agreed, disagreements = 0, []
    for name in NAMES:
        asked = Asked(
            name,
            user=chance.choice((None, None, "ops")),
            port=chance.choice((None, None, 2022)),
            address=chance.choice((None, None, None, "127.0.0.9")),
            option=chance.choice((None, None, None, ("Port", "77"), ("ProxyJump", "z"), ("IdentityFile", "/o"))),
        )
        ssh = by_ssh(path, asked)
        settings, refusal = by_vigo(path, asked)
        if ssh is None or settings is None:
            explained = any(text in refusal for text in DOCUMENTED) or (ssh is not None and refuses_a_hop(path, ssh))
            if (ssh is None) != (settings is None) and not explained:
                disagreements.append(
                    f"seed {seed} {asked}: ssh {'refuses' if ssh is None else 'takes'} it, vigo: {refusal or 'takes it'}"
                )
            continue
        if asked.option and asked.option[0] == "IdentityFile":
            ssh["identityfile"] = ssh["identityfile"][
                :1
            ]  # a named key of vigo's own replaces, ssh tries the others too
        agreed += 1
        disagreements += [
            f"seed {seed} {asked}: {key}: ssh {a} vigo {b}" for key, (a, b) in differences(ssh, settings).items()
        ]
    return agreed, disagreements


def run(seeds: range, folder: Path) -> int:
    """Compare many configurations; return how many answers were compared."""
    results = [compare(seed, folder / str(seed)) for seed in seeds]
    disagreements = [line for _, lines in results for line in lines]
    assert not disagreements, f"{len(disagreements)} disagreements:\n" + "\n".join(disagreements[:20])
    return sum(agreed for agreed, _ in results)


def test_vigo_reads_ssh_config_as_ssh_does(tmp_path: Path) -> None:
    """Twenty configurations, five hosts each."""
    assert run(range(20), tmp_path) >= 50


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_hundreds_of_configurations_are_read_as_ssh_reads_them(tmp_path: Path) -> None:
    """A17: at least 300 configurations, no unexplained disagreement."""
    answers = run(range(1_000, 1_400), tmp_path)
    print(f"A17: 400 configurations, {answers} answers compared, 0 disagreements")
    assert answers >= 1_000
