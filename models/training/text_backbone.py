"""The backbone that a model of texts begins from: pretrained where it can be had, else the small encoder, as told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from transformers import PreTrainedModel

from models.data.backbone_files import BackboneChoice, choose_backbone, fetch_backbone
from models.data.record_tokenizer import RecordTokenizer
from models.data.tokenizer_agreement import check_tokenizer
from models.errors import BuildDiffers, SettingsInvalid
from models.jobs.contract import JobContext
from models.jobs.layout import BUILD_FILE
from models.nn.backbones import LoadedBackbone, TokenIds, pretrained_backbone, small_backbone
from models.settings.text_encoder import TextEncoder

CONVERTED_FOLDER = "backbones"
"""Under the run root: weights that came as .bin, as safetensors."""


class BegunBackbone(NamedTuple):
    """A backbone before its first step.

    Args:
        model: What reads tokens.
        identity: What it began from, for the result; JSON values without paths.
        notices: What a person must be told.
    """

    model: PreTrainedModel
    identity: dict[str, Any]
    notices: tuple[str, ...]


def begin_backbone(settings: TextEncoder, tokenizer: RecordTokenizer, context: JobContext) -> BegunBackbone:
    """Pretrained weights where they can be had, else the small encoder, initialised with torch's random state as it is.

    Raises:
        SettingsInvalid: no backbone where one is required, or one that does not fit records or settings. Not retried.
        BuildDiffers: what is at hand is not what was settled on when the run was named. Not retried.
        StoreUnavailable: the hub did not answer for weights that were settled on. Retried.
    """
    _check_ending(settings, tokenizer)
    choice = choose_backbone(settings)
    _check_planned(choice, context.run_path)
    if choice.files is None:
        ids = TokenIds(tokenizer.vocab_size, tokenizer.special.pad, tokenizer.bos, tokenizer.eos)
        loaded = LoadedBackbone(small_backbone(settings, ids), _fallback(choice, settings))
    else:
        fetch_backbone(choice.files, settings)
        check_tokenizer(choice.files, tokenizer.folder)
        loaded = pretrained_backbone(choice.files, settings, converted_path=context.runs_path / CONVERTED_FOLDER)
    return BegunBackbone(loaded.model, _identity(choice), loaded.notices)


def _identity(choice: BackboneChoice) -> dict[str, Any]:
    """What the result says the model began from."""
    return {
        "identity": choice.identity,
        "family": choice.family,
        "pretrained": choice.files is not None,
        "reason": choice.reason,
    }


def _check_ending(settings: TextEncoder, tokenizer: RecordTokenizer) -> None:
    """Refuse to pool by the token that ends a text where there is none."""
    if settings.pooling == "eos" and len(tokenizer.special.suffix) == 0:
        raise SettingsInvalid(
            f"pooling eos: the tokenizer in {tokenizer.folder} puts no token behind a text; give another pooling, or "
            "preprocess with a tokenizer that ends texts (as RoBERTa's and CodeT5's do)"
        )


def _check_planned(choice: BackboneChoice, run_path: Path) -> None:
    """Refuse to train anything but what the run was named by: weights may have come or gone since."""
    path = run_path / BUILD_FILE
    if not path.is_file():
        return
    planned = json.loads(path.read_bytes())["machine"].get("backbone")
    if planned != choice.identity:
        raise BuildDiffers(run_path, [f"backbone: {planned} then, {choice.identity} now"])


def _fallback(choice: BackboneChoice, settings: TextEncoder) -> tuple[str, ...]:
    """Said loudly where pretrained weights were wanted and are not there."""
    if settings.pretrained == "off":
        return ()
    return (
        f"NOT PRETRAINED: {choice.detail}. A {choice.identity} is trained instead; its scores say little about "
        f"{settings.backbone}. Set model.pretrained to required to refuse, or to off to mean it.",
    )
