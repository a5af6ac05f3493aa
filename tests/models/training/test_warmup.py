from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.errors import EXIT_DONE, EXIT_INTERRUPTED
from models.jobs.stopping import StopSignal
from models.training.schedule import Stepwise
from models.training.warmup import SHAPES, warmed_up

PEAK = 0.5
FALL = {"linear": lambda share: 1 - share, "cosine": lambda share: (1 + math.cos(math.pi * share)) / 2}


def schedule_of(
    shape: Literal["linear", "cosine"], num_steps: int, *, ratio: float = 0.1, steps: int | None = None
) -> tuple[Stepwise, torch.optim.Optimizer]:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    return warmed_up(optimizer, shape, warmup_ratio=ratio, warmup_steps=steps, num_steps=num_steps), optimizer


def rates(schedule: Stepwise, optimizer: torch.optim.Optimizer, num_steps: int) -> list[float]:
    """The rate of each of the next steps."""
    found = []
    for _ in range(num_steps):
        found.append(optimizer.param_groups[0]["lr"] / PEAK)
        optimizer.step()
        schedule.after_step()
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_the_rate_rises_linearly_and_falls_in_its_shape(shape: Literal["linear", "cosine"]):
    found = rates(*schedule_of(shape, 40, ratio=0.25), 41)
    assert found[:10] == pytest.approx([step / 10 for step in range(10)])
    assert found[10:] == pytest.approx([FALL[shape](step / 30) for step in range(31)])


@given(st.integers(1, 500), st.integers(0, 600), st.floats(0, 1))
def test_steps_win_over_the_share_and_take_half_of_all_at_most(num_steps: int, asked: int, ratio: float):
    schedule, _ = schedule_of("cosine", num_steps, ratio=ratio, steps=asked)
    taken = schedule.facts["num_warmup_steps"]
    assert taken == min(asked, num_steps // 2)
    assert schedule.facts == {"shape": "cosine", "num_warmup_steps": taken, "num_steps": num_steps}
    assert bool(schedule.notices) == (taken < asked)


def test_where_fewer_steps_are_taken_that_is_said():
    assert schedule_of("linear", 300, steps=500)[0].notices == ("warmup_steps 500 of at most 300 steps: 150 taken",)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_schedule_goes_on_where_its_state_was_saved(shape: Literal["linear", "cosine"]):
    whole = rates(*schedule_of(shape, 30, steps=6), 30)
    schedule, optimizer = schedule_of(shape, 30, steps=6)
    first = rates(schedule, optimizer, 11)
    again, other = schedule_of(shape, 30, steps=6)
    other.load_state_dict(optimizer.state_dict())
    again.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert first + rates(again, other, 19) == whole


class StopAfter(StopSignal):
    """Up once it was read so many times: in each step, and after each epoch."""

    def __init__(self, num_steps: int) -> None:
        super().__init__()
        self.num_left = num_steps

    def __call__(self) -> bool:
        self.num_left -= 1
        return self.num_left <= 0


def test_a_run_says_how_it_warms_up_and_one_that_was_stopped_ends_with_the_same_bytes(
    run_job: Callable[..., int], token_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    model = {
        "reads_with": "encoder_decoder",
        "pooling": "eos",
        "small": {"family": "t5", "hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feedforward_dim": 32},
        "schedule": "cosine",
        "warmup_steps": 500,
    }
    assert run_job(token_document(model), "whole") == EXIT_DONE
    numbers = json.loads((tmp_path / "whole" / "result.json").read_text())["numbers"]
    num_steps = numbers["num_steps"]
    schedule = {"shape": "cosine", "num_warmup_steps": num_steps // 2, "num_steps": num_steps}
    assert numbers["schedule"] == schedule
    told = [json.loads(line) for line in (tmp_path / "whole" / "progress.jsonl").read_text().splitlines()]
    warning = f"warmup_steps 500 of at most {num_steps} steps: {num_steps // 2} taken"
    assert [event["message"] for event in told if event.get("level") == "warning"] == [warning]

    assert run_job(token_document(model), "stopped", stop=StopAfter(num_steps // 2 - 1)) == EXIT_INTERRUPTED
    assert run_job(token_document(model), "stopped", stop=StopAfter(4)) == EXIT_INTERRUPTED
    assert run_job(token_document(model), "stopped") == EXIT_DONE
    for name in json.loads((tmp_path / "whole" / "manifest.json").read_text())["files"]:
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
