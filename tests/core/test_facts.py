"""What a host says is read strictly: whatever it is, only known traits of known shapes come of it."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigo.core.errors import ConfigError
from vigo.core.facts import (
    ANSWER_BYTES_MAX,
    ITEMS_MAX,
    LINES_MAX,
    SITE_BYTES_MAX,
    SITE_VALUES_MAX,
    TEXT_MAX,
    Answer,
    SiteScript,
    read_answer,
    read_site,
    script,
)
from vigo.core.guard import review
from vigo.core.model import TraitValue

KNOWN = {
    "os.family": str, "os.distro": str, "os.version": str, "os.codename": str, "os.kernel": str, "os.arch": str,
    "hardware.cpus": int, "hardware.memory_mb": int, "uptime_s": int, "network.hostname": str, "network.fqdn": str,
    "network.ip_addresses": tuple, "network.mac_addresses": tuple, "init": str, "packages.manager": str,
    "virtualization": str,
}  # fmt: skip
DEBIAN = """\
system=Linux
kernel=6.1.0-18-amd64
arch=x86_64
release.version="12"
release.codename=bookworm
release.id=debian
cpus=8
memory.kb=16308372
uptime.s=3924000.17
hostname=Web-01
fqdn=web-01.example.com
ip=127.0.0.1/8
ip=::1/128
ip=10.0.0.5/24
ip=2001:db8::5/64
ip=fe80::1%25eth0
ip=10.0.0.5/32
mac=00:00:00:00:00:00
mac=52:54:00:AB:cd:ef
init.pid1=systemd
init.run=systemd
manager=apt-get
manager=nix-env
virt.detected=kvm
virt.dmi=QEMU
"""


def answer(text: str) -> bytes:
    """Put what a whole answer begins and ends with round some facts."""
    return f"host-traits 1\n{text.rstrip()}\nend\n".encode()


def traits(text: str, *sites: str) -> dict[str, TraitValue]:
    """Return the traits of an answer in which nothing is wrong."""
    read = read_answer(answer(text), sites)
    assert (read.unknown, read.failed) == (0, ())
    return dict(read.traits)


def test_a_debian_machine() -> None:
    """Every trait, local addresses left out, each address once."""
    assert traits(DEBIAN) == {
        "os.family": "debian",
        "os.distro": "debian",
        "os.version": "12",
        "os.codename": "bookworm",
        "os.kernel": "6.1.0-18-amd64",
        "os.arch": "x86_64",
        "hardware.cpus": 8,
        "hardware.memory_mb": 15926,
        "uptime_s": 3924000,
        "network.hostname": "web-01",
        "network.fqdn": "web-01.example.com",
        "network.ip_addresses": ("10.0.0.5", "2001:db8::5"),
        "network.mac_addresses": ("52:54:00:ab:cd:ef",),
        "init": "systemd",
        "packages.manager": "apt",
        "virtualization": "kvm",
    }


def test_a_mac() -> None:
    """No /proc and no os-release; process 1 is named by its path."""
    facts = """\
