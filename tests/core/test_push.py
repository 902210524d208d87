"""What is pushed and where it may go, decided before anything connects."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigo.core import binding
from vigo.core.chain import canonical
from vigo.core.errors import UsageError
from vigo.core.events import TaskDispatched
from vigo.core.gate import GatePolicy
from vigo.core.guard import FileOrder, Placement, Refusal, Text, clear, review
from vigo.core.model import Host
from vigo.core.payload import from_payload, to_payload
from vigo.core.plan import Policy
from vigo.core.push import (
    NAME_BYTES_MAX,
    PATH_BYTES_MAX,
    SIZE_BYTES_MAX,
    Push,
    check_path,
    check_size,
    join,
    parse_mode,
    permissions,
    read_remote,
    split,
)
from vigo.core.texts import texts_digest

SHA = "ab" * 32
WEB = Host("web-01", "u1", address="10.0.0.1", traits={"app.dir": "/opt/app", "zones": ("a", "b")})
DB = Host("db-01", "u2")


def push(remote: str, *, replaces: bool = True, verifies: bool = False) -> Push:
    """Return a file of 1,234 bytes on its way to `remote`."""
    return Push("app.conf", "/home/anna/app.conf", remote, 0o640, 1_234, SHA, replaces, verifies)


def placed(remote: str, host: Host = WEB) -> Placement:
    """Return where the file goes on one host."""
    act = binding.act(binding.file(push(remote), None), host)
    assert isinstance(act, Placement)
    return act


# --- REMOTE


@pytest.mark.parametrize(
    ("remote", "path"),
    [
        ("/etc/app.conf", "/etc/app.conf"),
        ("app.conf.new", "app.conf.new"),
        ("/etc/", "/etc/local"),
        ("/", "/local"),
        ("./", "./local"),
        ("conf/", "conf/local"),
        ("~/", "./local"),
        ("~//", "./local"),
        ("~/conf/x", "conf/x"),
        ("~//conf/x", "conf/x"),
        ("./~x", "./~x"),
        ("/srv/../etc/x", "/srv/../etc/x"),
        ("/etc/it's here", "/etc/it's here"),
    ],
)
def test_a_place_is_read_as_it_stands(remote: str, path: str) -> None:
    """A slash at the end takes the local name; `~/` is the login's home, and nothing else is guessed."""
    assert read_remote(remote, "local") == path


@pytest.mark.parametrize(
    ("remote", "words"),
    [
        ("", "is empty"),
        (".", "is a directory; end it with /"),
        ("..", "is a directory"),
        ("/etc/..", "is a directory"),
        ("~", "write ~/ to put"),
        ("~anna/x", "only the login's own home"),
        ("~anna", "only the login's own home"),
        ("/etc/a\nb", "control character at offset 6"),
        ("/etc/a\0b", "control character"),
        ("/etc/\udcff", "control character"),
        ("/" + "n" * (NAME_BYTES_MAX + 1), "too long"),
        ("/" + "é" * 128, "too long"),
        ("/ab" * (PATH_BYTES_MAX // 3 + 1), "too long"),
    ],
)
def test_what_cannot_be_a_files_place_is_refused_with_the_way_out(remote: str, words: str) -> None:
    """Before anything connects, with exit 2."""
    with pytest.raises(UsageError, match=words):
        read_remote(remote, "local")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12), st.just("name"))
def test_a_place_that_is_taken_names_a_file(remote: str, name: str) -> None:
    """Whatever was typed: what comes out has a file's name at its end, and joins again from its parts."""
    try:
        path = read_remote(remote, name)
    except UsageError:
        return
    directory, last = split(path)
    assert last not in {"", ".", ".."}
    assert "/" not in last
    assert directory
    check_path(path)


