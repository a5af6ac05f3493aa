"""The Prefect server of this checkout: ``python -m deployments.server ensure | up | status | stop``.

- ``ensure``  a server on 127.0.0.1 that answers; starts one if none does. Prints its API URL, alone, on stdout.
- ``up``      the same, and work pool, automation, all deployments of ``prefect.yaml``, and a worker. Again: no change.
              Writes ``prefect.toml`` here, so that ``prefect`` typed in this folder talks to this server.
- ``status``  what runs; exit 0 when server and worker do.
- ``stop``    ends worker and server, and takes ``prefect.toml`` away.

State, logs and database lie in ``runs/.prefect`` (or ``PREFECT_HOME``). Server and worker each hold a lock file for
their life, which the kernel frees at their death: no process id is ever trusted without it.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployments.definitions import HEARTBEAT_SECONDS, LOCAL_POOL

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 4200
START_SECONDS = 120.0
STOP_SECONDS = 40.0
"""A worker may take 30 s to let its flow runs save."""

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens addresses on this machine, whatever proxy is set for the others."""

CLIENT_MARK = "# Written by `python -m deployments.server up`, removed by `stop`."


class ServerFailed(RuntimeError):
    """Something did not start; the message says which log to read."""


@dataclass(frozen=True)
class Place:
    """Where the server of this checkout listens and keeps its state.

    Args:
        home_path: Folder of database, logs and locks.
        port: Port on 127.0.0.1.
        client_path: ``prefect.toml`` that points commands typed in its folder at this server; ``None`` writes none.
    """

    home_path: Path
    port: int = DEFAULT_PORT
    client_path: Path | None = None

    @property
    def api_url(self) -> str:
        """What ``PREFECT_API_URL`` must be."""
        return f"http://127.0.0.1:{self.port}/api"

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Environment of server, worker and commands."""
        return {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}",
            "PREFECT_HOME": str(self.home_path),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
            "DO_NOT_TRACK": "1",
        }


def main(argv: Sequence[str] | None = None) -> int:
    """The command; gives its exit code."""
    parser = argparse.ArgumentParser(prog="python -m deployments.server", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("ensure", "up", "status", "stop"))
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port on 127.0.0.1 (default: %(default)s)")
    arguments = parser.parse_args(argv)
    place = place_of(os.environ, arguments.port)
    commands = {"ensure": ensure, "up": up, "status": status, "stop": stop}
    try:
        return commands[arguments.command](place)
    except ServerFailed as error:
        _say(str(error))
        return 1


def place_of(environment: Mapping[str, str], port: int) -> Place:
    """The server of this checkout; with ``PREFECT_HOME`` set, one that lives there and leaves the checkout alone."""
    if environment.get("PREFECT_HOME"):
        return Place(Path(environment["PREFECT_HOME"]), port)
    return Place(ROOT / "runs" / ".prefect", port, ROOT / "prefect.toml")


def ensure(place: Place) -> int:
    """A server that answers; prints its API URL on stdout."""
    _ensure_server(place)
    sys.stdout.write(f"{place.api_url}\n")
    return 0


def up(place: Place) -> int:
    """Server, pool, automation, deployments and worker; again, it changes nothing."""
    _ensure_server(place)
    environment = place.environment(os.environ)
    _run([sys.executable, "-m", "deployments.apply"], environment)
    _run([sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"], environment)
    _ensure_worker(place)
    _write_client_file(place)
    ui_url = place.api_url.removesuffix("/api")
    _say(f"UI          {ui_url}\nAPI         {place.api_url}\nlogs        {place.home_path}/server.log, worker.log")
    _say("run one     prefect deployment run phase1")
    return 0


def status(place: Place) -> int:
    """Say what runs; 0 when server and worker do."""
    server_runs, worker_runs = is_healthy(place), _is_held(place, "worker")
    _say(f"server {'answers' if server_runs else 'does not answer'} at {place.api_url}")
    _say(f"worker {'runs' if worker_runs else 'does not run'} (pool {LOCAL_POOL})")
    return 0 if server_runs and worker_runs else 3


def stop(place: Place) -> int:
    """End worker and server, in this order."""
    for name in ("worker", "server"):
        _say(f"{name} {'ended' if _end(place, name) else 'did not run'}")
    if place.client_path is not None and _is_ours(place.client_path):
        place.client_path.unlink()
    return 0


def is_healthy(place: Place) -> bool:
    """Whether a Prefect server answers there."""
    try:
        with DIRECT.open(f"{place.api_url}/health", timeout=2) as response:
            return bool(response.read() == b"true")
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _ensure_server(place: Place) -> None:
    if is_healthy(place):
        return
    _say(f"starting a Prefect server at {place.api_url} (a new database takes some 15 s)")
    address = ("--host", "127.0.0.1", "--port", str(place.port))
    process = _start(place, "server", [sys.executable, "-m", "prefect", "server", "start", *address])
    deadline = time.monotonic() + START_SECONDS
    while not is_healthy(place):
        if process is not None and process.poll() is not None:
            raise ServerFailed(f"the server ended with code {process.returncode}; see {place.home_path}/server.log")
        if time.monotonic() > deadline:
            raise ServerFailed(f"no answer after {START_SECONDS:.0f} s; see {place.home_path}/server.log")
        time.sleep(0.2)


def _ensure_worker(place: Place) -> None:
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", LOCAL_POOL, "--type", "process"]
    process = _start(place, "worker", command)
    if process is None:
        return
    time.sleep(1.0)
    if process.poll() is not None:
        raise ServerFailed(f"the worker ended with code {process.returncode}; see {place.home_path}/worker.log")


def _start(place: Place, name: str, command: list[str]) -> subprocess.Popen[bytes] | None:
    """Start a program that outlives us and holds its lock file; ``None`` when one holds it already."""
    place.home_path.mkdir(parents=True, exist_ok=True)
    with (place.home_path / f"{name}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        if (
            signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        ):  # as `make … &` leaves it; a worker would then ignore SIGTERM
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with (place.home_path / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=place.environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
        lock.truncate(0)
        lock.write(f"{process.pid}\n")
    return process


def _is_held(place: Place, name: str) -> bool:
    path = place.home_path / f"{name}.lock"
    if not path.exists():
        return False
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _end(place: Place, name: str) -> bool:
    """SIGTERM to the program that holds the lock, SIGKILL to its group when it does not leave; whether one ran."""
    if not _is_held(place, name):
        return False
    pid = int((place.home_path / f"{name}.lock").read_text())
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _is_held(place, name):
        if time.monotonic() > deadline:
            os.killpg(pid, signal.SIGKILL)
            break
        time.sleep(0.1)
    return True


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerFailed(f"{' '.join(command[1:])} ended with code {done.returncode}:\n{done.stdout}{done.stderr}")


def _write_client_file(place: Place) -> None:
    path = place.client_path
    if path is None or (path.exists() and not _is_ours(path)):
        _say(f"to reach it, set PREFECT_API_URL={place.api_url}")
        return
    path.write_text(f'{CLIENT_MARK}\n[api]\nurl = "{place.api_url}"\n')


def _is_ours(path: Path) -> bool:
    return path.exists() and path.read_text().startswith(CLIENT_MARK)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
