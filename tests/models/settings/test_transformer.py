from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from models.settings.text_encoder import CODEBERT, PINNED_REVISIONS
from models.settings.transformer import TransformerSettings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "goes with pooling eos, not cls: .* set pooling to eos, or reads_with to encoder"),
        ({"pooling": "mean"}, "goes with pooling eos, not mean"),
        (
            {"pooling": "eos", "pretrained": "off"},
            "small.family roberta has none; set small.family to t5, or reads_with to encoder",
        ),
    ],
)
def test_a_decoder_that_is_not_there_or_not_read_at_its_end_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TransformerSettings(reads_with="encoder_decoder", **changes)


@pytest.mark.parametrize("pooling", ["cls", "attention", "mean", "eos"])
def test_an_encoder_goes_with_every_pooling(pooling: Any) -> None:
    assert TransformerSettings(pooling=pooling, pretrained="off").reads_with == "encoder"


def test_pinned_commits_are_whole() -> None:
    assert CODEBERT in PINNED_REVISIONS
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for commit in PINNED_REVISIONS.values())
