"""The machines of one start of a job: empty disks, inputs, containers, sync, logs."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.sagemaker_twin.checkpoint_sync import CheckpointSync
from benchmarks.sagemaker_twin.container import Container
from benchmarks.sagemaker_twin.eviction import Cluster
from benchmarks.sagemaker_twin.layout import (
    DEFAULT_CHECKPOINT_PATH,
    Host,
    container_environment,
    entry_command,
    lay_out,
    make_hosts,
)
from benchmarks.sagemaker_twin.logs import LogStream
from benchmarks.sagemaker_twin.namespaces import Isolation, network_holder_command
from benchmarks.sagemaker_twin.training_job import TrainingJob
from benchmarks.sagemaker_twin.transfer import download_channel

if TYPE_CHECKING:
    from benchmarks.sagemaker_twin.lifecycle import Surroundings


def start_machines(job: TrainingJob, job_index: int, around: Surroundings, folder: Path) -> Machines:
    """New machines with empty disks."""
    hosts = make_hosts(folder, job.request["ResourceConfig"].get("InstanceCount", 1), job_index, job.num_starts)
    for host in hosts:
        lay_out(host, hosts, job.request)
    return Machines(job, around, hosts)


class Machines:
    """All hosts of one start; used by the thread of the job.

    Args:
        job: The job.
        around: What all jobs share.
        hosts: The hosts, laid out.
    """

    def __init__(self, job: TrainingJob, around: Surroundings, hosts: list[Host]) -> None:
        self._job = job
        self._around = around
        self._hosts = hosts
        self._syncs: list[CheckpointSync] = []
        self._streams: list[LogStream] = []
        self._network_holder: subprocess.Popen[bytes] | None = None

    def fetch(self) -> None:
        """Bring the inputs in.

        Raises:
            JobFailure: An input is not there, or lies in another region.
        """
        request = self._job.request
        for host in self._hosts:
            shard = slice(host.index, None, len(self._hosts))
            for channel in request.get("InputDataConfig", []):
                folder = host.ml_path / "input/data" / channel["ChannelName"]
                download_channel(self._around.clients, channel, folder, request["RoleArn"], shard)

    def train(self, cluster: Cluster, hear: Callable[[str], None], stalled_until: float) -> None:
        """Restore checkpoints, start the containers and their sync.

        Args:
            cluster: Takes the containers.
            hear: Called with every line that any of them prints.
            stalled_until: Moment of ``time.monotonic`` before which no checkpoint is uploaded.
        """
        holder_pid = self._hold_network() if self._job.request.get("EnableNetworkIsolation") else None
        epoch = int(time.time() * 1000)
        containers = []
        for host in self._hosts:
            self._follow_checkpoints(host, stalled_until, lambda: cluster.lets_sync)
            stream = LogStream(self._around.clients, f"{self._job.name}/{host.name}-{epoch}")
            self._streams.append(stream)
            container = self._start(host, holder_pid, _to_both(stream, hear))
            cluster.add(container)
            containers.append(container)
        for container in containers:  # only now: what they print may end them all
            container.listen()
        for sync in self._syncs:
            sync.start()

    def settle(self, *, once_more: bool) -> None:
        """After the containers ended: the last of the log, and of the checkpoints if ``once_more``."""
        for sync in self._syncs:
            sync.stop(once_more=once_more)
        self._syncs.clear()
        for stream in self._streams:
            stream.close()
        self._streams.clear()

    def failure(self) -> str:
        """What the job wrote into output/failure; empty when it wrote nothing."""
        for host in self._hosts:
            path = host.ml_path / "output/failure"
            if path.is_file():
                return path.read_text(errors="replace")
        return ""

    def results(self) -> dict[str, list[Path]]:
        """Folders by the name of the archive that they are uploaded in."""
        return {
            "model": [host.ml_path / "model" for host in self._hosts],
            "output": [host.ml_path / "output/data" for host in self._hosts],
        }

    def give_back(self) -> None:
        """The disks are gone."""
        self.settle(once_more=False)
        if self._network_holder is not None:
            self._network_holder.kill()
            self._network_holder.communicate()
        shutil.rmtree(self._hosts[0].folder.parent, ignore_errors=True)

    def _follow_checkpoints(self, host: Host, stalled_until: float, holds: Callable[[], bool]) -> None:
        config = self._job.request.get("CheckpointConfig")
        if config is None:
            return
        folder = host.real_path(config.get("LocalPath", DEFAULT_CHECKPOINT_PATH))
        every_seconds = self._around.options.sync_seconds
        sync = CheckpointSync(self._around.clients, config["S3Uri"], folder, every_seconds, stalled_until, holds)
        sync.restore()
        self._syncs.append(sync)

    def _start(self, host: Host, holder_pid: int | None, on_line: Callable[[str], None]) -> Container:
        environment = container_environment(
            host, self._job.request, self._job.arn, self._around.clients.region, self._around.container_aws
        )
        command = entry_command(self._job.request)
        return Container(host, command, environment, self._around.isolation, holder_pid, on_line)

    def _hold_network(self) -> int | None:
        if self._around.isolation is Isolation.NONE:
            return None
        self._network_holder = subprocess.Popen(
            network_holder_command(self._around.isolation), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._network_holder.stdout is not None
        if self._network_holder.stdout.readline() != b"ready\n":
            raise RuntimeError("no network namespace for an isolated job")
        return self._network_holder.pid


def _to_both(stream: LogStream, hear: Callable[[str], None]) -> Callable[[str], None]:
    def on_line(line: str) -> None:
        stream.add(line)
        hear(line)

    return on_line
