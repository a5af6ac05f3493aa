"""One running container: started, listened to, told to leave, killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.sagemaker_twin.layout import ML, Host, hosts_path
from benchmarks.sagemaker_twin.namespaces import Isolation, container_command, tied

APPEARANCE_SECONDS = 10.0
LARGEST_REWRITTEN_BYTES = 1024 * 1024


class Container:
    """The process of one host of a job.

    Must be started by the thread that sees the job through: the container is killed when that thread ends.

    Args:
        host: Its disk and name, laid out.
        command: What to run.
        environment: All of its variables.
        isolation: How it is set apart.
        network_holder_pid: Whose network it shares; ``None``: the machine's.
        on_line: Called with every line it prints, from a thread of its own.
    """

    def __init__(
        self,
        host: Host,
        command: list[str],
        environment: dict[str, str],
        isolation: Isolation,
        network_holder_pid: int | None,
        on_line: Callable[[str], None],
    ) -> None:
        self.host = host
        self._isolation = isolation
        self._on_line = on_line
        if isolation is Isolation.NONE:
            arguments, environment = self._plain(command, environment)
        else:
            arguments = container_command(isolation, self._spec(command), network_holder_pid)
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=host.home_path,
            start_new_session=True,  # Ctrl-C in the terminal of a test is not for jobs
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {host.name}", daemon=True)

    def listen(self) -> None:
        """Begin to read what it prints."""
        self._reader.start()

    def exit_code(self) -> int | None:
        """As docker tells it: 137 for SIGKILL; ``None`` while it runs."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def terminate(self) -> bool:
        """SIGTERM to process 1, which the kernel drops where process 1 has no handler; False when it has ended."""
        return self._signal(signal.SIGTERM)

    def kill(self) -> bool:
        """SIGKILL to process 1, and so to all of the container; False when it has ended."""
        return self._signal(signal.SIGKILL)

    def join(self) -> int:
        """Wait for the end and for its last line; returns the exit code."""
        self._process.wait()
        if self._isolation is Isolation.NONE:  # no kernel namespace that ends what it left behind
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._reader.join()
        code = self.exit_code()
        assert code is not None
        return code

    def _signal(self, number: signal.Signals) -> bool:
        pid = self._first_pid()
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def _first_pid(self) -> int | None:
        """Process 1 of the container as this machine numbers it; ``None`` when the container has ended."""
        pid = self._process.pid
        if self._isolation is Isolation.NONE:
            return pid if self._process.poll() is None else None
        deadline = time.monotonic() + APPEARANCE_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                if children:
                    return int(children[0])
            time.sleep(0.005)  # it is still being started
        return None

    def _spec(self, command: list[str]) -> Path:
        spec_path = self.host.folder / "spec.json"
        spec = {
            "ml_path": str(self.host.ml_path),
            "hosts_path": str(hosts_path(self.host)),
            "host": self.host.name,
            "working_path": str(self.host.home_path),
            "command": command,
        }
        spec_path.write_text(json.dumps(spec))
        return spec_path

    def _plain(self, command: list[str], environment: dict[str, str]) -> tuple[list[str], dict[str, str]]:
        """A job that cannot see its own /opt/ml is told the real folder wherever it is told of /opt/ml."""
        real = str(self.host.ml_path)
        for path in self.host.ml_path.glob("input/data/**/*.json"):
            if path.stat().st_size <= LARGEST_REWRITTEN_BYTES:
                content = path.read_bytes()
                path.write_bytes(content.replace(f'"{ML}'.encode(), f'"{real}'.encode()))
        rewritten = {name: value.replace(ML, real) for name, value in environment.items()}
        return [*tied(), *(argument.replace(ML, real) for argument in command)], rewritten

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._on_line(line.decode(errors="replace").rstrip("\r\n"))
