"""The places where jobs run, by the name that settings call them."""

from __future__ import annotations

from pathlib import Path

from tasks.launchers.contract import Launcher
from tasks.launchers.local import LocalProcess


def launcher_for(where: str, runs_path: Path) -> Launcher:
    """The place that ``where`` names."""
    return {"local": LocalProcess}[where](runs_path)
