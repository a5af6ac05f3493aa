"""What process 1 of a container does before it becomes the job: ``python -I -S inside.py SPEC.json``.

Started in fresh namespaces. Its child is process 1 of the new one: it puts the job's own ``/opt/ml``, host names and
host name in place and is then replaced by the entry point, which so hears SIGTERM itself. The parent stays outside,
waits, and ends with the child's exit code as docker tells it (``unshare --fork`` loses it in some versions).
With ``--network-holder`` it only keeps a network without a way out alive for the containers of one job, until its
input ends.

Only the standard library here; it starts in some 20 ms.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

MS_BIND, MS_REC = 4096, 16384
PR_SET_PDEATHSIG = 1
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
ML_PATH = Path("/opt/ml")


def main(arguments: list[str]) -> None:
    """Become the job, or hold a network."""
    if arguments == ["--network-holder"]:
        _raise_loopback()
        print("ready", flush=True)
        sys.stdin.read()
        return
    spec = json.loads(Path(arguments[0]).read_bytes())
    pid = os.fork()
    if pid == 0:
        _become_the_job(spec)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    sys.exit(128 - code if code < 0 else code)


def _become_the_job(spec: dict[str, Any]) -> NoReturn:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    os.dup2(1, 2)  # one log for both
    _mount("proc", "/proc", 0, "proc")
    _show_ml(spec["ml_path"])
    _mount(spec["hosts_path"], "/etc/hosts", MS_BIND)
    socket.sethostname(spec["host"])
    os.chdir(spec["working_path"])
    command = spec["command"]
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"exec {command[0]}: {error.strerror}", flush=True)
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _show_ml(ml_path: str) -> None:
    """Mount the job's folder as /opt/ml.

    Where the host has no such folder a new /opt is laid over the old one with everything that was in it: the
    interpreter may live there.
    """
    if not ML_PATH.is_dir():
        opt = os.open("/opt", os.O_RDONLY | os.O_DIRECTORY)
        source = os.open(ml_path, os.O_RDONLY | os.O_DIRECTORY)
        _mount("tmpfs", "/opt", 0, "tmpfs")
        for name in os.listdir(opt):  # noqa: PTH208  a file descriptor
            _show_again(opt, name)
        ML_PATH.mkdir()
        ml_path = f"/proc/self/fd/{source}"
        _mount(ml_path, str(ML_PATH), MS_BIND)
        os.close(opt)
        os.close(source)
    else:
        _mount(ml_path, str(ML_PATH), MS_BIND)


def _show_again(opt: int, name: str) -> None:
    shown = Path("/opt") / name
    try:
        shown.symlink_to(os.readlink(name, dir_fd=opt))
        return
    except OSError:
        pass  # no link
    hidden = f"/proc/self/fd/{opt}/{name}"
    if os.path.isdir(hidden):  # noqa: PTH112  a path through a file descriptor
        shown.mkdir()
    else:
        shown.touch()
    _mount(hidden, str(shown), MS_BIND | MS_REC)


def _mount(source: str, target: str, flags: int, filesystem: str | None = None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    kind = None if filesystem is None else filesystem.encode()
    if libc.mount(source.encode(), target.encode(), kind, ctypes.c_ulong(flags), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {source} on {target}: {os.strerror(number)}")


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


if __name__ == "__main__":
    main(sys.argv[1:])
