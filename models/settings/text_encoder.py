"""How any model reads text: a pretrained encoder, or a small one from nothing, and how its states become one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from models.settings.fields import IN_BUILD_KEY, INCIDENTAL, NAMED_INPUT, Settings

CODEBERT = "microsoft/codebert-base"
PINNED_REVISIONS = {
    CODEBERT: "3b0952feddeffad0063f274080e3c23d75e7eb39",
    "Salesforce/codet5-small": "a642dc934e5475185369d09ac07091dfe72a31fc",
    "Salesforce/codet5-base": "4078456db09ba972a3532827a0b5df4da172323c",
    "Salesforce/codet5p-220m": "2b92f36e2782341a50551759fdba0dd15e821f99",
}
"""Commit on the hub of each backbone that is used by name without a revision. Fetching another one asks for its own."""


class SmallEncoder(Settings):
    """The encoder that is trained from nothing where no pretrained one is used."""

    family: Literal["roberta", "t5"] = "roberta"
    """Class of the encoder: learned positions and post-norm, or relative positions and pre-norm."""
    hidden_dim: PositiveInt = 256
    """Width of a hidden state; a multiple of num_heads."""
    num_layers: NonNegativeInt = 4
    """Encoder layers; 0: a learned embedding layer alone, of token and place (family roberta) [layers]."""
    num_heads: PositiveInt = 4
    """Attention heads of each layer [heads]."""
    feedforward_dim: PositiveInt = 1024
    """Width inside the feed-forward part of a layer."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> SmallEncoder:
        if self.hidden_dim % self.num_heads:
            raise ValueError(f"hidden_dim {self.hidden_dim} cannot be shared by num_heads {self.num_heads}")
        if self.num_layers == 0 and self.family != "roberta":
            raise ValueError("num_layers 0, an embedding layer alone, is of family roberta; give 1 or more for t5")
        return self


class TextEncoder(Settings):
    """What reads the tokens of a text, whatever is made of its states."""

    backbone: Annotated[str, NAMED_INPUT] = CODEBERT
    """Hub name or folder of a pretrained encoder (RoBERTa, BERT, T5 … classes) with its tokenizer."""
    revision: Annotated[str | None, Field(pattern=r"^[0-9a-f]{40}$")] = None
    """Commit of the backbone on the hub; empty: that pinned here (CodeBERT, CodeT5 small and base, CodeT5+ 220M), or
    what the cache has."""
    pretrained: Literal["auto", "required", "off"] = "auto"
    """required: no training without the backbone's weights; auto: where they cannot be had, the small encoder is
    trained from nothing instead (said and recorded); off: always the small encoder."""
    allow_network: Annotated[bool, INCIDENTAL] = False
    """Let a hub name be fetched; off: only folders and the local cache."""
    small: SmallEncoder = SmallEncoder()
    """The encoder that is trained from nothing where no pretrained one is used."""
    reads_with: Literal["encoder", "encoder_decoder"] = "encoder"
    """What of a T5 backbone reads the text: its encoder, or encoder and decoder with the text given to both, as
    CodeT5's own defect code does (then with pooling eos). Other families have an encoder only."""
    pooling: Literal["cls", "attention", "mean", "eos"] = "cls"
    """One state of all tokens: the first token's, a learned weighting, the mean, or the last end-of-text token's."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """Share of activations dropped in training, in backbone and head."""
    max_seq_len: Annotated[int, Field(ge=8, le=16384)] = 512
    """Longest sequence the encoder reads at once, special tokens included [tokens]."""
    gradient_checkpointing: Annotated[bool, IN_BUILD_KEY] = False
    """Keep only layer inputs and compute the rest again for the gradient: less memory, about a third slower."""
    token_budget: PositiveInt = 8192
    """Tokens per micro-batch at most, padding counted; cuts a step into parts and changes no record of it [tokens]."""

    @model_validator(mode="after")
    def _decoder_is_there_and_read_at_its_end(self) -> TextEncoder:
        if self.reads_with == "encoder":
            return self
        if self.pooling != "eos":
            raise ValueError(
                f"reads_with encoder_decoder goes with pooling eos, not {self.pooling}: only the last token's state "
                "has seen the whole text; set pooling to eos, or reads_with to encoder"
            )
        if self.pretrained == "off" and self.small.family != "t5":
            raise ValueError(
                f"reads_with encoder_decoder needs a decoder, and small.family {self.small.family} has none; set "
                "small.family to t5, or reads_with to encoder"
            )
        return self
