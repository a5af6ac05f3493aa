from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.data.backbone_config import allows_fp16, check_config, max_positions
from models.errors import SettingsInvalid
from models.settings.transformer import TransformerSettings

PATH = Path("somewhere/config.json")
ROBERTA = {"model_type": "roberta", "vocab_size": 500, "max_position_embeddings": 514, "pad_token_id": 1}
T5 = {"model_type": "t5", "is_encoder_decoder": True, "decoder_start_token_id": 0}
WITH_DECODER = {"reads_with": "encoder_decoder", "pooling": "eos"}


def asked(**changes: Any) -> TransformerSettings:
    return TransformerSettings(**{"backbone": "lab/tiny", **changes})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "own_kind", "auto_map": {"AutoConfig": "code.Config"}}, r"lab/tiny .* brings its own code"),
        ({"vocab_size": 500}, r"somewhere/config\.json has no model_type"),
        ({**ROBERTA, "quantization_config": {"quant_method": "gptq"}}, "sets quantization_config"),
    ],
)
def test_a_config_that_cannot_be_used_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsInvalid, match=message):
        check_config(config, PATH, asked())


def test_code_beside_a_class_of_transformers_is_left_alone() -> None:
    check_config({**ROBERTA, "auto_map": {"AutoModel": "code.Model"}}, PATH, asked())


def test_a_sequence_beyond_the_positions_is_refused_with_the_largest() -> None:
    check_config(ROBERTA, PATH, asked(max_seq_len=512))
    with pytest.raises(SettingsInvalid, match=r"max_seq_len 513 is beyond the positions of .*; give 512 or less"):
        check_config(ROBERTA, PATH, asked(max_seq_len=513))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ROBERTA, "config.json is of roberta: set reads_with to encoder, or give one such as Salesforce/codet5-base"),
        ({"model_type": "bart", "is_encoder_decoder": True}, "is of bart"),
        ({**T5, "is_encoder_decoder": False}, "is an encoder's alone .* or give the whole model"),
        ({**T5, "decoder_start_token_id": None}, "has no decoder_start_token_id"),
    ],
)
def test_a_backbone_whose_decoder_cannot_read_the_text_is_refused(config: dict[str, Any], message: str) -> None:
    check_config(config, PATH, asked(pooling="eos"))
    with pytest.raises(SettingsInvalid, match=message):
        check_config(config, PATH, asked(**WITH_DECODER))


@pytest.mark.parametrize("family", ["t5", "mt5", "umt5"])
def test_a_whole_t5_reads_with_its_decoder(family: str) -> None:
    check_config({**T5, "model_type": family}, PATH, asked(**WITH_DECODER))


@pytest.mark.parametrize(
    ("config", "largest"),
    [
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 0}, 513),
        ({"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 0}, 512),
        ({"model_type": "t5", "n_positions": 512}, None),
    ],
)
def test_the_longest_sequence_is_what_the_table_of_positions_leaves(
    config: dict[str, Any], largest: int | None
) -> None:
    assert max_positions(config) == largest


def test_only_t5_families_refuse_fp16() -> None:
    refusing = {family for family in ("roberta", "bert", "t5", "mt5", "umt5") if not allows_fp16(family)}
    assert refusing == {"t5", "mt5", "umt5"}
