"""The comparison with Trainer, its parts; the whole takes minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.long_data import write_easy, write_joined, write_some
from benchmarks.plain_trainer import num_sorted_steps
from benchmarks.tiny_data import write_tiny_data
from benchmarks.transformer import LEARNT, Setting, our_training, plain_training, same_network
from models.data.columnar import open_records
from models.settings.text_encoder import SmallEncoder

TINY = LEARNT.model_copy(
    update={"small": SmallEncoder(hidden_dim=16, num_layers=1, num_heads=2, feedforward_dim=16), "epochs": 2}
)


@pytest.fixture(scope="module")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparison") / "data"
    write_tiny_data(folder)
    return folder


def test_both_are_the_same_network_and_learn_the_same_from_a_step(data_path: Path, capsys: pytest.CaptureFixture[str]):
    assert same_network(Setting(data_path, TINY)), capsys.readouterr().out


def test_trainer_goes_on_when_a_step_is_asked_for_and_counts_what_it_read(data_path: Path, tmp_path: Path):
    setting = Setting(data_path, TINY)
    ours = our_training(setting, tmp_path / "run")
    plain = plain_training(setting, ours, "group_by_length")
    plain.begin_epoch()
    assert plain.model.num_tokens == 0
    for _ in range(ours.trainer.num_steps):
        plain.step()
    assert plain.model.num_tokens == ours.trainer.train.sizes.sum()
    assert plain.model.num_computed >= plain.model.num_tokens
    plain.leave()


def test_an_error_inside_trainer_comes_out_of_the_step(data_path: Path, tmp_path: Path):
    setting = Setting(data_path, TINY)
    plain = plain_training(setting, our_training(setting, tmp_path / "run"), "random", order=[0] * 40)
    plain.begin_epoch()
    plain.model.head = None
    with pytest.raises(TypeError, match="not callable"):
        plain.step()


@pytest.mark.parametrize(("num_records", "expected"), [(10, 1), (640, 10), (100_000, 50)])
def test_the_timed_steps_are_those_that_trainer_sorts_at_once(num_records: int, expected: int):
    assert num_sorted_steps(num_records, 16) == expected


def test_records_are_joined_made_easy_and_fewer(data_path: Path, tmp_path: Path):
    write_joined(data_path, tmp_path / "joined")
    write_easy(data_path, tmp_path / "easy", 64)
    write_some(tmp_path / "easy", tmp_path / "some", 40)
    before, joined, easy, some = (
        open_records(folder / "train.jsonl")
        for folder in (data_path, *(tmp_path / name for name in ("joined", "easy", "some")))
    )
    bodies = len(before.token_ids) - 2 * len(before)
    assert len(joined.token_ids) - 2 * len(joined) == bodies  # nothing but special tokens is lost
    assert len(joined) < len(before) / 2
    assert list(easy.token_ids) == list(before.token_ids)
    assert 0.3 < easy.labels.mean() < 0.7
    assert len(some) == 40
    assert set(some.ids) <= set(easy.ids)
