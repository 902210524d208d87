"""Gathered traits on disk: private, whole, of one inventory, and never quietly gone."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigo.adapters.locks import held
from vigo.adapters.trait_store import TraitStore
from vigo.core.errors import ConfigError, JournalError
from vigo.core.inventory import Gathered
from vigo.core.model import Host, TraitValue

AT = "2026-03-13T12:30:01.042Z"
HOSTS = [Host("Web-01", "u1"), Host("web-02", "u2"), Host("db-01", "u3")]


def known(value: TraitValue = "debian", at: str = AT) -> Gathered:
    """Return something gathered."""
    return Gathered({"os.distro": value}, at, "t1a2b3c4")


@pytest.fixture
def store(tmp_path: Path) -> TraitStore:
    """Return the traits of an inventory that is there, in a data folder that is not there yet."""
    (tmp_path / "hosts.yaml").touch()
    return TraitStore(tmp_path / "data", tmp_path / "hosts.yaml")


def test_nothing_is_known_at_first_and_nothing_is_made(store: TraitStore, tmp_path: Path) -> None:
    """Looking leaves no trace."""
    assert store.load(HOSTS) == {}
    assert not (tmp_path / "data").exists()


@settings(max_examples=25)
@given(
    st.dictionaries(
        st.text(min_size=1),
        st.one_of(st.text(), st.integers(), st.booleans(), st.lists(st.text() | st.integers()).map(tuple)),
    )
)
def test_what_is_kept_is_what_is_found(tmp_path_factory: pytest.TempPathFactory, values: dict[str, TraitValue]) -> None:
    """Every value, with its type, by the host's own name."""
    folder = tmp_path_factory.mktemp("traits")
    store = TraitStore(folder / "data", folder)
    seen = Gathered(values, AT, "t1a2b3c4")
    store.keep(HOSTS, {"Web-01": seen})
    found = TraitStore(folder / "data", folder).load(HOSTS)
    assert found == {"Web-01": seen}
    assert {path: type(value) for path, value in found["Web-01"].values.items()} == {
        p: type(v) for p, v in values.items()
    }


def test_it_is_for_its_owner_alone(store: TraitStore) -> None:
    """0600 in folders of 0700, whatever the umask is."""
    before = os.umask(0)
    try:
        store.keep(HOSTS, {"Web-01": known()})
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (store.path, store.path.parent, store.path.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


def test_a_later_gathering_replaces_what_it_asked_and_leaves_the_rest(store: TraitStore) -> None:
    """A host that was not reached keeps what it had."""
    store.keep(HOSTS, {"Web-01": known(), "db-01": known()})
    store.keep(HOSTS, {"Web-01": known("ubuntu", "2026-03-14T00:00:00.000Z"), "not-ours": known()})
    assert store.load(HOSTS) == {"Web-01": known("ubuntu", "2026-03-14T00:00:00.000Z"), "db-01": known()}


def test_a_host_that_left_or_became_another_is_forgotten(store: TraitStore) -> None:
    """By name and UUID, ignoring the name's case: at the next gathering nothing of it is left."""
    store.keep(HOSTS, {host.name: known() for host in HOSTS})
    changed = [Host("WEB-01", "u1"), Host("web-02", "another")]
    assert store.load(changed) == {"WEB-01": known()}
    store.keep(changed, {})
    assert [json.loads(line).get("name") for line in store.path.read_text().splitlines()] == [None, "web-01"]


def test_inventories_do_not_mix(tmp_path: Path) -> None:
    """Hosts of the same name in two inventories are two machines; what an inventory that is gone knew goes too."""
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).touch()
    a, b = (TraitStore(tmp_path / "data", tmp_path / name) for name in ("a.yaml", "b.yaml"))
    a.keep(HOSTS, {"web-02": known("a")})
    b.keep(HOSTS, {"web-02": known("b")})
    assert (a.load(HOSTS)["web-02"], b.load(HOSTS)["web-02"]) == (known("a"), known("b"))
    (tmp_path / "a.yaml").unlink()
    b.keep(HOSTS, {})
    assert (a.path.exists(), b.path.exists()) == (False, True)


def test_gatherings_at_the_same_time_lose_nothing(store: TraitStore) -> None:
    """Each reads and replaces under the lock."""
    hosts = [Host(f"h{at}", f"u{at}") for at in range(24)]
    inventory = store.path.parent.parent.parent / "hosts.yaml"
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda host: TraitStore(store.path.parent.parent, inventory).keep(hosts, {host.name: known()}), hosts
            )
        )
    assert store.load(hosts) == {host.name: known() for host in hosts}


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{}\n", b"\xff\n", b'{"schema":2}\n', b"[" * 100_000,
        b"HEAD\n{\n", b"HEAD\n[]\n", b'HEAD\n{"name":"web-02"}\n',
        b'HEAD\n{"name":"web-02","uuid":"u2","at":"yesterday","task":"t","traits":{}}\n',
        b'HEAD\n{"name":"web-02","uuid":"u2","at":"2026-03-13T12:30:01.042Z","task":"t","traits":{"a":1.5}}\n',
    ],
)  # fmt: skip
def test_a_damaged_file_is_an_error_with_a_way_out(store: TraitStore, damage: bytes) -> None:
    """Never "no traits": a target with `not` would mean other hosts. Removed, the next gathering makes a new one."""
    store.keep(HOSTS, {"web-02": known()})
    head = store.path.read_bytes().split(b"\n")[0]
    store.path.write_bytes(damage.replace(b"HEAD", head))
    for act in (lambda: store.load(HOSTS), lambda: store.keep(HOSTS, {})):
        with pytest.raises(ConfigError, match=r"cannot be read .*; remove the file and run `vigo traits gather`"):
            act()
    store.path.unlink()
    store.keep(HOSTS, {"web-02": known()})
    assert store.load(HOSTS) == {"web-02": known()}


def test_a_planted_file_is_not_read(store: TraitStore, tmp_path: Path) -> None:
    """Neither a link, nor a FIFO, nor what others can write."""
    store.keep(HOSTS, {"web-02": known()})
    store.path.chmod(0o666)
    with pytest.raises(ConfigError, match="yours alone"):
        store.load(HOSTS)
    kept = store.path.rename(tmp_path / "kept")
    store.path.symlink_to(kept)
    with pytest.raises(ConfigError, match="cannot be read"):
        store.load(HOSTS)
    store.path.unlink()
    os.mkfifo(store.path)
    with pytest.raises(ConfigError, match="plain file"):
        store.load(HOSTS)


def test_where_nothing_can_be_written_the_old_ones_stay(
    store: TraitStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk or a lock that is held is said, and no half-written file takes a good one's place."""
    store.keep(HOSTS, {"web-02": known()})
    monkeypatch.setattr("vigo.adapters.trait_store._LOCK_WAIT_MS", 50)
    with held(store.path.parent / "lock", 0), pytest.raises(JournalError, match="held by another process"):
        store.keep(HOSTS, {})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vigo.adapters.trait_store.os.fsync", full)
    with pytest.raises(JournalError, match="cannot be kept: No space left on device"):
        store.keep(HOSTS, {"web-02": known("ubuntu")})
    assert store.load(HOSTS) == {"web-02": known()}
    assert sorted(path.name for path in store.path.parent.iterdir()) == sorted(["lock", store.path.name])
    assert list(tmp_path.glob("data/*.new")) == []
