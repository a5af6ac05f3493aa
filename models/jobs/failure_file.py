"""How a job ended, in the few characters that a platform passes on: the failure file of a container.

SageMaker shows it as the reason of a failed job, with words of its own around it; whoever launched the job reads from
it whether the job was interrupted, refused, or failed by an error of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FIELDS = ("outcome", "error", "retryable", "step", "message")
"""Of ``outcome.json``; the message last, since only it may be cut short."""
LONGEST_CHARS = 960
"""A reason may have 1024 characters, and the platform adds a few of its own."""
CUT = " …"


def failure_text(outcome: Mapping[str, Any]) -> str:
    """One line of JSON with the fields of an ``outcome.json`` that say how it ended; the message may be cut short.

    Args:
        outcome: What ``outcome.json`` holds.
    """
    told = {name: outcome.get(name) for name in FIELDS}
    message = str(told["message"] or "")
    kept = len(message)
    text = json.dumps(told | {"message": message})
    while len(text) > LONGEST_CHARS and kept:
        kept -= max(1, (len(text) - LONGEST_CHARS) // 12)  # a character may be written as twelve
        text = json.dumps(told | {"message": message[:kept] + CUT})
    return text


def parse_failure(text: str) -> dict[str, Any] | None:
    """What a job said in its failure file, from a reason that may hold more; ``None`` where it said nothing."""
    start = text.find('{"outcome"')
    if start < 0:
        return None
    try:
        told, _ = json.JSONDecoder().raw_decode(text[start:])
    except ValueError:
        return None
    return told if isinstance(told, dict) and told.keys() == set(FIELDS) else None


def write_failure(path: Path, outcome: Mapping[str, Any]) -> None:
    """Write the failure file; its folder is made where missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(failure_text(outcome), encoding="ascii")
