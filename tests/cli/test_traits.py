"""`vigo traits` and `vigo query`: hosts are asked, and what they say is there to aim by."""

from __future__ import annotations

import json
import os
import platform
import pwd
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Vigo
from tests.sshd import Farm
from vigo.adapters.inventory_yaml import load
from vigo.adapters.trait_store import TraitStore
from vigo.cli.gathering import site_scripts
from vigo.core.errors import UsageError, VigoError
from vigo.core.inventory import Gathered

DISTRO = platform.freedesktop_os_release()["ID"]
CPUS = os.sysconf("SC_NPROCESSORS_ONLN")
NOW = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.000Z"
TARGET = f"os.distro={DISTRO} and not hardware.cpus<{CPUS}"


def plain(lab: Vigo, count: int) -> dict[str, Any]:
    """Write an inventory of some of the lab's hosts that knows nothing of them, and return it."""
    folder = Path(lab.environ["VIGO_LAB_DIR"]) / "inventory"
    whole = yaml.safe_load((folder / "hosts.yaml").read_text())
    hosts = {
        name: {k: v for k, v in host.items() if k != "traits"} for name, host in list(whole["hosts"].items())[:count]
    }
    kept = {"defaults": {"ssh": whole["defaults"]["ssh"]}, "groups": whole["groups"], "hosts": hosts}
    (lab.home / "plain.yaml").write_text(json.dumps(kept))
    return kept


@pytest.fixture
def fleet(lab: Vigo) -> Vigo:
    """Return the program with three hosts of the lab, of which the inventory says no trait."""
    plain(lab, 3)
    return Vigo(lab.home, {**lab.environ, "VIGO_INVENTORY": str(lab.home / "plain.yaml")})


@pytest.fixture
def paper(vigo: Vigo) -> Vigo:
    """Return the program with hosts that are only on paper: there is nobody to connect to."""
    (vigo.home / "inventory.yaml").write_text(
        "hosts:\n  a: {traits: {rack: r1, os: {distro: mine}}}\n  b: {}\n  c: {}\n"
    )
    return vigo


def know(vigo: Vigo, inventory: str, at: str, **traits: str) -> None:
    """Keep traits as if they had been gathered from every host of an inventory."""
    path = vigo.home / inventory
    hosts = load(path).hosts
    values = {name.replace("__", "."): value for name, value in traits.items()}
    TraitStore(vigo.home / "data", path).keep(hosts, {host.name: Gathered(values, at, "t1a2b3c4") for host in hosts})


def site(vigo: Vigo, **scripts: str) -> Path:
    """Write scripts of the site."""
    folder = vigo.home / "config" / "traits.d"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in scripts.items():
        (folder / f"{name}.sh").write_text(text)
    return folder


def test_what_hosts_say_is_there_to_aim_by(fleet: Vigo) -> None:
    """Gathered, then found by a target; on record like any task, with the whole text of what ran."""
    names = list(plain(fleet, 3)["hosts"])
    site(fleet, rack="echo slot=7\necho row=a\n", gone="echo x=1; exit 3")
    done = fleet("traits", "gather")
    assert (done.code, done.out) == (0, "3 hosts: 3 gathered\n"), done.err
    assert "site script gone failed: exit 3" in done.err
    listed = fleet("inventory", "list", "--target", f"{TARGET} and rack.slot>=7 and not gone.x=*", "-o", "jsonl")
    assert [json.loads(line)["host"] for line in listed.out.splitlines()] == names
    assert "older" not in listed.err

    opening = fleet.events()[0]
    assert opening["kind"] == "task.dispatch"
    assert "# vigo traits gather" in str(opening)
    assert "echo row=a" in str(opening)

    shown = fleet("traits", "show", names[0], "-o", "json").json()
    values = {trait["path"]: trait for trait in shown["traits"]}
    assert values["hardware.cpus"]["value"] == CPUS
    assert values["os.distro"]["layer"] == "gathered"
    assert shown["gathered"]["task"] == opening["task"]


