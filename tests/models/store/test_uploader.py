"""How long the sending thread is waited for, and how often it tries meanwhile."""

from __future__ import annotations

import threading

import pytest

from models.errors import StoreUnavailable
from models.store import uploader as uploader_module
from models.store.remote_checkpoints import Upload
from models.store.uploader import Uploader

PLENTY_SECONDS = 30.0


def upload(step: int) -> Upload:
    return Upload(f"step-{step:09d}-a1", step, None, 0)


def never() -> bool:
    return False


def test_a_short_outage_does_not_cost_the_last_upload(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploader_module, "HURRIED_RETRY_SECONDS", 0.01)
    tries: list[str] = []

    def away_four_times(sent: Upload) -> None:
        tries.append(sent.name)
        if len(tries) < 5:
            raise StoreUnavailable("no answer")

    uploads = Uploader(away_four_times, retry_seconds=1e6)
    uploads.offer(upload(1))
    assert uploads.settle(PLENTY_SECONDS)
    assert len(tries) == 5


def test_waiting_ends_when_asked_to_or_when_its_time_is_over():
    may_end = threading.Event()
    uploads = Uploader(lambda _: may_end.wait(PLENTY_SECONDS) and None)
    uploads.offer(upload(1))
    assert uploads.wait_for_older(0, 0.0, never)
    assert not uploads.wait_for_older(1, 0.0, never)
    assert uploads.wait_for_older(1, 1e6, lambda: True)
    assert not uploads.settle(1e6, lambda: True)
    may_end.set()
    assert uploads.settle(PLENTY_SECONDS)
    assert uploads.wait_for_older(1, 1e6, never)
