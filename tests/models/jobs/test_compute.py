"""Device, precision and starting point are settled before anything is hashed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import EXIT_REFUSED, SettingsInvalid
from models.jobs import hardware
from models.jobs.build import build_of
from models.jobs.compute import resolved_compute
from models.settings.predict import PredictSettings
from models.settings.train import ComputeSettings, TrainSettings

Document = Callable[..., dict[str, Any]]
T5 = {"pretrained": "off", "small": {"family": "t5"}}
T5_DECODER = {**T5, "reads_with": "encoder_decoder", "pooling": "eos"}


@pytest.fixture
def train_settings(train_document: Document) -> Callable[..., TrainSettings]:
    def made(model: dict[str, Any], **compute: Any) -> TrainSettings:
        document = train_document()
        return TrainSettings.model_validate(document | {"model": model, "compute": compute})

    return made


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Pretends that there is a GPU of some compute capability."""

    def plugged(capability: float) -> None:
        monkeypatch.setattr(hardware, "gpu_class", lambda: ("Some GPU", capability))

    return plugged


@pytest.mark.parametrize(
    ("capability", "model", "precision"),
    [
        (9.0, {"kind": "transformer", "pretrained": "off"}, "bf16"),
        (9.0, {"kind": "transformer", **T5}, "bf16"),
        (8.0, {"kind": "transformer", **T5_DECODER}, "bf16"),
        (7.5, {"kind": "transformer", "pretrained": "off"}, "fp16"),
        (7.5, {"kind": "transformer", **T5}, "off"),
        (7.5, {"kind": "transformer", **T5_DECODER}, "off"),
        (7.5, {"kind": "gnn"}, "fp16"),
    ],
)
def test_auto_takes_what_hardware_and_model_bear(
    train_settings: Callable[..., TrainSettings],
    gpu: Callable[[float], None],
    capability: float,
    model: dict[str, Any],
    precision: str,
):
    gpu(capability)
    settings = train_settings(model)
    assert resolved_compute(settings) == ComputeSettings(device="cuda", precision=precision)  # type: ignore[arg-type]
    machine = build_of(settings).machine
    assert (machine["device"], machine["precision"]) == ("cuda", precision)


@pytest.mark.parametrize(
    ("config", "precision"),
    [
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "off"),  # CodeT5 and CodeT5+ 220M, 770M
        ({"model_type": "roberta", "architectures": ["RobertaModel"], "max_position_embeddings": 514}, "fp16"),
    ],
)
def test_a_gpu_without_bf16_trains_a_pretrained_backbone_as_its_family_bears(
    train_settings: Callable[..., TrainSettings],
    gpu: Callable[[float], None],
    config: dict[str, Any],
    precision: str,
    tmp_path: Path,
):
    gpu(7.5)
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).touch()
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = {"kind": "transformer", "backbone": str(tmp_path), "pretrained": "required"}
    assert resolved_compute(train_settings(model)).precision == precision


def test_on_the_cpu_auto_is_off(train_settings: Callable[..., TrainSettings]):
    resolved = resolved_compute(train_settings({"kind": "transformer", "pretrained": "off"}, device="cpu"))
    assert (resolved.device, resolved.precision) == ("cpu", "off")


@pytest.mark.parametrize(
    ("model", "device", "message"),
    [
        (T5 | {"kind": "transformer"}, "cuda", "activations of t5 models overflow"),
        (T5_DECODER | {"kind": "transformer"}, "cuda", "activations of t5 models overflow"),
        ({"kind": "gnn"}, "cpu", "fp16 needs a GPU"),
    ],
)
def test_fp16_is_refused_where_it_cannot_be(
    train_settings: Callable[..., TrainSettings], model: dict[str, Any], device: str, message: str
):
    with pytest.raises(SettingsInvalid, match=message) as refused:
        build_of(train_settings(model, device=device, precision="fp16"))
    assert refused.value.exit_code == EXIT_REFUSED


def test_a_prediction_is_not_made_in_fp16_by_a_t5_either(
    train_document: Document, gpu: Callable[[float], None], tmp_path: Path
):
    gpu(7.5)
    trained = train_document() | {"model": {"kind": "transformer", "pretrained": "auto"}}
    (tmp_path / "settings.json").write_text(json.dumps(trained))
    for family, precision in (("t5", "off"), ("roberta", "fp16")):
        (tmp_path / "result.json").write_text(json.dumps({"numbers": {"backbone": {"family": family}}}))
        settings = PredictSettings(model_run=tmp_path, data=tmp_path)
        assert resolved_compute(settings).precision == precision


def test_a_prediction_from_an_unfinished_run_is_refused_in_words(
    train_document: Document, gpu: Callable[[float], None], tmp_path: Path
):
    gpu(7.5)
    trained = train_document() | {"model": {"kind": "transformer"}}
    (tmp_path / "settings.json").write_text(json.dumps(trained))
    with pytest.raises(SettingsInvalid, match="is not finished"):
        resolved_compute(PredictSettings(model_run=tmp_path, data=tmp_path))
