"""What stands in for flags that are not given, and where it was said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Vigo
from vigo.adapters.config_yaml import project_file, read_config
from vigo.cli import settings
from vigo.core.errors import ConfigError

INVENTORY = """\
hosts:
  web-01: {}
tasks:
  slow: {command: uptime, fanout: 7}
"""


@pytest.fixture
def fleet(vigo: Vigo) -> Vigo:
    """Return the program with one host, and an empty folder of configuration."""
    (vigo.home / "config").mkdir()
    (vigo.home / "inventory.yaml").write_text(INVENTORY)
    return Vigo(vigo.home, {"VIGO_INVENTORY": "inventory.yaml"})


def _origins(vigo: Vigo) -> dict[str, tuple[str, str]]:
    shown = vigo("config", "show", "-o", "json")
    assert shown.code == 0, shown.err
    return {row["key"]: (row["value"], row["origin"]) for row in shown.json()["settings"]}


def test_each_place_wins_over_those_behind_it_and_tells_its_line(fleet: Vigo) -> None:
    """Variable over project over user over default; a variable that is empty says nothing."""
    (fleet.home / "config/config.yaml").write_text("fanout: 5\nnice: 3\noperator: ops\n")
    (fleet.home / "vigo.yaml").write_text("# ours\nnice: 4\noperator: deploy\n")
    shown = _origins(Vigo(fleet.home, {"VIGO_OPERATOR": "root", "VIGO_FANOUT": ""}))
    assert shown["fanout"] == ("5", f"{fleet.home}/config/config.yaml:1")
    assert shown["nice"] == ("4", f"{fleet.home}/vigo.yaml:2")
    assert shown["operator"] == ("root", "VIGO_OPERATOR")
    assert shown["timeout"] == ("60", "default")


def test_a_flag_wins_and_the_plan_tells_what_holds(fleet: Vigo) -> None:
    """The dry run records the fan-out that was configured, unless a flag says another."""
    (fleet.home / "vigo.yaml").write_text("fanout: 5\n")
    plan = ("task", "run", "uptime", "--target", "all", "--dry-run", "--no-probe")
    assert "at most 5 hosts at once" in fleet(*plan).err
    assert "at most 6 hosts at once" in fleet(*plan, VIGO_FANOUT="6").err
    assert "at most 9 hosts at once" in fleet(*plan, "--fanout", "9", VIGO_FANOUT="6").err


def test_a_named_task_knows_better_than_what_is_configured(fleet: Vigo) -> None:
    """Configuration is a default; what the task says of itself was meant for the task, and only a flag beats it."""
    plan = ("task", "run", "slow", "--target", "all", "--dry-run", "--no-probe")
    assert "at most 7 hosts at once" in fleet(*plan, VIGO_FANOUT="6").err
    assert "at most 9 hosts at once" in fleet(*plan, "--fanout", "9", VIGO_FANOUT="6").err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fanuot: 5", "vigo.yaml:1:1: fanuot: unknown key; did you mean 'fanout'?"),
        ("fanout: many", "vigo.yaml:1:9: fanout: 'many' is no whole number; change it or leave it out"),
        ("exclusive: 1", "vigo.yaml:1:12: exclusive: is a number, must be true or false; change it"),
        ("output: html", "output: 'html' is not one of text, json"),
        ("timeout: soon", "vigo.yaml:1:10: timeout: "),
        ("force: true", "force: cannot be configured: a guard is passed for one run"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(fleet: Vigo, line: str, message: str) -> None:
    """Nothing is passed over in silence, and no run begins."""
    (fleet.home / "vigo.yaml").write_text(f"{line}\n")
    refused = fleet("config", "show")
    assert refused.code == 5
    assert message in refused.err


def test_a_variable_that_cannot_be_used_is_named(fleet: Vigo) -> None:
    """The operator gave no flag, and is told of none."""
    refused = fleet("task", "list", VIGO_FANOUT="many")
    assert refused.code == 5
    assert refused.err == "error: VIGO_FANOUT: 'many' is no whole number; set it to another value or unset it\n"
    assert fleet("task", "list", "--help", VIGO_FANOUT="many").code == 0


def test_a_file_that_everybody_could_have_written_is_refused(tmp_path: Path) -> None:
    """By its own mode, and by that of its folder."""
    file = tmp_path / "vigo.yaml"
    file.write_text("fanout: 5\n")
    assert read_config(file) is not None
    file.chmod(0o646)
    with pytest.raises(ConfigError, match=r"vigo.yaml: can be written by everybody \(mode 0646\); look through it"):
        read_config(file)
    file.chmod(0o644)
    tmp_path.chmod(0o1777)
    with pytest.raises(ConfigError, match=r"can be written by everybody \(mode 1777\); move vigo.yaml into a folder"):
        read_config(file)


@pytest.mark.sshd
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    """Whoever owns it could change it at any time."""
    file = tmp_path / "vigo.yaml"
    file.write_text("fanout: 5\n")
    os.chown(file, 4242, -1)
    with pytest.raises(ConfigError, match=r"belongs to uid 4242, vigo runs as uid 0; work in a folder of your own"):
        read_config(file)


def test_the_search_ends_where_the_project_ends(tmp_path: Path) -> None:
    """A folder with `.git` and the home are the last that are looked into."""
    below = tmp_path / "project/deep/deeper"
    below.mkdir(parents=True)
    (tmp_path / "vigo.yaml").write_text("fanout: 5\n")
    assert project_file(below, None) == tmp_path / "vigo.yaml"
    assert project_file(below, tmp_path) == tmp_path / "vigo.yaml"
    assert project_file(below, tmp_path / "project") is None
    (tmp_path / "project/.git").mkdir()
    assert project_file(below, None) is None


def test_every_flag_of_a_run_has_a_key_or_a_reason() -> None:
    """A new flag gets both by itself, unless it is a guard, a secret or what one run is for."""
    keys = settings.configurable()
    assert {"fanout", "timeout", "batch_size", "max_failures", "view", "output", "inventory"} <= keys.keys()
    for key, option in settings.run_options().items():
        assert (key in keys) != (settings.why_not(key) is not None), f"{key} ({option.opts}) is repeatable: say why not"
    assert {"force", "confirm", "ask_password", "password_file", "param", "target"}.isdisjoint(keys)
    assert settings.why_not("sudo_password_file")