system=Darwin
kernel=23.4.0
arch=arm64
macos.version=14.4.1
cpus=10
memory.bytes=34359738368
uptime.etime=12-03:04:05
mac=0:1b:63:84:45:e6
init.pid1=/sbin/launchd
manager=brew
virt.guest=0
"""
    found = traits(facts)
    assert (found["os.family"], found["os.distro"], found["os.version"]) == ("darwin", "macos", "14.4.1")
    assert (found["os.arch"], found["hardware.memory_mb"]) == ("aarch64", 32768)
    assert found["uptime_s"] == ((12 * 24 + 3) * 60 + 4) * 60 + 5
    assert found["network.mac_addresses"] == ("00:1b:63:84:45:e6",)
    assert (found["init"], found["packages.manager"], found["virtualization"]) == ("launchd", "brew", "none")
    assert "os.codename" not in found


@pytest.mark.parametrize("system", ["FreeBSD", "OpenBSD", "NetBSD", "DragonFly"])
def test_the_bsds(system: str) -> None:
    """The version is the kernel's, up to its first dash; a plain `init` is the BSDs' own."""
    found = traits(
        f"system={system}\nkernel=13.2-RELEASE-p1\narch=amd64\nuptime.etime=04:05\ninit.pid1=init\nmanager=pkg\n"
    )
    assert (found["os.family"], found["os.distro"], found["os.version"]) == ("bsd", system.lower(), "13.2")
    assert (found["os.arch"], found["init"], found["uptime_s"]) == ("x86_64", "rc", 245)
    assert found["packages.manager"] == "pkg"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ("release.id=ubuntu\nrelease.like=debian", ("debian", "ubuntu", None)),
        ('release.id="rocky"\nrelease.like="rhel centos fedora"\nrelease.version="9.3"', ("redhat", "rocky", "9.3")),
        ("release.id='opensuse-leap'\nrelease.like=suse opensuse", ("suse", "opensuse-leap", None)),
        ("release.id=alpine\nrelease.version=3.19.1", ("alpine", "alpine", "3.19.1")),
        ("release.id=arch", ("arch", "arch", None)),
        ("release.id=void", ("linux", "void", None)),
        ("release.line=CentOS release 6.10 (Final)", ("redhat", "centos", "6.10")),
        ("release.line=CentOS Linux release 7.9.2009 (Core)", ("redhat", "centos", "7.9.2009")),
        ("release.line=Red Hat Enterprise Linux Server release 6.9 (Santiago)", ("redhat", "rhel", "6.9")),
        ("", ("linux", None, None)),
    ],
)
def test_families(facts: str, expected: tuple[str | None, ...]) -> None:
    """A family is what a system says it is like; a kernel without a name of its own is just that."""
    found = traits(f"system=Linux\n{facts}")
    assert tuple(found.get(path) for path in ("os.family", "os.distro", "os.version")) == expected


@pytest.mark.parametrize(
    ("facts", "init"),
    [
        ("init.pid1=systemd", "systemd"),
        ("init.pid1=init\ninit.run=systemd", "systemd"),
        ("init.pid1=init\ninit.run=openrc\ninit.link=busybox\ninit.inittab=yes", "openrc"),
        ("init.pid1=init\ninit.run=runit", "runit"),
        ("init.pid1=runit-init", "runit"),
        ("init.pid1=s6-svscan", "s6"),
        ("init.pid1=init\ninit.link=busybox\ninit.inittab=yes", "busybox"),
        ("init.pid1=init\ninit.inittab=yes", "sysvinit"),
        ("init.pid1=init", "init"),
        ("init.pid1=tini", "tini"),
        ("init.run=systemd", None),
    ],
)
def test_init_systems(facts: str, init: str | None) -> None:
    """What process 1 is; a plain `init` is told by what it leaves behind."""
    assert traits(f"system=Linux\n{facts}").get("init") == init


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ("virt.detected=none", "none"),
        ("virt.detected=none\nvirt.dmi=QEMU", "none"),
        ("virt.detected=none\nvirt.container=docker", "docker"),
        ("virt.detected=lxc\nvirt.container=docker", "lxc"),
        ("virt.dmi=VMware, Inc.\nvirt.flag=yes", "vmware"),
        ("virt.dmi=innotek GmbH\nvirt.dmi=VirtualBox", "oracle"),
        ("virt.dmi=Microsoft Corporation\nvirt.dmi=Virtual Machine\nvirt.flag=yes", "microsoft"),
        ("virt.dmi=Microsoft Corporation\nvirt.dmi=Surface", "none"),
        ("virt.dmi=Amazon EC2\nvirt.dmi=t3.micro\nvirt.flag=yes", "amazon"),
        ("virt.dmi=Amazon EC2\nvirt.dmi=c5.metal", "none"),
        ("virt.hypervisor=xen", "xen"),
        ("virt.flag=yes", "vm"),
        ("virt.guest=bhyve", "bhyve"),
        ("virt.guest=hv", "microsoft"),
        ("virt.guest=1", "vm"),
        ("", None),
    ],
)
def test_virtualization(facts: str, expected: str | None) -> None:
    """A container before its machine; `none` only where something was looked at, and nothing where nothing was."""
    assert traits(f"system=Linux\n{facts}").get("virtualization") == expected


def test_a_family_prefers_its_own_packages() -> None:
    """A machine may have other managers too; without its own it is the first of them."""
    assert traits("system=Linux\nrelease.id=fedora\nmanager=apt-get\nmanager=dnf")["packages.manager"] == "dnf"
    assert traits("system=Linux\nrelease.id=void\nmanager=xbps-install\nmanager=brew")["packages.manager"] == "xbps"
    assert traits("system=Linux\nrelease.id=debian\nmanager=opkg")["packages.manager"] == "opkg"


def test_traits_of_the_site() -> None:
    """`key=value` lines below the script's name: numbers, true and false are such, a key said again is a list."""
    text = "level=5%0A%0Ahealthy=true%0Awired=false%0Adisk.a=x y%0Apct=7%25%0Aslot=1%0Aslot=2%0Aserial=007"
    assert traits(f"site.raid={text}", "raid") == {
        "raid.level": 5,
        "raid.healthy": True,
        "raid.wired": False,
        "raid.disk.a": "x y",
        "raid.pct": "7%",
        "raid.slot": (1, 2),
        "raid.serial": "007",
    }


