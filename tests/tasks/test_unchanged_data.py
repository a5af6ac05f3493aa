"""A schedule skips what is finished already, and nothing else: data, settings and code each count by content."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import pytest

from models.errors import ObjectMissing, SettingsInvalid
from models.jobs import build
from models.settings.fields import IN_BUILD_KEY, INCIDENTAL, NAMED_INPUT, InputPath, Settings
from models.store.manifest import write_manifest
from models.store.pointers import find_pointer, local_pointers
from tasks.unchanged_data import changes, data_digests, last_finished, remember, unchanged

NAME = "phase2_latest"


class Source(Settings):
    data: InputPath
    max_rows: int | None = None


class Collect(Settings):
    clean: InputPath
    sources: dict[str, Source]
    more: tuple[InputPath, ...] = ()


class Flow(Settings):
    collect: Collect
    backbone: Annotated[str, NAMED_INPUT] = "hub/some-model"
    epochs: int = 3
    precision: Annotated[str, IN_BUILD_KEY] = "off"
    slots: Annotated[int, INCIDENTAL] = 1


@pytest.fixture
def settings(tmp_path):
    for name in ("clean", "noisy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.jsonl").write_text(f'{{"func": "{name}"}}\n')
    (tmp_path / "list.jsonl").write_text("{}\n")
    collect = Collect(
        clean=tmp_path / "clean", sources={"noisy": Source(data=tmp_path / "noisy")}, more=(tmp_path / "list.jsonl",)
    )
    return Flow(collect=collect)


@pytest.fixture
def pointers(tmp_path):
    return local_pointers(tmp_path / "runs")


def finished_run(root: Path) -> Path:
    path = root / "runs" / "compare" / "metrics-0123456789ab" / "01234567"
    path.mkdir(parents=True)
    (path / "comparison.json").write_text("{}")
    write_manifest(path, ["comparison.json"], kind="compare", run_key="0123456789abcdef", build_key="0123456789")
    return path


def test_the_first_run_is_not_skipped(settings, pointers):
    assert last_finished(pointers, NAME) is None
    assert unchanged(data_digests(settings), last_finished(pointers, NAME)) is None


def test_a_second_run_of_the_same_is_skipped_with_a_sentence(settings, pointers, tmp_path):
    remember(pointers, NAME, data_digests(settings), finished_run(tmp_path))
    sentence = unchanged(data_digests(settings), last_finished(pointers, NAME))
    assert re.fullmatch(
        r"skipped: data \(sha256 [0-9a-f]{12}\), settings and code are those of compare run 0123456789ab, "
        r"build 01234567, which is finished; nothing to learn",
        sentence,
    )


def moved(settings: Flow, root: Path) -> Flow:
    """The same data in another place."""
    (root / "clean").rename(root / "elsewhere")
    return settings.model_copy(update={"collect": settings.collect.model_copy(update={"clean": root / "elsewhere"})})


def test_places_and_incidental_settings_do_not_count(settings, tmp_path):
    before = data_digests(settings)
    assert data_digests(moved(settings, tmp_path).model_copy(update={"slots": 4})) == before


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("data.collect.clean", "clean/train.jsonl"),
        ("data.collect.sources.noisy.data", "noisy/train.jsonl"),
        ("data.collect.more.0", "list.jsonl"),
    ],
)
def test_one_changed_byte_of_any_input_is_something_to_learn(settings, pointers, tmp_path, name, file):
    remember(pointers, NAME, data_digests(settings), finished_run(tmp_path))
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    last = last_finished(pointers, NAME)
    assert unchanged(data_digests(settings), last) is None
    assert changes(data_digests(settings), last) == [name]


@pytest.mark.parametrize("update", [{"epochs": 4}, {"precision": "bf16"}, {"backbone": "hub/other"}])
def test_a_changed_setting_is_not_skipped_silently(settings, pointers, tmp_path, update):
    remember(pointers, NAME, data_digests(settings), finished_run(tmp_path))
    last = last_finished(pointers, NAME)
    assert changes(data_digests(settings.model_copy(update=update)), last) == ["settings"]


def test_a_source_more_is_something_to_learn(settings, pointers, tmp_path):
    remember(pointers, NAME, data_digests(settings), finished_run(tmp_path))
    collect = settings.collect.model_copy(
        update={"sources": {**settings.collect.sources, "more": Source(data=tmp_path / "noisy")}}
    )
    digests = data_digests(settings.model_copy(update={"collect": collect}))
    assert changes(digests, last_finished(pointers, NAME)) == ["data.collect.sources.more.data", "settings"]


def test_changed_code_is_not_skipped_silently(settings, pointers, tmp_path, monkeypatch):
    remember(pointers, NAME, data_digests(settings), finished_run(tmp_path))
    monkeypatch.setattr("tasks.unchanged_data.code_digest", lambda path: build.code_digest(path)[::-1])
    assert changes(data_digests(settings), last_finished(pointers, NAME)) == ["code"]


def test_a_run_that_failed_is_not_remembered(settings, pointers, tmp_path):
    failed = tmp_path / "runs" / "compare" / "metrics-0123456789ab" / "01234567"
    failed.mkdir(parents=True)
    with pytest.raises(ObjectMissing):
        remember(pointers, NAME, data_digests(settings), failed)
    assert find_pointer(pointers, NAME) is None


def test_data_that_is_not_there_is_said_by_its_field(settings, tmp_path):
    (tmp_path / "list.jsonl").unlink()
    with pytest.raises(SettingsInvalid, match=r"^collect\.more\.0: no file or folder at .*list\.jsonl; give the path"):
        data_digests(settings)
