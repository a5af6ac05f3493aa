"""What may go wrong between a client and S3, and the layer in front of moto that makes it happen."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, NoReturn

CONTROL_PATH = "/weather/"
EXEMPT_ACCESS_KEY = "twin"
"""Requests signed with this key meet good weather and are not counted: they are the twin's own."""
SLOW_CHUNK_BYTES = 16 * 1024


@dataclass(frozen=True)
class S3Fault:
    """One way in which requests to S3 fail.

    Args:
        kind: ``error``: answered with ``status`` and ``code``; ``hang``: never answered; ``reset``: the connection is
            closed unanswered; ``lost answer``: done, and then closed unanswered; ``slow``: answered at
            ``bytes_per_second``.
        status: HTTP status of an ``error``.
        code: S3 error code of an ``error``.
        methods: HTTP methods it strikes; empty: all.
        path: Regular expression, searched in ``/bucket/key``.
        num_requests: How many of these requests it strikes, then it is over; ``None``: all.
        seconds: How long it holds [s]; ``None``: until the next call.
        bytes_per_second: Speed of a ``slow`` answer [B/s].
    """

    kind: Literal["error", "hang", "reset", "lost answer", "slow"]
    status: int = 503
    code: str = "SlowDown"
    methods: tuple[str, ...] = ()
    path: str = ""
    num_requests: int | None = None
    seconds: float | None = None
    bytes_per_second: float = 64 * 1024.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class _Struck:
    """A fault that holds, and how much of it is left."""

    def __init__(self, fault: S3Fault) -> None:
        self.fault = fault
        self._left = fault.num_requests
        self._until = None if fault.seconds is None else time.monotonic() + fault.seconds

    def strikes(self, method: str, path: str) -> bool:
        if self._left == 0 or (self._until is not None and time.monotonic() >= self._until):
            return False
        if self.fault.methods and method not in self.fault.methods:
            return False
        if not re.search(self.fault.path, path):
            return False
        if self._left is not None:
            self._left -= 1
        return True


class S3Weather:
    """WSGI layer around moto: latency, faults and counts for requests to S3; everything else passes.

    Args:
        application: The WSGI application behind it.
        latency_seconds: Added to each request to S3 [s].
    """

    def __init__(self, application: Callable[..., Iterable[bytes]], latency_seconds: float = 0.0) -> None:
        self._application = application
        self._latency_seconds = latency_seconds
        self._lock = threading.Lock()
        self._struck: list[_Struck] = []
        self._cleared = threading.Event()
        self._counts: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        if path.startswith(CONTROL_PATH):
            return self._control(path.removeprefix(CONTROL_PATH), environ, start_response)
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        if "/s3/aws4_request" not in authorization or f"Credential={EXEMPT_ACCESS_KEY}/" in authorization:
            return self._application(environ, start_response)
        fault, cleared = self._meet(environ["REQUEST_METHOD"], path)
        time.sleep(self._latency_seconds)
        if fault is None:
            return self._application(environ, start_response)
        return self._suffer(fault, cleared, environ, start_response)

    def _meet(self, method: str, path: str) -> tuple[S3Fault | None, threading.Event]:
        with self._lock:
            self._counts[method] += 1
            struck = next((one.fault for one in self._struck if one.strikes(method, path)), None)
            return struck, self._cleared

    def _suffer(
        self, fault: S3Fault, cleared: threading.Event, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if fault.kind == "slow":
            return _slowly(self._application(environ, start_response), fault.bytes_per_second)
        if fault.kind == "lost answer":
            for _ in self._application(environ, lambda *_: None):
                pass
            _hang_up(environ)
        if fault.kind == "reset":
            _hang_up(environ)
        if fault.kind == "hang":
            cleared.wait(fault.seconds)
            _hang_up(environ)
        _read_all(environ)
        body = f"<Error><Code>{fault.code}</Code><Message>As planned.</Message></Error>".encode()
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
        start_response(f"{fault.status} {fault.code}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _control(self, name: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if name == "faults" and environ["REQUEST_METHOD"] == "POST":
            faults = json.loads(_read_all(environ))
            with self._lock:
                self._struck = [_Struck(S3Fault(**{**one, "methods": tuple(one["methods"])})) for one in faults]
                self._cleared.set()  # those that hang let go
                self._cleared = threading.Event()
        elif name == "latency" and environ["REQUEST_METHOD"] == "POST":
            self._latency_seconds = float(json.loads(_read_all(environ)))
        elif name != "counts":
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        with self._lock:
            body = json.dumps(self._counts).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def _hang_up(environ: dict[str, Any]) -> NoReturn:
    """Close the connection without an answer."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


def _read_all(environ: dict[str, Any]) -> bytes:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length)
    return body


def _slowly(chunks: Iterable[bytes], bytes_per_second: float) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), SLOW_CHUNK_BYTES):
            part = chunk[start : start + SLOW_CHUNK_BYTES]
            time.sleep(len(part) / bytes_per_second)
            yield part
