"""Pickled weights: read without running anything, written once, equal to what was in them."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import RobertaConfig, RobertaForMaskedLM

from models.data.backbone_files import BackboneFiles, choose_backbone
from models.data.model_hub import ModelHub
from models.errors import SettingsInvalid
from models.nn import converted_weights
from models.nn.backbones import pretrained_backbone
from models.nn.converted_weights import safe_weights
from models.settings.transformer import TransformerSettings

COMMIT = "c" * 40
CONFIG = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 66,
}


class Planted:
    """Unpickled by a careless reader, this leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def model() -> RobertaForMaskedLM:
    state = torch.get_rng_state()
    torch.manual_seed(1)
    made = RobertaForMaskedLM(RobertaConfig(**CONFIG)).eval()
    torch.set_rng_state(state)
    return made


@pytest.fixture
def pickled(tmp_path: Path, model: RobertaForMaskedLM) -> Callable[..., BackboneFiles]:
    """Writes a folder as older repositories on the hub are, whole or in two files."""

    def written(*, parts: int = 1, legacy: bool = False, **more: Any) -> BackboneFiles:
        folder = tmp_path / "codebert-tiny"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(model.config.to_json_string())
        (folder / "tokenizer.json").touch()
        tensors: dict[str, Any] = {**model.state_dict(), **more}  # the embedding and the head's are one tensor
        names = [f"pytorch_model-0000{at + 1}-of-0000{parts}.bin" for at in range(parts)] if parts > 1 else []
        for at, name in enumerate(names or ["pytorch_model.bin"]):
            some = dict(list(tensors.items())[at::parts])
            torch.save(some, folder / name, _use_new_zipfile_serialization=not legacy)
        if names:
            weight_map = {name: names[at % parts] for at, name in enumerate(tensors)}
            index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
            (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        return BackboneFiles(str(folder), folder, None, {"model_type": "roberta"})

    return written


def states(model: Any) -> Tensor:
    given: Tensor = model(input_ids=torch.arange(5, 25).reshape(2, 10)).last_hidden_state
    return given


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_converted_backbone_is_the_one_that_was_pickled(
    parts: int, legacy: bool, pickled: Callable[..., BackboneFiles], model: RobertaForMaskedLM, tmp_path: Path
) -> None:
    files = pickled(parts=parts, legacy=legacy)
    settings = TransformerSettings(backbone=files.name, max_seq_len=64)

    loaded = pretrained_backbone(files, settings, converted_path=tmp_path / "backbones")

    assert torch.equal(states(loaded.model.eval()), states(model.roberta))
    assert re.fullmatch(
        r"pytorch_model\.bin(\.index\.json)? of .* was converted to safetensors in .*", loaded.notices[0]
    )


def test_a_conversion_holds_every_tensor_once_and_the_config(
    pickled: Callable[..., BackboneFiles], model: RobertaForMaskedLM, tmp_path: Path
) -> None:
    files = pickled()
    folder, _ = safe_weights(files, tmp_path)

    tensors = load_file(folder / "model.safetensors")
    assert tensors.keys() == model.state_dict().keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in model.state_dict().items())
    assert (folder / "config.json").read_bytes() == (files.folder / "config.json").read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "manifest.json", "model.safetensors"]
    assert not list(tmp_path.glob("*.partial"))


