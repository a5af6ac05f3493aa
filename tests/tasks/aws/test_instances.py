"""What an instance type is made of, and which ranks fit."""

from __future__ import annotations

import pytest

from models.errors import SettingsInvalid
from models.jobs.hardware import gpu_device_class
from tasks.aws.instances import GPU_FAMILIES, check_ranks, gpus_of, machine_of


def test_a_gpu_machine_is_named_as_the_machine_itself_would_be():
    machine = machine_of("ml.g4dn.xlarge")
    assert (machine.device, machine.compute_capability, machine.memory_gib) == ("cuda", 7.5, 15)
    for family, (gpu, sizes) in GPU_FAMILIES.items():
        for size in sizes:
            machine = machine_of(f"ml.{family}.{size}")
            assert machine.device_class == gpu_device_class(gpu.name, gpu.compute_capability)


def test_a_cpu_machine_is_named_by_its_family_and_has_its_memory():
    assert machine_of("ml.c5.xlarge").model_dump(exclude_none=True) == {
        "device": "cpu",
        "device_class": "cpu ml.c5",
        "memory_gib": 8,
    }
    assert machine_of("ml.m5.24xlarge").memory_gib == 384
    assert gpus_of("ml.c5.xlarge") == 0


@pytest.mark.parametrize(
    ("instance_type", "told"),
    [
        ("ml.x9.xlarge", "known families are ml.g4dn, ml.g5"),
        ("ml.g4dn.metal", "g4dn comes as xlarge"),
        ("ml.c5.metal", "is not known here"),
        ("ml.c5", "is not known here"),
    ],
)
def test_an_unknown_type_is_refused_with_what_is_known(instance_type, told):
    with pytest.raises(SettingsInvalid, match=told):
        machine_of(instance_type)


def test_a_rank_needs_a_gpu_of_its_own_and_instances_share_evenly():
    check_ranks("ml.g5.12xlarge", 2, 8)
    check_ranks("ml.c5.xlarge", 1, 3)
    with pytest.raises(SettingsInvalid, match=r"compute.num_ranks 2, and 1 ml.g4dn.xlarge have 1 GPU"):
        check_ranks("ml.g4dn.xlarge", 1, 2)
    with pytest.raises(SettingsInvalid, match="give a multiple of 2"):
        check_ranks("ml.g5.12xlarge", 2, 3)
