"""What an instance type is made of: the facts that a run is named by, told without having one."""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import SettingsInvalid
from models.jobs.placement import Machine


@dataclass(frozen=True)
class Gpu:
    """A GPU as ``nvidia-smi`` tells it.

    Args:
        name: Its name.
        compute_capability: Its compute capability.
        memory_gib: Its memory, rounded [GiB].
    """

    name: str
    compute_capability: float
    memory_gib: int


T4 = Gpu("Tesla T4", 7.5, 15)
A10G = Gpu("NVIDIA A10G", 8.6, 22)
L4 = Gpu("NVIDIA L4", 8.9, 22)
V100 = Gpu("Tesla V100-SXM2-16GB", 7.0, 16)
V100_32GB = Gpu("Tesla V100-SXM2-32GB", 7.0, 32)
A100 = Gpu("NVIDIA A100-SXM4-40GB", 8.0, 40)
A100_80GB = Gpu("NVIDIA A100-SXM4-80GB", 8.0, 80)
H100 = Gpu("NVIDIA H100 80GB HBM3", 9.0, 80)
_G = {"xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "12xlarge": 4, "16xlarge": 1, "24xlarge": 4, "48xlarge": 8}
GPU_FAMILIES: dict[str, tuple[Gpu, dict[str, int]]] = {
    "g4dn": (T4, {"xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "12xlarge": 4, "16xlarge": 1}),
    "g5": (A10G, _G),
    "g6": (L4, _G),
    "p3": (V100, {"2xlarge": 1, "8xlarge": 4, "16xlarge": 8}),
    "p3dn": (V100_32GB, {"24xlarge": 8}),
    "p4d": (A100, {"24xlarge": 8}),
    "p4de": (A100_80GB, {"24xlarge": 8}),
    "p5": (H100, {"4xlarge": 1, "48xlarge": 8}),
}
"""GPU and how many of it, by family and size."""
CPU_FAMILIES = {"c4": 1.875, "c5": 2, "c5n": 2.625, "c6i": 2, "c7i": 2, "m4": 4, "m5": 4, "m6i": 4, "m7i": 4, "r5": 8}
"""Memory of each virtual CPU, by family [GiB]."""
_CPUS = {"large": 2, "xlarge": 4}


def machine_of(instance_type: str) -> Machine:
    """The machine that runs on this instance type are named by.

    A CPU is named by its family: which vector instructions a job gets is known only where it runs.

    Raises:
        SettingsInvalid: the instance type is not known here. Not retried.
    """
    family, size = _parts(instance_type)
    if family in GPU_FAMILIES:
        gpu, _ = GPU_FAMILIES[family]
        return Machine(
            device="cuda",
            device_class=f"cuda {gpu.name} {gpu.compute_capability:g}",
            compute_capability=gpu.compute_capability,
            memory_gib=gpu.memory_gib,
        )
    return Machine(
        device="cpu", device_class=f"cpu ml.{family}", memory_gib=round(_num_cpus(size) * CPU_FAMILIES[family])
    )


def gpus_of(instance_type: str) -> int:
    """GPUs of one instance; 0 where it has none.

    Raises:
        SettingsInvalid: the instance type is not known here. Not retried.
    """
    family, size = _parts(instance_type)
    return GPU_FAMILIES[family][1][size] if family in GPU_FAMILIES else 0


def check_ranks(instance_type: str, num_instances: int, num_ranks: int) -> None:
    """Refuse ranks that cannot be spread over the instances: evenly, and one for each GPU at most.

    Raises:
        SettingsInvalid: what does not fit, and what would. Not retried.
    """
    num_gpus = gpus_of(instance_type)
    if num_ranks % num_instances:
        raise SettingsInvalid(
            f"compute.num_ranks {num_ranks} cannot be spread evenly over sagemaker.num_instances {num_instances}; "
            f"give a multiple of {num_instances}"
        )
    if num_gpus and num_ranks > num_gpus * num_instances:
        raise SettingsInvalid(
            f"compute.num_ranks {num_ranks}, and {num_instances} {instance_type} have {num_gpus * num_instances} "
            "GPU(s): a rank needs one of its own; lower it, or take larger or more instances"
        )


def _parts(instance_type: str) -> tuple[str, str]:
    """Family and size of a known type."""
    _, family, size = f"{instance_type}..".split(".")[:3]
    if family in GPU_FAMILIES:
        if size in GPU_FAMILIES[family][1]:
            return family, size
        raise SettingsInvalid(
            f"sagemaker.instance_type {instance_type}: {family} comes as {', '.join(GPU_FAMILIES[family][1])}"
        )
    if family in CPU_FAMILIES and _num_cpus(size):
        return family, size
    known = ", ".join(f"ml.{name}" for name in (*GPU_FAMILIES, *CPU_FAMILIES))
    raise SettingsInvalid(
        f"sagemaker.instance_type {instance_type} is not known here; known families are {known} (a type is known when "
        "tasks/aws/instances.py says what it is made of)"
    )


def _num_cpus(size: str) -> int:
    """Virtual CPUs of a size; 0 for what is none."""
    number = size.removesuffix("xlarge")
    return _CPUS.get(size) or (4 * int(number) if number != size and number.isdecimal() else 0)
