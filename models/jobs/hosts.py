"""Several machines that train one model: who they are, which ranks each starts, and where they meet.

The platform tells each machine in a file (``resourceconfig.json``). The first machine owns the run: record, outcome,
checkpoints and mirror; the others only train.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from models.errors import SettingsInvalid

RESOURCE_CONFIG_PATH = Path("/opt/ml/input/config/resourceconfig.json")
MEETING_PORT = 29400
"""Of the first machine; nothing else runs in its container."""


@dataclass(frozen=True)
class Hosts:
    """The machines of a job.

    Args:
        names: Their names in one order for all, at least two.
        current: The name of this one.
        interface: Network interface by which they reach each other; ``None``: the library chooses.
        port: Where the first one listens.
        config_path: The file in which the platform says all this.
    """

    names: tuple[str, ...]
    current: str
    interface: str | None
    port: int = MEETING_PORT
    config_path: Path = RESOURCE_CONFIG_PATH

    @property
    def is_first(self) -> bool:
        """Whether this machine owns the run."""
        return self.current == self.names[0]

    @property
    def meeting_url(self) -> str:
        """Where all ranks meet."""
        return f"tcp://{self.names[0]}:{self.port}"

    def own_ranks(self, num_ranks: int) -> range:
        """The ranks that this machine starts, of ``num_ranks`` in all.

        Raises:
            SettingsInvalid: they cannot be spread evenly. Not retried.
        """
        share, rest = divmod(num_ranks, len(self.names))
        if rest or not share:
            raise SettingsInvalid(
                f"compute.num_ranks {num_ranks} cannot be spread evenly over {len(self.names)} machines; give a "
                f"multiple of {len(self.names)}, or num_instances 1"
            )
        start = self.names.index(self.current) * share
        return range(start, start + share)


def read_hosts(path: Path = RESOURCE_CONFIG_PATH, *, port: int = MEETING_PORT) -> Hosts | None:
    """What the platform says of the machines; ``None`` where there is no platform, or one machine only.

    Raises:
        SettingsInvalid: the file does not say it. Not retried.
    """
    if not path.exists():
        return None
    try:
        config = json.loads(path.read_bytes())
        hosts = Hosts(
            tuple(sorted(str(name) for name in config["hosts"])),
            str(config["current_host"]),
            config.get("network_interface_name"),
            port,
            path,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsInvalid(f"{path}: expected hosts and current_host, found none ({error!r})") from None
    if hosts.current not in hosts.names:
        raise SettingsInvalid(f"{path}: current_host {hosts.current} is not among hosts {', '.join(hosts.names)}")
    return hosts if len(hosts.names) > 1 else None
