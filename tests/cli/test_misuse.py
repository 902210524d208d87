"""What the command line's parser refuses, in vigo's words: the thing, the reason, the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer._click.exceptions import ClickException

from vigo.cli.app import app
from vigo.cli.misuse import is_help, said

RUN = "`vigo task run`"


def refused(*args: str) -> ClickException:
    """Return what the parser makes of a command line that nobody should type."""
    with pytest.raises(ClickException) as caught:
        typer.main.get_command(app).main(list(args), prog_name="vigo", standalone_mode=False)
    return caught.value


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("task run x --targt y", f"--targt: {RUN} has no such flag; did you mean --target or --target-file?"),
        ("task run x --zzz=1", f"--zzz: {RUN} has no such flag; `vigo task run -h` lists its flags"),
        ("task run x -x", f"-x: {RUN} has no such flag; `vigo task run -h` lists its flags"),
        ("--versio", "--versio: `vigo` has no such flag; did you mean --version?"),
        ("tsk", "'tsk': `vigo` has no such command; did you mean `vigo task`?"),
        ("rerun t1", "'rerun': `vigo` has no such command; did you mean `vigo task rerun`?"),
        ("task rn", "'rn': `vigo task` has no such command; did you mean `vigo task run`?"),
        ("task import", "'import': `vigo task` has no such command; did you mean `vigo task report`?"),
        ("inventory import zzz", "'zzz': `vigo inventory import` has no such command; `vigo inventory import -h` lists them"),
        ("task run x --view hots", "--view: 'hots' is none of hosts, stream, gather, summary; did you mean hosts?"),
        ("task list -o zzz", "--output: 'zzz' is none of text, json, jsonl, tsv; use one of them"),
        ("completion fsh", "SHELL: 'fsh' is none of bash, zsh, fish; did you mean fish or zsh?"),
        ("lab health upp", "STATE: 'upp' is none of up, down; did you mean up?"),
        ("task run x --fanout x", "--fanout: 'x' is not a whole number; change it"),
        ("lab up --hosts 0", "--hosts: '0' is not a whole number from 1 to 20000; change it"),
        ("task list --limit 0", "--limit: '0' is not a whole number of at least 1; change it"),
        ("task run x --nice", "--nice: has no value; write --nice VALUE"),
        ("task run x --force=1", "--force: takes no value; leave out what stands behind ="),
        ("task report", "--html: is missing; `vigo task report -h` shows how it is given"),
        ("lab break web-01", "refuse|hang|slow|exit:N: is missing; `vigo lab break -h` shows how it is given"),
        ("task list y z", "'y z': is more than `vigo task list` takes; quote what is one word, and see `vigo task list -h`"),
    ],
)  # fmt: skip
def test_what_the_parser_refuses_is_said_in_our_words(
    line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, the nearest words where one is misspelt, exit 2; no usage text of typer's before it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIGO_CONFIG_DIR", str(tmp_path))
    error = refused(*line.split())
    assert said(error) == message
    assert getattr(error, "exit_code", None) == 2
    assert not is_help(error)


def test_a_long_word_is_cut() -> None:
    """Whoever pastes a file gets a line, not the file."""
    assert len(said(refused("x" * 100_000))) < 200


def test_a_group_without_a_command_shows_its_help() -> None:
    """Nothing is misspelt there."""
    assert is_help(refused("task"))
