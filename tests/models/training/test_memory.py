from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from models.training.memory import fitting_budget, is_out_of_memory, largest_records


def room_for(limit: int, tried: list[int]) -> Any:
    def try_step(budget: int) -> None:
        tried.append(budget)
        if budget > limit:
            raise torch.OutOfMemoryError("no room")

    return try_step


@pytest.mark.parametrize(("limit", "expected"), [(1000, [800]), (300, [800, 400, 200]), (70, [800, 400, 200, 100, 70])])
def test_the_budget_is_halved_until_a_step_fits_but_not_below_one_record(limit: int, expected: list[int]):
    tried: list[int] = []
    assert fitting_budget(room_for(limit, tried), 800, smallest=70) == expected[-1]
    assert tried == expected


def test_a_device_that_holds_no_single_record_is_told():
    tried: list[int] = []
    assert fitting_budget(room_for(10, tried), 800, smallest=300) is None
    assert tried == [800, 400, 300]


def test_what_the_allocator_of_the_cpu_says_is_a_lack_of_memory():
    tried: list[int] = []

    def allocate(budget: int) -> None:
        tried.append(budget)
        torch.empty(10**14 if budget > 300 else 1)

    assert fitting_budget(allocate, 800, smallest=100) == 200
    assert tried == [800, 400, 200]
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**14)
    assert is_out_of_memory(caught.value)
    with pytest.raises(MemoryError) as said_by_numpy:
        np.empty(10**15)
    assert is_out_of_memory(said_by_numpy.value)


def test_another_error_is_no_lack_of_memory():
    def fails(budget: int) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        fitting_budget(fails, 800, smallest=1)


def test_the_worst_step_takes_the_largest_records_first_come_first():
    examples: Any = SimpleNamespace(sizes=np.array([5, 9, 1, 9, 7]))
    assert largest_records(examples, 3).tolist() == [1, 3, 4]
    assert largest_records(examples, 99).tolist() == [1, 3, 4, 0, 2]
