"""The state of each token of a text, as a backbone gives it.

Shape letters: W windows, T tokens, H width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import PreTrainedModel


def encoder_states(backbone: PreTrainedModel, ids_WT: Tensor, mask_WT: Tensor | None) -> Tensor:
    """What an encoder makes of a text: ``(W, T, H)``.

    Args:
        backbone: Encoder.
        ids_WT: int64.
        mask_WT: bool, false where filled up; ``None`` where nothing is: attention then has nothing to add.
    """
    states_WTH: Tensor = backbone(input_ids=ids_WT, attention_mask=mask_WT).last_hidden_state
    return states_WTH


def decoder_states(backbone: PreTrainedModel, ids_WT: Tensor, mask_WT: Tensor | None) -> Tensor:
    """What a decoder makes of a text that its encoder has read as well: ``(W, T, H)``.

    It is given the text shifted right, behind its start token, as ``T5ForConditionalGeneration`` does with labels. The
    state in a token's place has seen the tokens before it, and all of them through the encoder.

    Args:
        backbone: Encoder and decoder, such as ``T5Model``.
        ids_WT: As in :func:`encoder_states`.
        mask_WT: As in :func:`encoder_states`; for encoder and decoder alike.

    Source:
        Wang et al. 2021, arXiv:2109.00859, the authors' code for defect detection.
    """
    start_W1 = torch.full_like(ids_WT[:, :1], backbone.config.decoder_start_token_id)
    states_WTH: Tensor = backbone(
        input_ids=ids_WT,
        attention_mask=mask_WT,
        decoder_input_ids=torch.cat([start_W1, ids_WT[:, :-1]], dim=1),
        decoder_attention_mask=mask_WT,
        use_cache=False,  # is for generation, and would keep keys and values of every layer
    ).last_hidden_state
    return states_WTH


READERS: dict[str, Callable[[PreTrainedModel, Tensor, Tensor | None], Tensor]] = {
    "encoder": encoder_states,
    "encoder_decoder": decoder_states,
}