def test_a_path_comes_apart_and_together() -> None:
    """The root and the login's home are directories like any other."""
    assert [split(path) for path in ("/x", "x", "/etc/x", "a/b/x")] == [
        ("/", "x"),
        (".", "x"),
        ("/etc", "x"),
        ("a/b", "x"),
    ]
    assert [join(*parts) for parts in (("/", "x"), (".", "x"), ("/etc", "x"))] == ["/x", "./x", "/etc/x"]


# --- mode and size


def test_modes_are_octal_permissions() -> None:
    """Three digits, or four with a zero before them."""
    assert [parse_mode(text) for text in ("644", "0644", "000", "0777")] == [0o644, 0o644, 0, 0o777]


@pytest.mark.parametrize(
    ("text", "words"), [("4755", "setuid"), ("1777", "sticky"), ("u+x", "octal"), ("888", "octal"), ("", "octal")]
)
def test_other_modes_are_refused(text: str, words: str) -> None:
    """Symbols need a mode to start from, and setuid is no permission."""
    with pytest.raises(UsageError, match=f"--mode: .*{words}"):
        parse_mode(text)


def test_the_local_mode_travels_without_its_powers() -> None:
    """setuid, setgid, sticky and the file's type stay here."""
    assert permissions(0o107755) == 0o755


def test_a_file_may_be_as_large_as_the_bound() -> None:
    """And not a byte more."""
    check_size(SIZE_BYTES_MAX, "f")
    with pytest.raises(UsageError, match="have the hosts fetch it"):
        check_size(SIZE_BYTES_MAX + 1, "f")


# --- what is recorded, shown and judged


def test_one_line_says_what_is_done() -> None:
    """The file, its place, its mode, its digest, its size, and the rules that were asked for."""
    line = f"push app.conf -> /etc/x mode 0640 sha256:{SHA} 1,234 bytes"
    assert push("/etc/x").shown == line
    assert push("/etc/x", replaces=False, verifies=True).shown == f"{line}, new files only, read back"
    assert placed("/etc/x").wire == line


def test_a_push_survives_the_journal_and_comes_back_as_a_push() -> None:
    """Never as a shell command of the same words."""
    opening = TaskDispatched("anna", push("/etc/x").shown, "all", (("web-01",),), push=push("/etc/x"))
    again = from_payload(opening.kind, json.loads(canonical(to_payload(opening))))
    assert again == opening
    bound = binding.from_record(opening, {})
    assert binding.act(bound, WEB) == placed("/etc/x")
    with pytest.raises(ValueError, match="is no command"):
        binding.render(bound, WEB)


def test_a_record_without_a_push_is_a_command() -> None:
    """Also one that an older vigo wrote, which knew no such field."""
    opening = TaskDispatched("anna", "uptime", "all", (("web-01",),))
    assert "push" not in to_payload(opening)
    assert binding.act(binding.from_record(opening, {}), WEB) == Text("uptime")


def test_a_health_check_beside_a_push_is_a_command() -> None:
    """What is asked after the file is there runs in a shell, and so does what takes it back."""
    policy = Policy(gate=GatePolicy(command="test -s /etc/x"))
    opening = TaskDispatched("anna", "push …", "all", (("web-01",),), policy, push=push("/etc/x"))
    check = binding.check_from_record(opening, {})
    assert check is not None
    assert binding.render(check, WEB) == Text("test -s /etc/x")
    back = binding.rollback_command("mv /etc/x.old /etc/x", binding.from_record(opening, {}))
    assert binding.render(back, WEB) == Text("mv /etc/x.old /etc/x")


def test_places_may_differ_from_host_to_host() -> None:
    """With `--expand`, and only then: without it, braces are part of the name."""
    bound = binding.file(push("{{ trait.app.dir }}/{{ host }}@{{address}}"), None, expand=True)
    act = binding.act(bound, WEB)
    assert isinstance(act, Placement)
    assert act.path == "/opt/app/web-01@10.0.0.1"
    assert bound.shown == push("{{ trait.app.dir }}/{{ host }}@{{address}}").shown
    assert placed("{{ host }}").path == "{{ host }}"


