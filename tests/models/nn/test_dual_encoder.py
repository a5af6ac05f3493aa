"""The dual encoder: embeddings of length 1, towers that begin alike, a temperature that stays where it may be."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from models.data.token_batches import TokenBatch
from models.errors import SettingsInvalid
from models.nn.backbones import TokenIds, backbone_config, configured_backbone, saved_backbone, small_backbone
from models.nn.dual_encoder import ANCHOR, TEXT, DualEncoder, TextTower
from models.nn.pooled_text import PooledText
from models.settings.contrastive import EmbeddingsSettings

pytestmark = pytest.mark.usefixtures("torch_left_as_found")

TOKENS = TokenIds(vocab_size=90, pad=1, bos=0, eos=2)
SMALL = {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feedforward_dim": 32}
LAYER = {**SMALL, "num_layers": 0}


def encoder(*, separate: bool = False, temperature: float = 0.07, **changes: Any) -> DualEncoder:
    settings = EmbeddingsSettings(max_seq_len=32, **{"small": SMALL, **changes})
    torch.manual_seed(4)
    text = PooledText(small_backbone(settings, TOKENS), reads_with="encoder", pooling=settings.pooling)
    return DualEncoder(TextTower(text, 8), separate=separate, temperature=temperature, learns_temperature=True)


def batch() -> TokenBatch:
    ids = torch.randint(3, 90, (4, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.arange(9) < torch.tensor([9, 5, 7, 2])[:, None]
    return TokenBatch(ids.masked_fill(~mask, 1), mask, None, 4)


@pytest.mark.parametrize("small", [SMALL, LAYER], ids=["encoder", "embedding layer"])
def test_embeddings_have_length_1_and_padding_is_not_read(small: dict[str, int]):
    model = encoder(small=small).eval()
    whole = batch()
    found = model(whole, TEXT)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4))
    for row, length in enumerate((9, 5, 7, 2)):
        alone = TokenBatch(whole.ids_WT[row : row + 1, :length], None, None, 1)
        torch.testing.assert_close(model(alone, TEXT)[0], found[row], rtol=0, atol=1e-6)


def test_an_embedding_layer_of_its_own_learns_tokens_and_places():
    model = encoder(small=LAYER)
    model(batch(), TEXT)[:, 0].sum().backward()
    learnt = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    for table in ("word_embeddings.weight", "position_embeddings.weight"):
        assert any(name.endswith(table) for name in learnt)
    assert not any("layer." in name for name in model.state_dict())


@pytest.mark.parametrize("family", ["roberta", "t5"])
def test_a_backbone_is_made_again_from_its_configuration(family: str):
    backbone = small_backbone(EmbeddingsSettings(max_seq_len=32, small={**SMALL, "family": family}), TOKENS).eval()
    written = json.loads(json.dumps(backbone_config(backbone)))
    again = configured_backbone(written, reads_with="encoder").eval()
    again.load_state_dict(backbone.state_dict())
    ids = batch().ids_WT
    found, expected = (model(input_ids=ids).last_hidden_state for model in (again, backbone))
    assert torch.equal(found, expected)


def test_an_embedding_layer_is_saved_as_any_backbone_is(tmp_path: Path):
    backbone = small_backbone(EmbeddingsSettings(max_seq_len=32, small=LAYER), TOKENS).eval()
    backbone.save_pretrained(tmp_path)
    again, ids = saved_backbone(tmp_path, reads_with="encoder"), batch().ids_WT
    assert torch.equal(again(input_ids=ids).last_hidden_state, backbone(input_ids=ids).last_hidden_state)


def test_a_configuration_that_means_nothing_is_refused_in_words():
    with pytest.raises(SettingsInvalid, match="not understood"):
        configured_backbone({"model_type": "abacus"}, reads_with="encoder")


def test_separate_towers_begin_alike_and_go_their_own_ways():
    model = encoder(separate=True).eval()
    assert torch.equal(model(batch(), ANCHOR), model(batch(), TEXT))
    model(batch(), ANCHOR)[:, 0].sum().backward()
    gradients = [[p.grad for p in tower.parameters() if p.grad is not None] for tower in model.towers]
    assert gradients[0]
    assert not gradients[1]
    assert not encoder().has_separate_towers


def test_half_precision_ends_before_the_length_is_taken():
    model = encoder().eval()
    with torch.autocast("cpu", torch.bfloat16):
        found = model(batch(), TEXT)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4))


@pytest.mark.parametrize(("learned", "held"), [(0.5, 0.5), (0.002, 0.01)])
def test_the_temperature_never_falls_below_a_hundredth(learned: float, held: float):
    model = encoder()
    assert model.temperature == pytest.approx(0.07)
    with torch.no_grad():
        model.log_scale.fill_(-math.log(learned))
    assert model.temperature == pytest.approx(held)
    model.hold_temperature()
    assert float(model.log_scale.detach().exp()) == pytest.approx(1 / held)
