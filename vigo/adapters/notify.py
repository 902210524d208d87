"""Tells others that a task has ended or stopped: a program of the operator's, or a server.

Rule 1: nobody waits for longer than the deadline, whatever the other end does.
Rule 2: what goes wrong is a sentence that is returned, never an exception: it changes nothing about the task.
Rule 3: no secret leaves: neither params in the environment nor the path of the URL, which often holds a token, in words.
"""

from __future__ import annotations

import http.client
import os
import signal
import ssl
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from vigo import __version__
from vigo.core.health import HealthUrl

DEADLINE_S: Final = 10.0
_SECRETS: Final = "VIGO_PARAM_"
_OK_LEAST, _OK_MOST = 200, 299
_REDIRECT_MOST = 399


def run_command(command: str, body: bytes, facts: Mapping[str, str], deadline_s: float = DEADLINE_S) -> str:
    """Run a command by `/bin/sh` with `body` on its standard input; return what went wrong, empty when nothing did.

    Its environment is ours without the params, and `facts`; its standard error is ours, its other output goes nowhere.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_SECRETS)}
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own command, for their own shell
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**environment, **facts},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"cannot be started: {getattr(error, 'strerror', None) or error}"
    try:
        process.communicate(body, timeout=deadline_s)
    except subprocess.TimeoutExpired:
        return f"did not end within {deadline_s:g} s and was killed"
    finally:
        _end(process)
    if process.returncode == 0:
        return ""
    return f"exit {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"


def post(url: HealthUrl, body: bytes, deadline_s: float = DEADLINE_S) -> str:
    """POST `body` as JSON; return what went wrong, empty for a 2xx answer.

    No redirect is followed, no proxy used; the certificate of an https server is checked.
    """
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(_post(url, body, deadline_s)), daemon=True)
    thread.start()
    thread.join(deadline_s)  # over name, connection and answer together; a thread that hangs is left behind
    return said[0] if said else f"no answer within {deadline_s:g} s"


def _post(url: HealthUrl, body: bytes, deadline_s: float) -> str:
    try:
        connection = _connection(url, deadline_s)
        try:
            connection.request("POST", url.path, body, _headers(url))
            status = connection.getresponse().status
        finally:
            connection.close()
    except TimeoutError:
        return f"no answer within {deadline_s:g} s"
    except ssl.SSLCertVerificationError as error:
        return f"certificate not trusted: {error.verify_message}"
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        return f"no answer: {getattr(error, 'strerror', None) or type(error).__name__}"
    if _OK_LEAST <= status <= _OK_MOST:
        return ""
    return f"HTTP {status}{', and redirects are not followed' if _OK_MOST < status <= _REDIRECT_MOST else ''}"


def _connection(url: HealthUrl, deadline_s: float) -> http.client.HTTPConnection:
    if url.scheme == "https":
        return http.client.HTTPSConnection(url.host, url.port, timeout=deadline_s, context=ssl.create_default_context())
    return http.client.HTTPConnection(url.host, url.port, timeout=deadline_s)


def _headers(url: HealthUrl) -> dict[str, str]:
    return {
        "Host": url.authority,
        "Content-Type": "application/json",
        "User-Agent": f"vigo/{__version__}",
        "Connection": "close",
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what still runs of a command that is overdue: it leads a session of its own."""
    if process.returncode is None:  # until it was waited for, its number is nobody else's
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdin is not None:
        with suppress(OSError):  # what nobody read is let go
            process.stdin.close()