def test_a_site_script_that_failed_gives_nothing_but_its_name() -> None:
    """The other traits stand."""
    read = read_answer(answer("cpus=2\nfailed.raid=3\nfailed.rack=size\nfailed.raid=4"), ["raid", "rack"])
    assert read.traits == {"hardware.cpus": 2}
    assert read.failed == (("raid", "exit 3"), ("rack", "it printed too much"))
    assert read.unknown == 1


@pytest.mark.parametrize(
    "line",
    [
        "os.distro=debian", "evil=1", "site.other=a=1", "site=a=1", "no equals", "cpus=", "cpus=many", "cpus=-1", "cpus=" + "9" * 30,
        "ip=localhost", "mac=aa:bb", "hostname=a b", "hostname=-rf", "kernel=" + "6" * 500, "release.id=a\x1b[31m", "release.codename=ü",
        "uptime.s=soon", "virt.dmi=\x07", "init.pid1=sys%0Atemd",
    ],
)  # fmt: skip
def test_a_line_that_no_script_of_vigo_writes_is_counted_and_no_trait(line: str) -> None:
    """Unknown keys, other shapes, control characters."""
    read = read_answer(answer(f"arch=x86_64\n{line}"), ["raid"])
    assert (read.traits, read.unknown) == ({"os.arch": "x86_64"}, 1)


def test_bytes_that_are_no_text_are_counted() -> None:
    """Neither in a key nor in a value."""
    read = read_answer(b"host-traits 1\n\xff=1\nkernel=\xff\nend\n")
    assert (read.traits, read.unknown) == ({}, 2)


def test_a_fact_that_is_said_twice_is_the_first_one() -> None:
    """But for lists, which are bounded."""
    read = read_answer(answer("cpus=2\ncpus=3"))
    assert (read.traits, read.unknown) == ({"hardware.cpus": 2}, 1)
    many = read_answer(answer("".join(f"ip=10.0.{at // 256}.{at % 256}\n" for at in range(ITEMS_MAX + 9))))
    addresses = many.traits["network.ip_addresses"]
    assert isinstance(addresses, tuple)
    assert (len(addresses), many.unknown) == (ITEMS_MAX, 9)


def test_what_a_site_script_may_say_is_bounded() -> None:
    """In number and length; a value in the way of another one gives way."""
    many = "%0A".join(f"k{at}=1" for at in range(SITE_VALUES_MAX + 3))
    assert read_answer(answer(f"site.x={many}"), ["x"]).unknown == 3
    for bad in (f"a={'y' * (TEXT_MAX + 1)}", "a", "a b=1", "a..b=1", "=1", "a=", "a=\x9b", "a=\u202e"):
        read = read_answer(answer(f"site.x={bad}%0Ab=1"), ["x"])
        assert (read.traits, read.unknown) == ({"x.b": 1}, 1)
    crossed = read_answer(answer("site.x=a=1%0Aa.b=2%0Aa=3"), ["x"])
    assert (crossed.traits, crossed.unknown) == ({"x.a.b": 2}, 2)
    assert read_answer(answer(f"site.x={'a' * 5000}"), ["x"]).unknown == 1


