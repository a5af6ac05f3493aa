"""What a backbone's config.json says of how it can be used here: its class, its longest sequence, decoder, precision.

Read as plain JSON, before any library is loaded. Where the file comes from is in ``backbone_files.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.errors import SettingsInvalid
from models.settings.text_encoder import TextEncoder

POSITIONS_AFTER_PADDING = frozenset(
    {"camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta", "roberta-prelayernorm"}
    | {"xlm-roberta", "xlm-roberta-xl"}
)
"""Families that number positions from the padding id on, so that the first few of the table are never used."""
OVERFLOWING_FAMILIES = frozenset({"mt5", "t5", "t5gemma", "umt5"})
"""Families whose activations are known to leave the range of fp16."""
FAMILIES_WITH_DECODER = frozenset({"mt5", "t5", "umt5"})
"""Families whose decoder can read the text too (``reads_with`` encoder_decoder)."""


def check_config(config: dict[str, Any], path: Path, settings: TextEncoder) -> None:
    """Refuse a backbone that cannot be used, or not with these settings.

    Args:
        config: Content of config.json.
        path: Where it lies.
        settings: Name of the backbone, longest sequence, and what reads the text.

    Raises:
        SettingsInvalid: which key does not fit, and what to give. Not retried.
    """
    family = config.get("model_type")
    if not isinstance(family, str):
        raise SettingsInvalid(f"backbone: {path} has no model_type; give a folder that save_pretrained wrote")
    if "auto_map" in config and not _is_known(family):
        raise SettingsInvalid(
            f"backbone: {settings.backbone} (model_type {family}) brings its own code, and code of others is never run "
            "here; give a backbone whose class is in transformers"
        )
    for key in ("quantization_config", "transformers_weights"):
        if config.get(key) is not None:
            raise SettingsInvalid(
                f"backbone: {path} sets {key}; give one with plain weights in a file of the usual name"
            )
    _check_length(config, settings)
    if settings.reads_with == "encoder_decoder":
        _check_decoder(config, path, family)


def _is_known(family: str) -> bool:
    from transformers import CONFIG_MAPPING  # seconds, for the few configurations that name code

    return family in CONFIG_MAPPING


def _check_length(config: dict[str, Any], settings: TextEncoder) -> None:
    largest = max_positions(config)
    if largest is not None and settings.max_seq_len > largest:
        raise SettingsInvalid(
            f"max_seq_len {settings.max_seq_len} is beyond the positions of {settings.backbone}; give {largest} or less"
        )


def _check_decoder(config: dict[str, Any], path: Path, family: str) -> None:
    if family not in FAMILIES_WITH_DECODER:
        raise SettingsInvalid(
            f"reads_with encoder_decoder needs a backbone of the T5 family, and {path} is of {family}: set reads_with "
            "to encoder, or give one such as Salesforce/codet5-base"
        )
    if not config.get("is_encoder_decoder", True):
        raise SettingsInvalid(
            f"reads_with encoder_decoder needs a decoder, and {path} is an encoder's alone (is_encoder_decoder false): "
            "set reads_with to encoder, or give the whole model"
        )
    if not isinstance(config.get("decoder_start_token_id"), int):
        raise SettingsInvalid(
            f"reads_with encoder_decoder: {path} has no decoder_start_token_id, by which the decoder begins; add the "
            "one it was trained with (T5's is the padding id)"
        )


def max_positions(config: dict[str, Any]) -> int | None:
    """Longest sequence that a backbone reads, special tokens included [tokens]; ``None``: no limit.

    Args:
        config: Content of config.json.
    """
    largest = config.get("max_position_embeddings")
    if not isinstance(largest, int):
        return None
    if config.get("model_type") not in POSITIONS_AFTER_PADDING:
        return largest
    padding = config.get("pad_token_id")
    return largest - (1 if padding is None else int(padding)) - 1


def allows_fp16(family: str) -> bool:
    """Whether a family of backbones can be trained in fp16; activations of T5's overflow.

    Args:
        family: A config's model_type.
    """
    return family not in OVERFLOWING_FAMILIES
