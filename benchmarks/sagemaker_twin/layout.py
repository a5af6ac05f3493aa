"""The files and variables that the platform gives a container: /opt/ml/input, host names, environment."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_CHECKPOINT_PATH = "/opt/ml/checkpoints"
ML = "/opt/ml"


@dataclass(frozen=True)
class Host:
    """One instance of one start of a job, and its empty disk.

    Args:
        name: ``algo-1`` and so on.
        index: From 0.
        folder: All that the instance keeps; gone when the machine is.
        address: Its own address of the loopback network.
    """

    name: str
    index: int
    folder: Path
    address: str

    @property
    def ml_path(self) -> Path:
        """What the job sees as /opt/ml."""
        return self.folder / "ml"

    @property
    def home_path(self) -> Path:
        """An empty home folder: nothing of this machine's user is found there."""
        return self.folder / "home"

    def real_path(self, container_path: str) -> Path:
        """Where a path under /opt/ml lies on this machine."""
        return self.ml_path / Path(container_path).relative_to(ML)


def make_hosts(folder: Path, num_hosts: int, job_index: int, start_index: int) -> list[Host]:
    """Hosts of one start of a job, each with its own loopback address."""
    network = f"127.{1 + job_index // 250 % 250}.{1 + job_index % 250}"
    return [
        Host(
            f"algo-{index + 1}", index, folder / f"start-{start_index}" / f"algo-{index + 1}", f"{network}.{index + 1}"
        )
        for index in range(num_hosts)
    ]


def lay_out(host: Host, hosts: list[Host], request: Mapping[str, Any]) -> None:
    """Make the disk of one instance: folders of /opt/ml, configuration, host names."""
    for name in ("input/config", "input/data", "model", "output/data", "checkpoints"):
        (host.ml_path / name).mkdir(parents=True, exist_ok=True)
    host.home_path.mkdir()
    config_path = host.ml_path / "input/config"
    documents = {
        "hyperparameters": request.get("HyperParameters", {}),
        "inputdataconfig": {
            channel["ChannelName"]: {
                "TrainingInputMode": "File",
                "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                    "S3DataDistributionType", "FullyReplicated"
                ),
                "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            }
            for channel in request.get("InputDataConfig", [])
        },
        "resourceconfig": _resources(host, hosts, request["ResourceConfig"]["InstanceType"]),
    }
    for name, document in documents.items():
        (config_path / f"{name}.json").write_text(json.dumps(document))
    lines = ["127.0.0.1 localhost", "::1 localhost", *(f"{one.address} {one.name}" for one in hosts)]
    hosts_path(host).write_text("\n".join(lines) + "\n")


def hosts_path(host: Host) -> Path:
    """What the job sees as /etc/hosts."""
    return host.folder / "hosts"


def _resources(host: Host, hosts: list[Host], instance_type: str) -> dict[str, Any]:
    names = [one.name for one in hosts]
    group = "homogeneousCluster"
    return {
        "current_host": host.name,
        "current_instance_type": instance_type,
        "current_group_name": group,
        "hosts": names,
        "instance_groups": [{"instance_group_name": group, "instance_type": instance_type, "hosts": names}],
        "network_interface_name": "lo",
    }


def container_environment(
    host: Host, request: Mapping[str, Any], arn: str, region: str, aws: Mapping[str, str]
) -> dict[str, str]:
    """All variables of a container: the platform's, the request's, and ways to AWS unless the job is isolated."""
    return {
        # "python" is this interpreter, as it would be the image's.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(host.home_path),
        "LANG": "C.UTF-8",
        "HOSTNAME": host.name,
        "TRAINING_JOB_NAME": request["TrainingJobName"],
        "TRAINING_JOB_ARN": arn,
        "AWS_REGION": region,
        **({} if request.get("EnableNetworkIsolation") else aws),
        **request.get("Environment", {}),
    }


def entry_command(request: Mapping[str, Any]) -> list[str]:
    """What is started in the container."""
    algorithm = request["AlgorithmSpecification"]
    return [*algorithm["ContainerEntrypoint"], *algorithm.get("ContainerArguments", [])]
