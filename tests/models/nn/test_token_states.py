"""Two routes to the vector that is classified: ours, and the code by which CodeT5's authors read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    MT5Config,
    MT5ForConditionalGeneration,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
    UMT5Config,
    UMT5ForConditionalGeneration,
)
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from models.data.token_batches import TokenBatch
from models.nn.attention import use_own_kernels
from models.nn.backbones import hidden_width
from models.nn.sequence_classifier import SequenceClassifier

pytestmark = pytest.mark.usefixtures("torch_left_as_found")

PAD, EOS, WIDTH = 0, 2, 16
SIZES = {"vocab_size": 60, "d_model": WIDTH, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}
SPECIAL = {"pad_token_id": PAD, "eos_token_id": EOS, "decoder_start_token_id": PAD}
FAMILIES: dict[str, Callable[..., PreTrainedModel]] = {
    "t5": lambda **more: T5ForConditionalGeneration(T5Config(**SIZES, **SPECIAL, **more)),
    "gated t5": lambda **more: T5ForConditionalGeneration(
        T5Config(**SIZES, **SPECIAL, **more, feed_forward_proj="gated-gelu", num_decoder_layers=3)
    ),
    "mt5": lambda **more: MT5ForConditionalGeneration(MT5Config(**SIZES, **SPECIAL, **more)),
    "umt5": lambda **more: UMT5ForConditionalGeneration(UMT5Config(**SIZES, **SPECIAL, **more)),
}


@pytest.fixture(params=[True, False], ids=["padded", "full"])
def ids(request: pytest.FixtureRequest) -> Tensor:
    """Texts that end with ``EOS``."""
    torch.manual_seed(0)
    ids_WT = torch.randint(3, 60, (4, 11))
    ids_WT[:, -1] = EOS
    if request.param:
        for row, length in enumerate((11, 7, 2, 10)):
            ids_WT[row, length - 1 :] = PAD
            ids_WT[row, length - 1] = EOS
    return ids_WT


def vector_of_the_authors(model: Any, ids: Tensor) -> Tensor:
    """``DefectModel.get_t5_vec`` of salesforce/CodeT5, but that it takes the model's names as they are now."""
    attention_mask = ids.ne(PAD)
    outputs = model(
        input_ids=ids,
        attention_mask=attention_mask,
        labels=ids,
        decoder_attention_mask=attention_mask,
        output_hidden_states=True,
    )
    hidden_states = outputs["decoder_hidden_states"][-1]
    eos_mask = ids.eq(EOS)
    return hidden_states[eos_mask, :].view(hidden_states.size(0), -1, hidden_states.size(-1))[:, -1, :]


def classifier_of(model: PreTrainedModel, *, own_kernels: bool) -> SequenceClassifier:
    """Ours, around a backbone with the weights of ``model``."""
    backbone = MODEL_MAPPING[type(model.config)](model.config)
    backbone.load_state_dict(model.state_dict(), strict=False)  # but for the language model's head
    if own_kernels:
        use_own_kernels(backbone)
    classifier = SequenceClassifier(
        backbone, hidden_width(backbone), reads_with="encoder_decoder", pooling="eos", dropout=0.0
    )
    return classifier.train(model.training)


def our_vector(classifier: SequenceClassifier, ids: Tensor) -> Tensor:
    """What reaches the head."""
    found: list[Tensor] = []
    hook = classifier.head.register_forward_pre_hook(lambda _module, given: found.append(given[0]))
    mask = ids.ne(PAD)
    classifier(TokenBatch(ids, None if bool(mask.all()) else mask, None, len(ids)))
    hook.remove()
    return found[0]


@pytest.mark.parametrize("own_kernels", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_vector_is_that_of_the_authors(family: str, own_kernels: bool, ids: Tensor) -> None:
    model = FAMILIES[family]().eval()
    with torch.no_grad():
        expected = vector_of_the_authors(model, ids)
        found = our_vector(classifier_of(model, own_kernels=own_kernels), ids)
    assert found.shape == (4, WIDTH)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_gradient_is_that_of_the_authors_way(family: str, ids: Tensor) -> None:
    torch.set_deterministic_debug_mode("error")
    model = FAMILIES[family](dropout_rate=0.0).train()
    classifier = classifier_of(model, own_kernels=True)
    weights = torch.linspace(-1, 1, 4 * WIDTH).view(4, WIDTH)
    (vector_of_the_authors(model, ids) * weights).sum().backward()
    for again in range(2):  # the second one is added, which embeddings do in a way of their own
        (our_vector(classifier, ids) * weights).sum().backward()
        found = dict(classifier.backbone.named_parameters())
        for name, parameter in model.named_parameters():
            if name != "lm_head.weight":
                expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                torch.testing.assert_close(found[name].grad, (1 + again) * expected, rtol=1e-3, atol=1e-4, msg=name)


def test_a_text_with_an_end_within_is_read_at_its_last_one(ids: Tensor) -> None:
    model = FAMILIES["t5"]().eval()
    ids[:, 0] = EOS
    with torch.no_grad():
        found, expected = our_vector(classifier_of(model, own_kernels=True), ids), vector_of_the_authors(model, ids)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
