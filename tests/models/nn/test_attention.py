from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5EncoderModel,
    T5GemmaConfig,
    T5GemmaEncoderModel,
    T5Model,
)
from transformers.models.t5gemma.configuration_t5gemma import T5GemmaModuleConfig

from models.errors import SettingsInvalid
from models.nn import attention as attention_module
from models.nn.attention import attention, use_own_kernels
from models.nn.dropout import NUM_LEVELS, boost, draw_bits, num_dropped_levels
from models.nn.token_embedding import TokenEmbedding
from models.nn.token_states import decoder_states, encoder_states

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}
SPECIAL = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}


def roberta(rate: float) -> PreTrainedModel:
    config = RobertaConfig(**SIZES, hidden_dropout_prob=rate, attention_probs_dropout_prob=rate)
    return RobertaModel(config, add_pooling_layer=False)


def bert(rate: float) -> PreTrainedModel:
    config = BertConfig(**SIZES, hidden_dropout_prob=rate, attention_probs_dropout_prob=rate)
    return BertModel(config, add_pooling_layer=False)


def modernbert(rate: float) -> PreTrainedModel:
    """Sees a window of neighbours in one of its layers."""
    dropout = {"attention_dropout": rate, "embedding_dropout": rate, "mlp_dropout": rate}
    return ModernBertModel(ModernBertConfig(**SIZES, **SPECIAL, **dropout, local_attention=6))


def t5(rate: float) -> PreTrainedModel:
    """Adds a learned bias to the scores and does not scale them."""
    return T5EncoderModel(t5_config(rate))


def t5_with_decoder(rate: float) -> PreTrainedModel:
    """Looks back, and at what its encoder made, beside."""
    return T5Model(t5_config(rate))


