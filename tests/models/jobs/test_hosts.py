from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.errors import SettingsInvalid
from models.jobs.hosts import Hosts, read_hosts


def config(tmp_path: Path, **values: Any) -> Path:
    path = tmp_path / "resourceconfig.json"
    path.write_text(json.dumps(values))
    return path


def test_the_machines_are_in_one_order_and_share_the_ranks(tmp_path: Path):
    hosts = read_hosts(
        config(tmp_path, hosts=["algo-2", "algo-1"], current_host="algo-2", network_interface_name="eth0"), port=7
    )
    assert hosts == Hosts(("algo-1", "algo-2"), "algo-2", "eth0", 7, tmp_path / "resourceconfig.json")
    assert not hosts.is_first
    assert hosts.meeting_url == "tcp://algo-1:7"
    assert hosts.own_ranks(8) == range(4, 8)
    assert Hosts(("algo-1", "algo-2"), "algo-1", None).own_ranks(8) == range(4)


def test_ten_machines_are_ten(tmp_path: Path):
    names = [f"algo-{number}" for number in range(1, 11)]
    shares = [Hosts(tuple(sorted(names)), name, None).own_ranks(20) for name in names]
    assert sorted(rank for share in shares for rank in share) == list(range(20))


def test_one_machine_or_no_platform_is_nothing_special(tmp_path: Path):
    assert read_hosts(config(tmp_path, hosts=["algo-1"], current_host="algo-1")) is None
    assert read_hosts(tmp_path / "nowhere.json") is None


@pytest.mark.parametrize("num_ranks", [1, 3])
def test_ranks_that_cannot_be_spread_are_refused(num_ranks: int):
    with pytest.raises(SettingsInvalid, match=f"num_ranks {num_ranks} cannot be spread evenly over 2 machines"):
        Hosts(("algo-1", "algo-2"), "algo-1", None).own_ranks(num_ranks)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hosts": ["algo-1", "algo-2"]}, "expected hosts and current_host"),
        ({"hosts": None, "current_host": "algo-1"}, "expected hosts and current_host"),
        ({"hosts": ["algo-1", "algo-2"], "current_host": "algo-3"}, "current_host algo-3 is not among"),
    ],
)
def test_a_file_that_does_not_say_is_refused(values: dict[str, Any], message: str, tmp_path: Path):
    with pytest.raises(SettingsInvalid, match=message):
        read_hosts(config(tmp_path, **values))
