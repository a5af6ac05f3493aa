"""HTTP: the protocol awsJson1.1 of the API, the way through to moto, and a plain JSON side for tests."""

from __future__ import annotations

import http.client
import json
import time
import traceback
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from benchmarks.sagemaker_twin.errors import ApiError
from benchmarks.sagemaker_twin.faults import FaultBoard, FaultPlan
from benchmarks.sagemaker_twin.operations import TrainingApi

TARGET_PREFIX = "SageMaker."
CONTROL_PREFIX = "/twin/"
CREDENTIALS_PATH = "/twin/credentials"
CREDENTIALS_SECONDS = 6 * 3600
PROXY_SECONDS = 60
HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "host", "content-length"})


class TwinServer(ThreadingHTTPServer):
    """Listens on loopback.

    Args:
        port: 0: any free one.
        proxy_url: Where everything goes that is not a training job.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, proxy_url: str) -> None:
        self.proxy = urlsplit(proxy_url)
        self.api: TrainingApi
        self.faults: FaultBoard
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: TwinServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """A server for tests keeps no log of requests."""

    def do_GET(self) -> None:
        if self.path.startswith(CONTROL_PREFIX):
            self._tell()
        else:
            self._pass_on(self._body())

    def do_POST(self) -> None:
        body = self._body()
        target = self.headers.get("X-Amz-Target", "")
        if self.path == f"{CONTROL_PREFIX}faults":
            self._plan_fault(body)
        elif target.startswith(TARGET_PREFIX):
            self._answer_api(target.removeprefix(TARGET_PREFIX), body)
        else:
            self._pass_on(body)

    do_PUT = do_DELETE = do_POST

    def _answer_api(self, operation: str, body: bytes) -> None:
        self.server.api.calls[operation] += 1
        try:
            request = json.loads(body or b"{}")
            if not self.server.api.knows(operation, request):
                self._pass_on(body)
                return
            self._send(200, self.server.api.answer(operation, request), "application/x-amz-json-1.1")
        except ApiError as error:
            told = {"__type": error.code, "message": error.message}
            self._send(error.status, told, "application/x-amz-json-1.1")
        except json.JSONDecodeError as error:
            self._send(400, {"__type": "SerializationException", "message": str(error)})
        except Exception:  # noqa: BLE001  a bug of the twin must be seen by the test that meets it
            told = {"__type": "InternalFailure", "message": traceback.format_exc()}
            self._send(500, told, "application/x-amz-json-1.1")

    def _tell(self) -> None:
        if self.path == f"{CONTROL_PREFIX}jobs":
            self._send(200, self.server.api.jobs())
        elif self.path == f"{CONTROL_PREFIX}calls":
            self._send(200, dict(self.server.api.calls))
        elif self.path == CREDENTIALS_PATH:
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + CREDENTIALS_SECONDS))
            told = {"AccessKeyId": "container", "SecretAccessKey": "container", "Token": "container"}
            self._send(200, {**told, "Expiration": until})
        else:
            self._send(404, {"message": f"no {self.path}; known: jobs, calls, credentials, faults (POST, DELETE)"})

    def _plan_fault(self, body: bytes) -> None:
        if self.command == "DELETE":
            self.server.faults.clear()
        else:
            try:
                self.server.faults.add(FaultPlan.from_dict(json.loads(body)))
            except (TypeError, ValueError) as error:
                self._send(400, {"message": str(error)})
                return
        self._send(200, {})

    def _pass_on(self, body: bytes) -> None:
        """Let moto answer."""
        moto = http.client.HTTPConnection(self.server.proxy.hostname or "", self.server.proxy.port, PROXY_SECONDS)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_HEADERS}
            moto.request(self.command, self.path, body, headers)
            answer = moto.getresponse()
            content = answer.read()
        finally:
            moto.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_HEADERS | {"server", "date"}:
                self.send_header(name, value)
        self._send_content(content)

    def _send(self, status: int, told: Any, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        self._send_content(json.dumps(told).encode())

    def _send_content(self, content: bytes) -> None:
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))