def t5_config(rate: float) -> T5Config:
    sizes = {"d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4}
    return T5Config(vocab_size=50, **sizes, dropout_rate=rate, pad_token_id=1, decoder_start_token_id=1)


FAMILIES = [roberta, bert, modernbert, t5, t5_with_decoder]


@pytest.fixture(autouse=True)
def as_in_training(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kernels without a fixed order are an error, and new tensors are NaN until they are written."""
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.set_deterministic_debug_mode("error")
    torch.manual_seed(0)
    yield
    torch.set_deterministic_debug_mode("default")


@pytest.fixture(params=[True, False], ids=["padded", "full"])
def inputs(request: pytest.FixtureRequest) -> dict[str, Tensor]:
    ids = torch.randint(5, 50, (3, 20))
    seen = torch.ones(3, 20, dtype=torch.bool)
    if request.param:
        seen[1, 11:] = seen[2, 4:] = False
    return {"input_ids": ids.masked_fill(~seen, 1), "attention_mask": seen}


def with_own_kernels(model: PreTrainedModel) -> PreTrainedModel:
    twin = copy.deepcopy(model)
    use_own_kernels(twin)
    return twin


def states(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Tensor:
    """Hidden states; zeros where there is padding, where implementations differ at will."""
    read = decoder_states if isinstance(model, T5Model) else encoder_states
    return read(model, inputs["input_ids"], inputs["attention_mask"]) * inputs["attention_mask"][..., None]


def gradients(model: PreTrainedModel, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    weights = torch.linspace(-1, 1, 3 * 20 * 16).view(3, 20, 16)
    model.zero_grad()
    (states(model, inputs) * weights).sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_gives_the_states_it_gave_before(
    family: Callable[[float], PreTrainedModel], implementation: str, inputs: dict[str, Tensor]
):
    model = family(0.1).eval()
    model.set_attn_implementation(implementation)
    with torch.no_grad():
        found, expected = states(with_own_kernels(model), inputs), states(model, inputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_gradient_is_the_one_it_was_before(family: Callable[[float], PreTrainedModel], inputs: dict[str, Tensor]):
    model = family(0.0).train()
    model.set_attn_implementation("eager")
    expected, found = gradients(model, inputs), gradients(with_own_kernels(model), inputs)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_checkpointing_drops_the_same_again(
    family: Callable[[float], PreTrainedModel], inputs: dict[str, Tensor]
):
    model = with_own_kernels(family(0.2)).train()
    torch.manual_seed(3)
    expected = gradients(model, inputs)
    model.activation_checkpointing_enable({"use_reentrant": False})
    torch.manual_seed(3)
    found = gradients(model, inputs)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("family", [roberta, t5, t5_with_decoder])
def test_every_token_embedding_takes_the_short_way_to_its_gradient(
    family: Callable[[float], PreTrainedModel], inputs: dict[str, Tensor]
):
    model = family(0.0).train()
    own = with_own_kernels(model)
    tokens = own.get_input_embeddings().weight
    assert {type(module) for module in own.modules() if getattr(module, "weight", None) is tokens} == {TokenEmbedding}
    expected = gradients(model, inputs)
    gradients(own, inputs)
    (states(own, inputs) * torch.linspace(-1, 1, 3 * 20 * 16).view(3, 20, 16)).sum().backward()  # added to the first
    torch.testing.assert_close(tokens.grad, 2 * expected[tokens_name(model)], rtol=1e-3, atol=1e-4)


def tokens_name(model: PreTrainedModel) -> str:
    tokens = model.get_input_embeddings().weight
    return next(name for name, parameter in model.named_parameters() if parameter is tokens)


def test_it_trains_in_mixed_precision(inputs: dict[str, Tensor]):
    model = with_own_kernels(roberta(0.0)).train()
    expected = gradients(model, inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gradients(model, inputs)
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() <= 0.1 * gradient.norm() + 1e-3, name


def test_what_is_saved_is_the_encoder_as_it_came(tmp_path: Path, inputs: dict[str, Tensor]):
    model = roberta(0.1).eval()
    model.save_pretrained(tmp_path / "before")
    own = with_own_kernels(model)
    own.save_pretrained(tmp_path / "after")
    for before in (tmp_path / "before").iterdir():
        assert (tmp_path / "after" / before.name).read_bytes() == before.read_bytes()
    read = AutoModel.from_pretrained(tmp_path / "after", add_pooling_layer=False)
    with torch.no_grad():
        torch.testing.assert_close(states(read, inputs), states(own, inputs), rtol=0, atol=1e-5)


def test_an_attention_that_is_not_ours_is_refused_in_training(inputs: dict[str, Tensor]):
    sizes = {name: value for name, value in SIZES.items() if name != "pad_token_id"}
    encoder = T5GemmaModuleConfig(**sizes, num_key_value_heads=2, head_dim=4, attn_logit_softcapping=5.0)
    model = T5GemmaEncoderModel(T5GemmaConfig(encoder=encoder, decoder=encoder, is_encoder_decoder=False)).train()
    use_own_kernels(model)
    with pytest.raises(SettingsInvalid, match="softcap, which cannot be trained here; give another encoder"):
        model(**inputs)


def projections(*, num_keys: int = 7, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of 3 sequences and 4 heads, in memory as an encoder has them."""
    return (
        torch.randn(3, 6, 4, 5, **options).transpose(1, 2),
        torch.randn(3, num_keys, 4, 5, **options).transpose(1, 2),
        torch.randn(3, num_keys, 4, 2, **options).transpose(1, 2),
    )


@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("piece_elements", [1, 6 * 7 * 2, 1 << 20], ids=["a head", "two heads", "everything"])
def test_the_gradients_are_those_of_the_function(rate: float, piece_elements: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attention_module, "PIECE_ELEMENTS", piece_elements)
    inputs = [tensor.detach().requires_grad_() for tensor in projections(dtype=torch.double)]
    bias = torch.randn(1, 4, 6, 7, dtype=torch.double, requires_grad=True)
    mask = torch.arange(7) < torch.tensor([7, 4, 1])[:, None, None, None]

    def same_draws(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        torch.manual_seed(1)
        return attention(query, key, value, mask=mask, bias=bias, scale=0.4, rate=rate)

    assert torch.autograd.gradcheck(same_draws, (*inputs, bias), fast_mode=True)


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_pieces_change_nothing(rate: float, monkeypatch: pytest.MonkeyPatch):
    query, key, value = projections()
    results = []
    for elements in (1, 6 * 7 * 2, 6 * 7 * 4 * 2, 1 << 20):
        monkeypatch.setattr(attention_module, "PIECE_ELEMENTS", elements)
        torch.manual_seed(1)
        results.append(attention(query, key, value, mask=None, bias=None, scale=0.4, rate=rate))
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])


def test_dropout_falls_on_the_probabilities_as_the_bits_say():
    query, key, value = projections()
    torch.manual_seed(1)
    found = attention(query, key, value, mask=None, bias=None, scale=0.4, rate=0.3)
    torch.manual_seed(1)
    num_dropped = num_dropped_levels(0.3)
    kept = (draw_bits((3, 4, 6, 7)) >= num_dropped - NUM_LEVELS // 2) * boost(num_dropped)
    expected = ((query @ key.transpose(2, 3) * 0.4).softmax(-1) * kept) @ value
    torch.testing.assert_close(found, expected.transpose(1, 2))


@pytest.mark.parametrize("num_threads", [1, 2])
def test_the_share_that_is_asked_for_is_dropped_whatever_the_number_of_threads(num_threads: int):
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        queries, keys = torch.zeros(2, 1, 300, 1), torch.zeros(2, 1, 200, 1)
        everything = torch.eye(200).expand(2, 1, 200, 200)
        torch.manual_seed(1)
        used = attention(queries, keys, everything, mask=None, bias=None, scale=1.0, rate=0.1)[:, :, 0]
    finally:
        torch.set_num_threads(before)
    torch.manual_seed(1)
    kept = draw_bits((2, 300, 200)) >= num_dropped_levels(0.1) - NUM_LEVELS // 2
    assert torch.equal(used != 0, kept)
    assert kept.double().mean().item() == pytest.approx(0.9, abs=0.005)
    torch.testing.assert_close(used[kept], torch.full((int(kept.sum()),), 1 / 200 / 0.9), rtol=1e-4, atol=0)


def test_types_that_it_has_no_kernel_for_are_computed_by_plain_products():
    mask = torch.arange(7) < torch.tensor([7, 4, 1])[:, None, None, None]
    bias = torch.randn(1, 4, 6, 7)
    wide = projections()
    narrow = [tensor.bfloat16() for tensor in wide]
    expected = attention(*wide, mask=mask, bias=bias, scale=0.4, rate=0.0)
    found = attention(*narrow, mask=mask, bias=bias, scale=0.4, rate=0.0)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.05)
