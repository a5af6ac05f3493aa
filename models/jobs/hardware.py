"""What the machine is, told without torch: the device class of the build key."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from functools import cache
from pathlib import Path

from models.errors import SettingsInvalid

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


def resolve_device(asked: str) -> str:
    """``cpu`` or ``cuda``."""
    if asked != "auto":
        return asked
    return "cuda" if gpu_class() is not None else "cpu"


def resolve_precision(asked: str, device: str) -> str:
    """``off``, ``bf16`` or ``fp16``; bf16 needs compute capability 8.0.

    Raises:
        SettingsInvalid: fp16 on the CPU, whose losses cannot be scaled. Not retried.
    """
    if asked == "fp16" and device == "cpu":
        raise SettingsInvalid("compute.precision fp16 needs a GPU, and the job runs on the CPU; give off or auto")
    if asked != "auto":
        return asked
    gpu = gpu_class()
    if device == "cpu" or gpu is None:
        return "off"
    return "bf16" if gpu[1] >= 8.0 else "fp16"


def device_class(device: str) -> str:
    """What the build key says of the device."""
    gpu = gpu_class()
    if device == "cuda" and gpu is not None:
        return f"cuda {gpu[0]} {gpu[1]:g}"
    return f"cpu {cpu_class()}"