def test_what_the_file_says_wins_and_another_inventory_knows_nothing(paper: Vigo) -> None:
    """Gathered traits lie under those of their own inventory."""
    know(paper, "inventory.yaml", NOW, os__distro="debian", os__arch="x86_64")
    (paper.home / "other.yaml").write_text("hosts: {a: {}}\n")
    found = paper("query", "os.distro", "-i", "inventory.yaml")
    assert found.out == "HOST VALUE\na    mine\nb    debian\nc    debian\n"
    assert paper("query", "os.distro", "--count", "-o", "tsv").out == "hosts\tvalue\n2\tdebian\n1\tmine\n"
    assert paper("query", "os.distro", "-i", "other.yaml").code == 4
    shown = paper("traits", "show", "a").out.splitlines()[3:]
    assert [line.split()[:3] for line in shown] == [
        ["TRAIT", "VALUE", "FROM"],
        ["os.arch", "x86_64", "gathered"],
        ["os.distro", "mine", "host"],
        ["rack", "r1", "host"],
    ]


def test_traits_older_than_a_week_are_said_where_they_are_read(paper: Vigo) -> None:
    """Once, on stderr, with the age; a target that reads none of them says nothing."""
    know(paper, "inventory.yaml", "2020-01-01T00:00:00.000Z", os__distro="debian")
    warning = re.compile(r"^traits of 2 hosts are older than a week \(up to \d+d\): vigo traits gather$", re.MULTILINE)
    asked = ["--target", "os.distro=debian"]
    for args in (
        ["inventory", "list", *asked],
        ["query", "os.distro", "--target", "os.distro=*"],
        ["task", "run", "true", *asked, "--dry-run", "--no-probe"],
    ):
        assert len(warning.findall(paper(*args).err)) == 1
    assert not warning.search(paper("inventory", "list", "--target", "rack=r1 or b").err)


def test_a_host_that_is_away_is_told_and_keeps_what_was_known(fleet: Vigo) -> None:
    """Exit 1, and the others are gathered."""
    whole = plain(fleet, 2)
    reached, away = whole["hosts"]
    whole["hosts"][away]["ssh"]["port"] = 1
    (fleet.home / "plain.yaml").write_text(json.dumps(whole))
    know(fleet, "plain.yaml", NOW, os__distro="before")
    done = fleet("traits", "gather", "-o", "json")
    told = {one["host"]: one for one in done.json()["hosts"]}
    assert (done.code, done.json()["gathered"], told[away]["outcome"]) == (1, 1, "unreachable")
    path = fleet.home / "plain.yaml"
    kept = TraitStore(fleet.home / "data", path).load(load(path).hosts)
    assert (kept[reached].values["os.distro"], kept[away].values) == (DISTRO, {"os.distro": "before"})


def test_a_dry_run_connects_to_nobody(fleet: Vigo) -> None:
    """It shows the plan and the whole text."""
    done = fleet("traits", "gather", "--dry-run")
    assert done.code == 0
    assert "3 target(s)" in done.out
    assert "# vigo traits gather" in done.err
    assert not (fleet.home / "data" / "traits").exists()


@pytest.mark.parametrize(
    ("scripts", "said"),
    [
        ({"evil": "echo a=1\nreboot"}, "evil.sh: the guard refuses it: reboot"),
        ({"os": "echo a=1"}, r"os.sh: os\.\* are vigo's own traits"),
        ({"Big Name": "echo a=1"}, "is no name for traits"),
        ({"long": "#" * 9000}, "long.sh: has more than 8,192 bytes"),
        ({f"s{at}": "echo a=1" for at in range(40)}, "has more than 32 scripts"),
    ],
)
def test_a_script_that_cannot_be_sent_is_refused_by_name(vigo: Vigo, scripts: dict[str, str], said: str) -> None:
    """Nothing of it is passed over in silence."""
    with pytest.raises(VigoError, match=said):
        site_scripts(site(vigo, **scripts))


