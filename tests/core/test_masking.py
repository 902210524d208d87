"""Secrets in output: every exact occurrence is masked, wherever the stream was cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigo.core.masking import Masker, mask

SECRETS = st.lists(st.text(st.sampled_from("ab"), min_size=1, max_size=9), max_size=4)
PIECES = st.lists(st.binary(max_size=6).map(lambda raw: bytes(b"abc"[byte % 3] for byte in raw)), max_size=30)


def in_pieces(pieces: list[bytes], secrets: list[str]) -> bytes:
    """Mask a stream piece by piece."""
    masker = Masker(secrets)
    return b"".join([*map(masker.feed, pieces), masker.flush()])


@pytest.mark.parametrize(
    ("data", "secrets", "expected"),
    [
        (b"the hunter22 said hunter22", ["hunter22"], b"the *** said ***"),
        (b"abcdef abcd", ["abcd", "abcdef"], b"*** ***"),  # the longest
        (b"aaaaa", ["aaaa"], b"***a"),  # the leftmost
        ("Zoë".encode() + b"\xff", ["Zoë"], b"***\xff"),
        (b"a.c abc", ["a.c "], b"***abc"),  # nothing in a secret is a pattern
        (b"key abc", ["abc"], b"key abc"),  # under 4 bytes nothing is masked
        (b"plain", [], b"plain"),
        (b"", ["hunter22"], b""),
    ],
)
def test_exact_occurrences_are_masked(data: bytes, secrets: list[str], expected: bytes) -> None:
    """The leftmost and longest first, values of 4 bytes and more."""
    assert mask(data, secrets) == expected


@given(PIECES, SECRETS)
def test_it_does_not_matter_where_the_stream_was_cut(pieces: list[bytes], secrets: list[str]) -> None:
    """Any cutting gives what masking the whole gives."""
    known = sorted((s.encode() for s in secrets if len(s) >= 4), key=len, reverse=True)
    whole = b"".join(pieces)
    expected = re.sub(b"|".join(known), b"***", whole) if known else whole
    assert in_pieces(pieces, secrets) == mask(whole, secrets) == expected


@given(st.binary(max_size=40), st.text(min_size=4, max_size=12), st.binary(max_size=40))
def test_no_secret_gets_through_byte_by_byte(before: bytes, secret: str, after: bytes) -> None:
    """The worst cutting there is."""
    pieces = [bytes([byte]) for byte in before + secret.encode() + after]
    assert not any(secret.encode() in part for part in in_pieces(pieces, [secret]).split(b"***"))


def test_only_what_may_begin_a_secret_is_held_back() -> None:
    """Live output is not delayed by masking."""
    masker = Masker(["hunter22", "hunger"])
    assert masker.feed(b"ready\n") == b"ready\n"
    assert masker.feed(b"hun") == b""
    assert masker.feed(b"t for it") == b"hunt for it"
    assert masker.feed(b"xx hunte") == b"xx "
    assert masker.flush() == b"hunte"
    assert masker.flush() == b""


def test_a_secret_that_straddles_the_beginning_of_another_is_masked() -> None:
    """`abab` ends where `abac` might begin."""
    assert in_pieces([b"xabab", b"ac"], ["xabab", "abac"]) == b"***ac"
