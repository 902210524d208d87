"""One fleet of real sshd, each configured in its own way, and one run over all of it: each host ends as documented."""

from __future__ import annotations

import pwd
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.asking import RIGHT
from tests.cli.conftest import Vigo
from tests.sshd import Farm, make_key

pytestmark = [pytest.mark.sshd]

OUTPUT_BYTES = 2_000_000
COMMAND = f'head -c {OUTPUT_BYTES} /dev/zero; set -- $SSH_CONNECTION; echo "$3" >> "$HOME/runs"'
"""More than RekeyLimit allows under one key, and a trace of each run with the address that was reached."""
COMPLETE = ("complete", None, "")


@dataclass(frozen=True)
class Member:
    """One host of the fleet: where it is, how it is logged in to, and how it ends with a password and without."""

    address: str
    ssh: str
    ends: tuple[str, str | None, str] = COMPLETE
    """Outcome, reason, and words of the detail."""
    without_password: tuple[str, str | None, str] | None = None
    """The same where no password is given; None when it makes no difference."""


NEEDS_PASSWORD = ("unreachable", "auth", "--ask-password")
NO_SHELL = ("unreachable", "no_shell", "")


def members(farm: Farm, folder: Path) -> dict[str, Member]:
    """Start the servers, make the users, and say what is expected of each host."""
    insider = farm.user(password=RIGHT)
    found: dict[str, Member] = {}
    number = 0

    def add(name: str, ssh: str = "", count: int = 1, expected: Member | None = None, **settings: str) -> None:
        nonlocal number
        addresses = [f"127.0.39.{number + i + 1}" for i in range(count)]
        number += count
        server = farm.serve(addresses, **settings)
        for i, address in enumerate(addresses):
            ends = expected or Member("", "")
            told = f"port: {server.port}{ssh}"
            found[f"{name}-{i}" if count > 1 else name] = Member(address, told, ends.ends, ends.without_password)

    asked = Member("", "", COMPLETE, NEEDS_PASSWORD)
    refused = Member("", "", NO_SHELL)
    alone = f", user: {insider}"
    add("password", alone, expected=asked, PasswordAuthentication="yes", AuthorizedKeysFile="none")
    add("keyboard", alone, expected=asked, UsePAM="yes", KbdInteractiveAuthentication="yes", AuthorizedKeysFile="none")
    half = Member("", "", COMPLETE, ("unreachable", "auth", "(taken)"))
    add("both", alone, expected=half, PasswordAuthentication="yes", AuthenticationMethods="publickey,password")
    authority, certified = make_key(folder / "ca"), make_key(folder / "certified")
    signed = ["ssh-keygen", "-q", "-s", str(authority), "-I", "fleet", "-n", farm.plain_user, f"{certified}.pub"]
    subprocess.run(signed, check=True)
    add("certificate", f", identity: {certified}", TrustedUserCAKeys=f"{authority}.pub", AuthorizedKeysFile="none")
    add("forced", expected=refused, ForceCommand="echo forced")
    add("one-session", MaxSessions="1")
    add("sheds", count=12, MaxStartups="3:50:6")
    add("rekeys", RekeyLimit="1M")
    for shell in ("/usr/sbin/nologin", "/usr/bin/fish", "/usr/bin/tcsh"):
        user = farm.user(shell)
        add(Path(shell).name, f", user: {user}", expected=refused if "nologin" in shell else None)
    add("hop-1")
    add("hop-2", ", jump: hop-1")
    add("inside", ", jump: [hop-1, hop-2]")
    return found


def test_each_host_of_a_fleet_ends_as_documented(vigo: Vigo, sshd_farm: Farm, tmp_path: Path) -> None:
    """With a password and without one: outcome and reason of each host, and each that ran did so once a run."""
    fleet = members(sshd_farm, tmp_path)
    lines = "".join(f"  {name}: {{address: {host.address}, ssh: {{{host.ssh}}}}}\n" for name, host in fleet.items())
    (vigo.home / "inventory.yaml").write_text(
        f"defaults: {{ssh: {{user: {sshd_farm.plain_user}, identity: {sshd_farm.key},"
        f" known_hosts: {sshd_farm.known_hosts}}}}}\nhosts:\n{lines}"
    )
    secret = vigo.home / "password"
    secret.write_text(RIGHT)
    secret.chmod(0o600)
    run = ["task", "run", COMMAND, "--target", "all", "-i", "inventory.yaml", "--ssh-config", "none", "-o", "json"]
    ran: Counter[str] = Counter()
    for flags in ([], ["--password-file", "password"]):
        done = vigo(*run, *flags)
        assert done.code == 1, done.err
        hosts = {host["host"]: host for host in done.json()["hosts"]}
        assert set(hosts) == set(fleet)
        for name, member in fleet.items():
            outcome, reason, words = member.ends if flags else member.without_password or member.ends
            told = hosts[name]
            assert (told["outcome"], told.get("reason")) == (outcome, reason), told
            assert words in (told.get("detail") or ""), told
            if outcome == "complete":
                assert told["stdout"]["bytes"] == OUTPUT_BYTES, name
                ran[member.address] += 1
    traces = [Path(pwd.getpwnam(user).pw_dir) / "runs" for user in sshd_farm.users]
    seen = Counter(line for path in traces if path.exists() for line in path.read_text().split() if "127.0.39." in line)
    assert seen == ran
