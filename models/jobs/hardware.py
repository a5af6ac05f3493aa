"""What the machine is, told without torch: the facts that a run is named by, here or as planned for elsewhere."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Literal

from models.errors import SettingsInvalid
from models.jobs.placement import Machine

_DECIDING_FLAGS = ("amx_bf16", "amx_int8", "amx_tile", "avx", "avx2", "fma")
_DECIDING_PREFIXES = ("avx512", "avx_")


@cache
def cpu_class() -> str:
    """Architecture and the vector instructions that kernels are chosen by, e.g. ``x86_64 GenuineIntel avx2 …``."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return f"{platform.machine()} {platform.processor()}".strip()
    facts: dict[str, str] = {}
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    flags = facts.get("flags", facts.get("Features", "")).split()
    deciding = sorted(f for f in flags if f in _DECIDING_FLAGS or f.startswith(_DECIDING_PREFIXES))
    return " ".join([platform.machine(), facts.get("vendor_id", ""), *deciding]).strip()


@cache
def gpu_class() -> tuple[str, float] | None:
    """Name and compute capability of the first GPU that this build of torch could use, or ``None``."""
    if "+cpu" in importlib.metadata.version("torch") or not Path("/dev/nvidia0").exists():
        return None
    answer = _ask_gpu("name,compute_cap")
    if answer is None:
        return None
    name, _, capability = answer.rpartition(",")
    return name.strip(), float(capability)


@cache
def memory_gib(device: str) -> int:
    """Memory of the whole device, rounded [GiB]: machines of one kind differ by what their firmware keeps.

    Raises:
        SettingsInvalid: the memory of the GPU cannot be told. Not retried.
    """
    if device != "cuda":
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    answer = _ask_gpu("memory.total")
    if answer is None:
        raise SettingsInvalid(
            "auto_batch_size needs the memory of the GPU, and nvidia-smi tells none here; give model.batch_size instead"
        )
    return round(float(answer.split()[0]) / 1024)  # "143771 MiB"


def _ask_gpu(fields: str) -> str | None:
    """What ``nvidia-smi`` says of the first GPU; ``None`` where it says nothing."""
    query = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader", "--id=0"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.strip().splitlines()[0]


def this_machine(asked: str = "auto") -> Machine:
    """The machine we are on, as a job that asks for a device (``auto``, ``cpu``, ``cuda``) sees it.

    A GPU that is asked for and not there is noticed when the job opens it.
    """
    gpu = gpu_class()
    device: Literal["cpu", "cuda"] = "cuda" if asked == "cuda" or (asked == "auto" and gpu is not None) else "cpu"
    if device == "cuda" and gpu is not None:
        return Machine(device=device, device_class=gpu_device_class(*gpu), compute_capability=gpu[1])
    return Machine(device=device, device_class=f"cpu {cpu_class()}")


def gpu_device_class(name: str, compute_capability: float) -> str:
    """What the build key says of a GPU, such as ``cuda Tesla T4 7.5``."""
    return f"cuda {name} {compute_capability:g}"


def machine_for(asked: str, planned: Machine | None) -> Machine:
    """The machine that names a job which asks for a device: the planned one, or else this one.

    Raises:
        SettingsInvalid: the planned machine has not the device that is asked for. Not retried.
    """
    if planned is None:
        return this_machine(asked)
    if asked not in ("auto", planned.device):
        raise SettingsInvalid(
            f"compute.device is {asked}, and the job is planned for {planned.device_class}; give auto, or choose "
            "another instance type"
        )
    return planned


def planned_memory_gib(machine: Machine, planned: Machine | None) -> int:
    """Memory of the device of ``machine``: as planned, or else as found here [GiB].

    Raises:
        SettingsInvalid: it is not known. Not retried.
    """
    if planned is None:
        return memory_gib(machine.device)
    if planned.memory_gib is None:
        raise SettingsInvalid(
            f"auto_batch_size needs the memory of {planned.device_class}, which is not known; give model.batch_size"
        )
    return planned.memory_gib


def resolve_precision(asked: str, machine: Machine) -> str:
    """``off``, ``bf16`` or ``fp16``; bf16 needs compute capability 8.0.

    Raises:
        SettingsInvalid: fp16 on the CPU, whose losses cannot be scaled. Not retried.
    """
    if asked == "fp16" and machine.device == "cpu":
        raise SettingsInvalid("compute.precision fp16 needs a GPU, and the job runs on the CPU; give off or auto")
    if asked != "auto":
        return asked
    if machine.compute_capability is None:
        return "off"
    return "bf16" if machine.compute_capability >= 8.0 else "fp16"
