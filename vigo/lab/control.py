"""Talking to a running lab, over the socket in its folder that only the folder's owner can open."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import cast

from vigo.core.errors import VigoError
from vigo.lab.state import SOCKET, Json

_PATH_BYTES_MAX = 100
"""A unix socket's path may be 103 (macOS) or 107 (Linux) bytes long."""
_PATIENCE_S = 15


def ask(folder: Path, order: dict[str, Json]) -> dict[str, Json]:
    """Give the lab in `folder` one order and return its answer. Raises VigoError when it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(_PATIENCE_S)
            _connect(channel, folder)
            channel.sendall(json.dumps(order).encode() + b"\n")
            with channel.makefile("rb") as stream:
                answer = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise VigoError(
            f"the lab in {folder} does not answer ({error}); run `vigo lab down` and start it again"
        ) from error
    answer = cast("dict[str, Json]", answer)
    if "error" in answer:
        raise VigoError(f"the lab in {folder} refused: {answer['error']}")
    return answer


def _connect(channel: socket.socket, folder: Path) -> None:
    path = os.fsencode(folder / SOCKET)
    if len(path) <= _PATH_BYTES_MAX:
        channel.connect(path)
        return
    with contextlib.chdir(folder):
        channel.connect(SOCKET)
