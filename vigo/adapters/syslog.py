"""Tells the system's log (syslog, journald) how far the journal has come: a second witness, where there is one.

It is a courtesy to who reads that log elsewhere: it never waits, never fails and never says that it could not.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from vigo.core.chain import Point

DEV_LOG = Path("/dev/log")
"""Where syslog daemons and journald listen for datagrams."""
_AUTHPRIV, _NOTICE = 10, 5
_PRIORITY = _AUTHPRIV * 8 + _NOTICE


def tell_head(point: Point, place: Path) -> None:
    """Send one line about a head that is on disk; it is lost when nobody listens there or the listener's queue is full."""
    line = f"<{_PRIORITY}>vigo[{os.getpid()}]: journal head {point.seq} {point.digest}"
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.settimeout(0)
        log.connect(os.fspath(place))
        log.send(line.encode())
