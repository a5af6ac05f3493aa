"""Attention of pretrained encoders computed our way, in training: softmax(Q K' · scale + bias, masked), dropout, · V.

The same function as transformers' own, and faster on the CPU. torch's attention with dropout writes each ``B H T K``
tensor to memory a dozen times and draws a float per element. Here a piece that fits the processor's caches goes through
all steps at once, and what is dropped is drawn sixteen bits at a time (``models.nn.dropout``). On other devices and in
mixed precision plain products are taken: on a GPU torch's fused gradient with a mask has no fixed order. Without
gradients torch's fused attention is used as it is.

Shape letters: B sequences, H heads, T queries, K keys, D width of a head, N sequences times heads of a piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import bidirectional_mask_function, sdpa_mask

from models.errors import SettingsInvalid
from models.nn.dropout import NUM_LEVELS, Dropout, boost, draw_bits, draws_here, num_dropped_levels
from models.nn.token_embedding import TokenEmbedding

ATTENTION_NAME = "codewarden"
"""What transformers knows this attention by; never written to a config.json."""
PIECE_ELEMENTS = 1 << 20
"""Scores of one piece for each thread: four megabytes, a core's share of the caches."""
NOT_COMPUTED = ("softcap", "s_aux")
"""Arguments of other attentions that change the result."""


def use_own_kernels(backbone: PreTrainedModel) -> None:
    """Let a backbone compute attention, dropout and the gradient of its token embedding by our code.

    Names, weights and what ``save_pretrained`` writes stay as they are. A decoder's attention, to what came before and
    to the encoder, is computed alike. Encoders with an attention of their own kind (DeBERTa) keep it.
    """
    AttentionInterface.register(ATTENTION_NAME, _attention_of_module)
    AttentionMaskInterface.register(ATTENTION_NAME, _mask)
    backbone.set_attn_implementation(ATTENTION_NAME)
    tokens = backbone.get_input_embeddings().weight
    for module in backbone.modules():
        if type(module) is nn.Dropout:
            module.__class__ = Dropout
        elif type(module) is nn.Embedding and module.weight is tokens and _is_plain(module):
            module.__class__ = TokenEmbedding  # T5 has one for each of its halves, with the same weights


def _is_plain(embedding: nn.Embedding) -> bool:
    return embedding.max_norm is None and not embedding.scale_grad_by_freq


def attention(
    query_BHTD: Tensor,
    key_BHKD: Tensor,
    value_BHKD: Tensor,
    *,
    mask: Tensor | None,
    bias: Tensor | None,
    scale: float,
    rate: float,
) -> Tensor:
    """Attention with dropout of its probabilities: ``(B, T, H, D)``.

    Args:
        query_BHTD: Queries.
        key_BHKD: Keys.
        value_BHKD: Values.
        mask: Boolean, true where a key is seen; broadcasts to ``(B, H, T, K)``.
        bias: Added to the scaled scores; ``(1 or B, H, T, K)``.
        scale: Of the scores.
        rate: Share of the probabilities that is dropped.
    """
    if draws_here(query_BHTD) and query_BHTD.dtype == key_BHKD.dtype == value_BHKD.dtype:
        added = None if mask is None else _added(mask, query_BHTD.dtype)
        result: Tensor = _Attention.apply(query_BHTD, key_BHKD, value_BHKD, added, bias, scale, rate)  # type: ignore[no-untyped-call]
        return result
    scores_BHTK = (query_BHTD * scale) @ key_BHKD.transpose(2, 3)  # scaled first: half precision ends at 65504
    if bias is not None:
        scores_BHTK = scores_BHTK + bias.to(scores_BHTK.dtype)
    if mask is not None:
        scores_BHTK = scores_BHTK.masked_fill(~mask, torch.finfo(scores_BHTK.dtype).min)
    # The type is given so that mixed precision does not widen what is the largest tensor of the model.
    probabilities_BHTK = torch.softmax(scores_BHTK, dim=-1, dtype=scores_BHTK.dtype)
    return (functional.dropout(probabilities_BHTK, rate) @ value_BHKD).transpose(1, 2)


