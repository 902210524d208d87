"""A site's own patterns: which are refused when they are read, and which commands meet one."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vigo.core.guard.commands import commands
from vigo.core.guard.patterns import Pattern, PatternError, may_be
from vigo.core.guard.words import ANY, BRACKET, HOLE, STAR


def found(pattern: str, command: str) -> str | None:
    """Return the part of the command that meets the pattern."""
    span = Pattern.read(pattern).find(commands(command), command)
    return None if span is None else command[slice(*span)]


@pytest.mark.parametrize(
    ("pattern", "command"),
    [
        ("systemctl stop postgresql", "systemctl stop postgresql"),
        ("systemctl stop postgresql", "sudo -n /usr/bin/systemctl --now stop nginx postgresql.service"),
        ("systemctl stop postgresql", "systemctl stop postgresql@14-main"),
        ("systemctl stop postgresql", "systemctl stop 'postgres*'"),
        ("systemctl stop postgresql.service", "systemctl stop postgresql"),
        ("systemctl stop postgresql", "u=postgresql; systemctl stop $u"),
        ("systemctl stop postgresql", "systemctl stop postgres$x"),
        ("systemctl stop postgresql", "ls | xargs -I{} sh -c 'systemctl stop postgresql'"),
        ("systemctl stop postgresql", "if true; then echo c3lzdGVtY3RsIHN0b3AgcG9zdGdyZXNxbA== | base64 -d | sh; fi"),
        ("systemctl stop postgresql", "reboot; systemctl stop postgresql"),
        ("systemctl stop postgresql", "systemctl stop vigo; systemctl stop postgresql"),
        ("systemctl * postgresql", "systemctl disable postgresql"),
        ("mkfs*", "mkfs.ext4 /dev/sdb1"),
        ("deploy prod", 'f() { deploy "$1"; }; f prod'),
        ("deploy prod", "deploy --now --to prod"),
        ("deploy pr?d", "deploy prod"),
        ("*", "$x y"),
        ("* prod", "whatever prod"),
        ("rm -rf /data", "rm -fr /data"),
        ("rm -rf /data", "rm -r -v -f /data"),
        ("rm -f /data", "rm -vf /data"),
        ("rm /data", "cd / && rm -rf ./x/../data/"),
        ("rm /data", "rm -rf /data/*"),
        ("rm /data", "rm -rf /data/$x"),
        ("rm /srv/app/data", "rm -rf /srv/app"),
        ("rm /srv/app/data", "rm --recursive /srv"),
        ("mv /srv/app/data", "mv /srv/app /tmp"),
        ("rm /data/*", "rm /data/a/b"),
        ("rm /data/*", "rm -r /data"),
        ("dd /dev/sd?", "dd if=/dev/zero of=/dev/sdb"),
        ("dd of=/dev/sd*", "dd if=/dev/zero of=/dev/sdb bs=1M"),
        ("rm /srv/shop/db", "rm /srv/sh*/db"),
        ("rm /srv/shop/db", "rm /srv/sho[a-p]/db"),
        ("rm /srv/shop/db", "rm /srv/sho?/db"),
        ("> /etc/motd", "echo hello > /etc/motd"),
        ("> /etc/motd", "cd /etc; echo hello | sudo sh -c 'cat > motd'"),
        (">> /etc/motd", "echo hello >> /etc/motd"),
        ("/opt/shop/bin/migrate", "sudo /opt/shop/bin/migrate --all"),
        ("/opt/shop/bin/migrate", "cd /opt/shop && bin/migrate"),
        ("strace -p", "strace -p 4711"),
        ("flock /var/lock/app", "flock /var/lock/app true"),
    ],
)
def test_a_command_meets_a_pattern_however_it_is_written(pattern: str, command: str) -> None:
    """Wrappers, quotes, variables, functions, directories and globs hide nothing that is known."""
    assert found(pattern, command)


@pytest.mark.parametrize(
    ("pattern", "command"),
    [
        ("systemctl stop postgresql", "systemctl restart postgresql"),
        ("systemctl stop postgresql", "echo systemctl stop postgresql"),
        ("systemctl stop postgresql", "grep -r 'systemctl stop postgresql' /etc"),
        ("systemctl stop postgresql", "systemctl stop $x"),
        ("systemctl stop postgresql", "systemctl stop p$x"),
        ("systemctl stop postgresql", "systemctl stop postgresql-exporter"),
        ("systemctl stop postgresql@14", "systemctl stop postgresql@15"),
        ("deploy prod", "deploy --to prod.old"),
        ("deploy prod.service", "deploy prod"),
        ("deploy prod", "deploy; echo prod"),
        ("deploy prod", "deploy() { echo; }; deploy prod"),
        ("deploy prod", "$x prod"),
        ("rm -rf /data", "rm -f /data"),
        ("rm -rf /data", "rm /data"),
        ("rm /data", "rm -rf /data.old"),
        ("rm /data", "rm /data/x"),
        ("rm /data", "rm -rf /data-*"),
        ("rm /srv/app/data", "rm /srv/app"),
        ("rm /srv/app/data", "rm -rf /srv/other"),
        ("rm data", "rm /data/data2"),
        ("> /etc/motd", "echo hello >> /etc/motd"),
        ("> /etc/motd", "cat /etc/motd"),
        ("/opt/shop/bin/migrate", "migrate"),
        ("/opt/shop/bin/migrate", "/usr/bin/migrate"),
        ("reboot", "echo 'unclosed"),
    ],
)
def test_near_relations_do_not_meet_it(pattern: str, command: str) -> None:
    """Text that is data, other words, and what is wholly unknown are no findings."""
    assert found(pattern, command) is None


def test_the_words_that_met_it_are_pointed_at() -> None:
    """From the command to the last word that decided it."""
    assert (
        found("systemctl stop postgresql", "true; sudo systemctl stop postgresql; true") == "systemctl stop postgresql"
    )


@pytest.mark.parametrize("command", ["echo 'unclosed; deploy prod", "true " + "$(" * 50 + "; /usr/bin/deploy"])
def test_in_a_text_that_cannot_be_read_the_name_alone_is_enough(command: str) -> None:
    """What cannot be read must not pass for harmless."""
    assert found("/usr/bin/deploy prod", command) == "deploy"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has 0 words; write 1-16"),
        (" ".join("a" * 17), "has 17 words"),
        ("a" * 257, "is longer than 256 characters"),
        ("systemctl stop 'a'", "never stands in a resolved command"),
        ("a; b", "';' never stands"),
        ("a | b", "'|' never stands"),
        ("rm $x", "'$' never stands"),
        ("a > b", "'>' never stands"),
        ("rm ~/x", "'~' never stands"),
        ("rm a[12]", "'[' never stands"),
        ("a \u200b", "cannot be shown"),
        ("a \ue000", "cannot be shown"),
        ("sudo reboot", "'sudo' only runs another command; begin with that command"),
    ],
)
def test_a_pattern_that_could_never_match_is_refused(text: str, reason: str) -> None:
    """A rule that silently does nothing is worse than none."""
    with pytest.raises(PatternError, match=re.escape(reason)):
        Pattern.read(text)


@given(st.text("ab*?", min_size=1, max_size=8), st.text("ab", max_size=10))
@example("*a*b", "aab")
def test_a_known_word_is_matched_as_a_glob(wanted: str, text: str) -> None:
    """With nothing unknown in it, the meaning is the shell's own."""
    assert may_be(wanted, text) == fnmatchcase(text, wanted)


@given(st.text("ab*?", min_size=1, max_size=6), st.text("ab", min_size=2, max_size=4), st.text("ab", max_size=5))
def test_an_open_word_may_be_whatever_it_can_become(wanted: str, known: str, rest: str) -> None:
    """If some filling matches, the open word may be it."""
    if fnmatchcase(known + rest, wanted):
        assert may_be(wanted, known + HOLE)
        assert may_be(wanted, known + STAR)
        assert may_be(wanted, known + ANY * len(rest))
        assert may_be(wanted, known + f"{BRACKET}ab]" * len(rest))


def test_a_long_word_with_many_stars_is_matched_in_no_time() -> None:
    """The cost grows with the word and not with what could be tried."""
    assert not may_be("*a" * 100 + "b", "a" * 16_000)