def test_a_conversion_is_made_once_and_verified_when_it_is_found(
    pickled: Callable[..., BackboneFiles], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = pickled()
    conversions: list[str] = []
    convert = converted_weights._convert
    monkeypatch.setattr(converted_weights, "_convert", lambda *given: (conversions.append("one"), convert(*given)))
    with ThreadPoolExecutor(3) as ranks:
        found = list(ranks.map(lambda _: safe_weights(files, tmp_path), range(3)))
    assert len({folder for folder, _ in found}) == 1
    assert conversions == ["one"]

    weights = found[0][0] / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    _, notices = safe_weights(files, tmp_path)
    assert conversions == ["one", "one"]
    assert "was damaged and is made anew" in notices[0]
    assert weights.read_bytes() == content


def test_an_interrupted_conversion_is_begun_anew(pickled: Callable[..., BackboneFiles], tmp_path: Path) -> None:
    folder, _ = safe_weights(pickled(), tmp_path)
    content = (folder / "model.safetensors").read_bytes()
    folder.rename(folder.with_name(folder.name + ".partial"))
    (folder.with_name(folder.name + ".partial") / "model.safetensors").write_bytes(b"half")

    assert safe_weights(pickled(), tmp_path)[0] == folder
    assert (folder / "model.safetensors").read_bytes() == content


def test_other_weights_and_other_commits_get_folders_of_their_own(
    pickled: Callable[..., BackboneFiles], tmp_path: Path
) -> None:
    files = pickled()
    first, _ = safe_weights(files, tmp_path)
    at_commit, _ = safe_weights(replace(files, name="lab/codebert-tiny", revision=COMMIT), tmp_path)
    other, _ = safe_weights(pickled(extra=torch.ones(1)), tmp_path)

    assert len({first, at_commit, other}) == 3
    assert all(folder.name.startswith("codebert-tiny-") for folder in (first, at_commit, other))


def test_pickled_weights_of_the_hubs_cache_are_loaded_at_their_commit(
    pickled: Callable[..., BackboneFiles], model: RobertaForMaskedLM, tmp_path: Path
) -> None:
    snapshots = tmp_path / "hub" / "models--lab--codebert-tiny" / "snapshots"
    snapshots.mkdir(parents=True)
    pickled().folder.rename(snapshots / COMMIT)
    settings = TransformerSettings(backbone="lab/codebert-tiny", revision=COMMIT, pretrained="required", max_seq_len=64)
    files = choose_backbone(settings, ModelHub(cache_path=tmp_path / "hub")).files
    assert files is not None

    loaded = pretrained_backbone(files, settings, converted_path=tmp_path / "backbones")

    assert torch.equal(states(loaded.model.eval()), states(model.roberta))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_planted_pickle_is_refused_and_does_not_run(
    legacy: bool, pickled: Callable[..., BackboneFiles], tmp_path: Path
) -> None:
    files = pickled(legacy=legacy, planted=Planted(tmp_path / "ran"))
    with pytest.raises(
        SettingsInvalid, match=r"no file of weights alone \(it asks for posix\.system\)\. It could run code"
    ):
        safe_weights(files, tmp_path / "backbones")
    assert not (tmp_path / "ran").exists()

    pickle.loads(pickle.dumps(Planted(tmp_path / "ran")))
    assert (tmp_path / "ran").exists(), "the planted pickle does nothing, so the test shows nothing"


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04 and no more", b"version https://git-lfs.github.com/spec/v1\n"]
)
def test_what_is_no_file_of_torch_is_refused(
    content: bytes, pickled: Callable[..., BackboneFiles], tmp_path: Path
) -> None:
    files = pickled()
    (files.folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(SettingsInvalid, match=r"pytorch_model\.bin is (damaged|no file of weights)"):
        safe_weights(files, tmp_path / "backbones")


def test_a_half_file_is_refused(pickled: Callable[..., BackboneFiles], tmp_path: Path) -> None:
    for legacy in (False, True):
        files = pickled(legacy=legacy)
        path = files.folder / "pytorch_model.bin"
        path.write_bytes(path.read_bytes()[:-2000])
        with pytest.raises(SettingsInvalid, match="is damaged"):
            safe_weights(files, tmp_path / "backbones")


def test_a_checkpoint_that_is_more_than_tensors_by_name_is_refused(
    pickled: Callable[..., BackboneFiles], tmp_path: Path
) -> None:
    with pytest.raises(SettingsInvalid, match="must hold tensors by name"):
        safe_weights(pickled(epoch=3), tmp_path / "backbones")