class _Attention(torch.autograd.Function):
    """Piece by piece; probabilities and sixteen random bits each are kept for the gradient, and nothing else."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        added: Tensor | None,
        bias: Tensor | None,
        scale: float,
        rate: float,
    ) -> Tensor:
        probabilities_BHTK = query.new_empty(*query.shape[:3], key.shape[2])
        bits_BHTK = draw_bits(probabilities_BHTK.shape) if rate else None
        num_dropped = num_dropped_levels(rate)
        result_BHTD = _empty_projection((*query.shape[:3], value.shape[3]), query)
        for piece in _pieces(probabilities_BHTK.shape):
            scores_NTK = _rows(probabilities_BHTK, piece)
            keys_NDK = _rows(key, piece).transpose(1, 2)
            torch.baddbmm(scores_NTK, _rows(query, piece), keys_NDK, beta=0, alpha=scale, out=scores_NTK)
            for term in (bias, added):
                if term is not None:
                    probabilities_BHTK[piece].add_(term[_within(term, piece)])
            used_NTK = torch.softmax(scores_NTK, dim=-1, out=scores_NTK)
            if bits_BHTK is not None:
                used_NTK = _kept(_rows(bits_BHTK, piece), num_dropped, query.dtype).mul_(used_NTK)
            _put(result_BHTD, piece, torch.bmm(used_NTK, _rows(value, piece)), boost(num_dropped))
        ctx.save_for_backward(query, key, value, probabilities_BHTK, bits_BHTK)
        ctx.scale, ctx.num_dropped = scale, num_dropped
        # A decoder's attention to the encoder has a bias of zeros that nothing learns.
        ctx.bias_shape = bias.shape if bias is not None and ctx.needs_input_grad[4] else None
        return result_BHTD.transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, probabilities_BHTK, bits_BHTK = ctx.saved_tensors
        by_query, by_key, by_value = (_empty_projection(own.shape, own) for own in (query, key, value))
        by_bias = None if ctx.bias_shape is None else query.new_zeros(ctx.bias_shape)
        by_result_BHTD = gradients[0].transpose(1, 2)
        for piece in _pieces(probabilities_BHTK.shape):
            used_NTK = probabilities_NTK = _rows(probabilities_BHTK, piece)
            by_result_NTD = _rows(by_result_BHTD, piece) * boost(ctx.num_dropped)
            by_score_NTK = torch.bmm(by_result_NTD, _rows(value, piece).transpose(1, 2))
            if bits_BHTK is not None:
                kept_NTK = _kept(_rows(bits_BHTK, piece), ctx.num_dropped, query.dtype)
                by_score_NTK.mul_(kept_NTK)
                used_NTK = kept_NTK.mul_(probabilities_NTK)
            _put(by_value, piece, torch.bmm(used_NTK.transpose(1, 2), by_result_NTD))
            torch.ops.aten._softmax_backward_data.out(  # noqa: SLF001 — has no public name
                by_score_NTK, probabilities_NTK, -1, query.dtype, grad_input=by_score_NTK
            )
            if by_bias is not None:
                term = by_bias[_within(by_bias, piece)]
                term += by_score_NTK.view(probabilities_BHTK[piece].shape).sum_to_size(term.shape)
            _put(by_query, piece, torch.bmm(by_score_NTK, _rows(key, piece)), ctx.scale)
            _put(by_key, piece, torch.bmm(by_score_NTK.transpose(1, 2), _rows(query, piece)), ctx.scale)
        return by_query, by_key, by_value, None, by_bias, None, None


Piece = tuple[slice, slice]
"""Some sequences with all heads, or some heads of one sequence; N of both together."""


def _pieces(shape: Sequence[int]) -> Iterator[Piece]:
    """All pieces of ``(B, H, T, K)`` scores."""
    B, H, T, K = shape
    elements = PIECE_ELEMENTS * torch.get_num_threads()
    num_heads = min(H, max(1, elements // (T * K)))
    num_sequences = max(1, elements // (H * T * K)) if num_heads == H else 1
    for sequence in range(0, B, num_sequences):
        for head in range(0, H, num_heads):
            yield slice(sequence, sequence + num_sequences), slice(head, head + num_heads)


def _rows(tensor: Tensor, piece: Piece) -> Tensor:
    """``(N, …)``; a copy only where several sequences do not lie behind each other."""
    return tensor[piece].flatten(0, 1)


def _put(tensor: Tensor, piece: Piece, rows: Tensor, factor: float = 1.0) -> None:
    """Write scaled rows where a piece belongs."""
    place = tensor[piece]
    torch.mul(rows.view(place.shape), factor, out=place)


def _within(term: Tensor, piece: Piece) -> Piece:
    """Where a term that may be the same for all sequences or heads has what belongs to a piece."""
    sequences, heads = piece
    everything = slice(None)
    return (sequences if term.shape[0] > 1 else everything), (heads if term.shape[1] > 1 else everything)


def _kept(bits: Tensor, num_dropped: int, dtype: torch.dtype) -> Tensor:
    """1 where an element stays and 0 where it is dropped. The bits have a sign here; any share of them would do."""
    return torch.ge(bits, num_dropped - NUM_LEVELS // 2, out=torch.empty(bits.shape, dtype=dtype))


def _empty_projection(shape: Sequence[int], like: Tensor) -> Tensor:
    """Empty ``(B, H, T, D)``, in memory as the projections of the states are: ``(B, T, H, D)``."""
    B, H, T, D = shape
    return like.new_empty(B, T, H, D).transpose(1, 2)


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A boolean mask as a term of the scores."""
    return torch.zeros(mask.shape, dtype=dtype).masked_fill_(~mask, torch.finfo(dtype).min)


def _attention_of_module(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    position_bias: Tensor | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """How transformers calls an attention: ``(B, T, H, D)``, and no probabilities."""
    if dropout == 0.0 and not torch.is_grad_enabled():
        shared = {"scaling": scaling, "position_bias": position_bias, **others}
        return sdpa_attention_forward(module, query, key, value, attention_mask, **shared)
    unknown = [name for name in NOT_COMPUTED if others.get(name) is not None]
    if unknown:
        raise SettingsInvalid(
            f"backbone: {type(module).__name__} asks for attention with {unknown[0]}, which cannot be trained here; "
            "give another encoder"
        )
    groups = query.shape[1] // key.shape[1]
    if groups > 1:  # heads that share their keys
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    result = attention(query, key, value, mask=attention_mask, bias=position_bias, scale=scale, rate=dropout)
    return result, None


def _mask(*, q_length: int, mask_function: Callable[..., Any], **others: Any) -> Tensor | None:
    """Boolean mask, true where a key is seen; ``None`` where all are. One row where all queries see the same."""
    if mask_function is bidirectional_mask_function:
        q_length = 1
    mask: Tensor | None = sdpa_mask(
        q_length=q_length, mask_function=mask_function, **{**others, "allow_is_causal_skip": False}
    )
    return mask