def test_noise_round_the_answer_is_counted() -> None:
    """A login shell's greeting does not spoil it, nor do line ends of another world."""
    read = read_answer(b"Welcome!\r\n" + answer("cpus=2").replace(b"\n", b"\r\n") + b"bye\r\n")
    assert (read.traits, read.unknown) == ({"hardware.cpus": 2}, 2)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"host-traits 1\ncpus=2\n", b"cpus=2\nend\n", b"end\nhost-traits 1\n", b"host-traits 2\ncpus=2\nend\n",
        b"host-traits 1\n" + b"a\n" * LINES_MAX + b"end\n", b"host-traits 1\n" + b"a" * ANSWER_BYTES_MAX + b"end\n",
    ],
    ids=lambda data: str(data[:20]),
)  # fmt: skip
def test_an_answer_that_is_not_whole_gives_nothing(data: bytes) -> None:
    """A cut one, another version, or far too much."""
    with pytest.raises(ValueError, match=r"^it (is|has) "):
        read_answer(data)


_LINES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([line.encode() for line in DEBIAN.splitlines()]),
        st.tuples(st.sampled_from(sorted({line.split("=")[0] for line in DEBIAN.splitlines()} | {"site.a", "failed.a"})), st.binary(max_size=60)).map(
            lambda pair: pair[0].encode() + b"=" + pair[1]
        ),
    ),
    max_size=30,
)  # fmt: skip


@given(_LINES)
def test_a_hostile_host_sets_no_other_traits(lines: list[bytes]) -> None:
    """Whatever it prints: known traits of their kind, those of the script that was sent, nothing that drives a terminal."""
    try:
        read = read_answer(b"host-traits 1\n" + b"\n".join(lines) + b"\nend\n", ["a"])
    except ValueError:
        return
    for path, value in read.traits.items():
        assert path.startswith("a.") or isinstance(value, KNOWN[path])
        for item in value if isinstance(value, tuple) else (value,):
            assert not isinstance(item, str) or (item.isprintable() and 0 < len(item) <= TEXT_MAX)
    assert all(re.fullmatch(r"exit [0-9]{1,3}|it printed too much", fault) for _, fault in read.failed)


@given(st.binary(max_size=400))
def test_any_bytes_are_an_answer_or_a_fault(data: bytes) -> None:
    """Never another error."""
    with suppress(ValueError):
        assert isinstance(read_answer(data, ["a"]), Answer)


# --- the script


def test_neither_guard_finds_anything_in_the_script() -> None:
    """It passes them like any command: what it does is there to be read, and nothing in it acts."""
    assert review([script()]) is None
    assert review([script([SiteScript("raid", "grep -c '^md' /proc/mdstat | sed 's/^/arrays=/'")])]) is None


def test_a_site_script_that_acts_is_found_inside_the_whole() -> None:
    """It travels as a quoted word, and the guard reads what a shell would."""
    finding = review([script([SiteScript("raid", "systemctl stop vigo")])])
    assert finding is not None
    assert finding.layer == "hard"


def test_the_script_names_itself_in_its_first_line() -> None:
    """That is what a list of tasks shows of it."""
    assert script().splitlines()[0] == "# vigo traits gather"


@pytest.mark.parametrize("name", ["os", "network", "uptime_s", "Raid", "a b", "", "ä", "-a", "a" * 33, "a.b"])
def test_a_site_script_needs_a_name_of_its_own(name: str) -> None:
    """One that makes a path of traits, and is none of vigo's."""
    with pytest.raises(ConfigError, match=r"^traits\.d/x\.sh: .*;"):
        read_site(name, b"echo a=1", "traits.d/x.sh")


@pytest.mark.parametrize("data", [b"", b" \n", b"a\0b", b"\xff", b"#" * (SITE_BYTES_MAX + 1)])
def test_a_site_script_is_a_short_text(data: bytes) -> None:
    """Empty ones, binaries and long ones are refused by name."""
    with pytest.raises(ConfigError, match=r"^x\.sh: "):
        read_site("x", data, "x.sh")
    assert read_site("x", b"echo a=1\n", "x.sh") == SiteScript("x", "echo a=1\n")