def test_a_placeholder_that_cannot_be_filled_is_refused() -> None:
    """What no host knows when it is read, what this one lacks when it is its turn, and what makes no path of it."""
    with pytest.raises(UsageError, match="param"):
        binding.file(push("/etc/{{ param }}"), None, expand=True)
    bound = binding.file(push("{{ trait.app.dir }}/x"), None, expand=True)
    with pytest.raises(UsageError, match=r"db-01 has no trait app\.dir"):
        binding.act(bound, DB)
    with pytest.raises(UsageError, match="is a directory"):
        binding.act(binding.file(push("{{ trait.d }}"), None, expand=True), Host("h", "u", traits={"d": "/etc/.."}))


# --- the guards


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/srv/vigo/x", "> /srv/vigo/x"),
        ("/tmp/../srv/./vigo//deep/x", "> /srv/vigo/deep/x"),
        ("../../srv/vigo/x", "> /srv/vigo/x"),
        ("/srv/vigo", "> /srv/vigo"),
        ("/etc/vigo/it's", "> /etc/vigo/it's"),
        ("/etc/systemd/system/vigo.service", "> /etc/systemd/system/vigo.service"),
        ("/lib/systemd/system/vigo.service", "> /usr/lib/systemd/system/vigo.service"),
        ("/usr/local/sbin/vigo", "> /usr/local/sbin/vigo"),
        ("/etc/passwd", "> /etc/passwd"),
        ("/etc/sudoers", "> /etc/sudoers"),
        ("/proc/self/root/etc/shadow", "> /etc/shadow"),
    ],
)
def test_both_guards_refuse_a_protected_place(path: str, pattern: str) -> None:
    """In the same words, whatever the way there is written like."""
    refusal = clear(WEB, placed(path))
    assert isinstance(refusal, Refusal)
    finding = review([placed(path).judged])
    assert finding is not None
    assert (refusal.finding.pattern, finding.pattern) == (pattern, pattern)


@pytest.mark.parametrize("path", [".ssh/authorized_keys", "/root/.ssh/authorized_keys", "/dev/sda"])
def test_some_places_are_a_matter_of_force(path: str) -> None:
    """The dispatch guard finds them, the hard guard does not."""
    assert review([placed(path).judged]) is not None
    assert isinstance(clear(WEB, placed(path)), FileOrder)


@pytest.mark.parametrize("path", ["/etc/nginx/nginx.conf", "app.conf", "/srv/vigo.bak", "/etc/a;rm -rf x", "$(reboot)"])
def test_other_places_are_nobodys_business(path: str) -> None:
    """A path is a path: no shell reads what is in it."""
    assert review([placed(path).judged]) is None
    assert isinstance(clear(WEB, placed(path)), FileOrder)


def test_a_cleared_file_is_judged_again_where_it_really_goes() -> None:
    """A relative path, or one through a link, is known only on the host; the answer may be a refusal there."""
    order = clear(WEB, placed("link/x"))
    assert isinstance(order, FileOrder)
    moved = order.at("/home/anna/link/x")
    assert isinstance(moved, FileOrder)
    assert (moved.file.path, moved.file.sha256, moved.host) == ("/home/anna/link/x", SHA, WEB)
    refusal = order.at("/srv/vigo/x")
    assert isinstance(refusal, Refusal)
    assert isinstance(order.at("/srv/vigo/\udcff"), Refusal)


def test_a_file_order_is_made_by_the_hard_guard_and_by_nothing_else() -> None:
    """Nobody can make one by hand."""
    with pytest.raises(TypeError, match=r"vigo\.core\.guard\.clear"):
        FileOrder(object(), WEB, placed("/srv/vigo/x"))


def test_a_placement_is_shown_and_counted_as_it_is_written() -> None:
    """It has no data beside its line."""
    placement = Placement("put a /etc/x", "/etc/x", 0o644, 1, "ab" * 32)
    assert placement.shown == "put a /etc/x"
    assert texts_digest({"web-01": placement}) != texts_digest({"web-02": placement})