def test_only_scripts_that_are_yours_are_sent(vigo: Vigo) -> None:
    """Not what every user can write; other files of the folder are none."""
    folder = site(vigo, mine="echo a=1")
    (folder / "README").write_text("what this is\n")
    (folder / ".hidden.sh").write_text("reboot\n")
    assert [script.name for script in site_scripts(folder)] == ["mine"]
    (folder / "mine.sh").chmod(0o666)
    with pytest.raises(VigoError, match="every user can write it"):
        site_scripts(folder)
    with pytest.raises(UsageError, match=r"--traits-dir .*nowhere: cannot be read"):
        site_scripts(vigo.home / "nowhere")


def test_a_script_that_does_more_than_look_ends_it_before_anything_connects(paper: Vigo) -> None:
    """Exit 6, nothing on record, and no flag forces it."""
    site(paper, evil="systemctl stop vigo")
    done = paper("traits", "gather")
    assert (done.code, done.out) == (6, "")
    assert "evil.sh: the guard refuses it: systemctl stop vigo" in done.err
    assert not (paper.home / "data").exists()


def test_a_query_that_finds_nothing_says_why(paper: Vigo) -> None:
    """Exit 4, with the nearest names; hosts without the trait are named on stderr."""
    found = paper("query", "rack")
    assert (found.code, found.out) == (0, "HOST VALUE\na    r1\n")
    assert "2 hosts without rack: b, c" in found.err
    assert "did you mean rack" in paper("query", "rak").err
    nobody = paper("query", "rack", "--target", "b")
    assert (nobody.code, nobody.out) == (4, "")
    assert "none of these hosts has it" in nobody.err


def test_damaged_traits_stop_a_target(paper: Vigo) -> None:
    """They are never taken for no traits: `not os.distro=debian` would then mean every host."""
    kept = TraitStore(paper.home / "data", paper.home / "inventory.yaml").path
    kept.parent.mkdir(parents=True)
    kept.write_text("damaged")
    done = paper("inventory", "list", "--target", "not os.distro=debian")
    assert (done.code, done.out) == (5, "")
    assert "remove the file and run `vigo traits gather`" in done.err


@pytest.mark.sshd
def test_a_real_server_answers(vigo: Vigo, sshd_farm: Farm) -> None:
    """OpenSSH's own sshd, and a user in whose home nothing appears."""
    server = sshd_farm.serve(("127.0.3.9",))
    (vigo.home / "inventory.yaml").write_text(
        f"hosts: {{real: {{address: 127.0.3.9, ssh: {{user: {sshd_farm.plain_user}, port: {server.port}, "
        f"identity: {sshd_farm.key}, known_hosts: {sshd_farm.known_hosts}}}}}}}\n"
    )
    home = Path(pwd.getpwnam(sshd_farm.plain_user).pw_dir)
    before = sorted(home.rglob("*"))
    done = vigo("traits", "gather", "-i", "inventory.yaml", "-o", "json")
    assert done.code == 0, done.err
    (result,) = done.json()["hosts"]
    assert result["unknown_lines"] == 0
    assert result["traits"]["os.kernel"] == os.uname().release
    assert sorted(home.rglob("*")) == before


@pytest.mark.faults
def test_fifty_hosts_are_gathered_and_found(tmp_path: Path) -> None:
    """The whole way with 50 hosts: gather, aim by what they said, count."""
    vigo = Vigo(tmp_path, {"VIGO_LAB_DIR": str(tmp_path / "lab"), "VIGO_INVENTORY": "lab"})
    tmp_path.chmod(0o755)
    up = vigo("lab", "up", "--hosts", "50")
    assert up.code == 0, up.err
    try:
        plain(vigo, 50)
        bare = Vigo(tmp_path, {**vigo.environ, "VIGO_INVENTORY": str(tmp_path / "plain.yaml")})
        done = bare("traits", "gather")
        assert (done.code, done.out) == (0, "50 hosts: 50 gathered\n"), done.err
        ran = bare("task", "run", "true", "--target", TARGET, "-o", "json").json()
        assert [host["outcome"] for host in ran["hosts"]] == ["complete"] * 50
        assert bare("query", "os.distro", "--count", "-o", "tsv").out == f"hosts\tvalue\n50\t{DISTRO}\n"
    finally:
        assert vigo("lab", "down").code == 0
