"""Backbones that read with encoder and decoder: loaded, saved, and trained with little memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel, T5Config, T5EncoderModel, T5ForConditionalGeneration, T5Model

from models.data.backbone_files import BackboneFiles, choose_backbone
from models.errors import SettingsInvalid
from models.nn.attention import use_own_kernels
from models.nn.backbones import (
    TokenIds,
    hidden_width,
    only_errors_told,
    pretrained_backbone,
    saved_backbone,
    small_backbone,
)
from models.nn.token_states import decoder_states
from models.settings.transformer import TransformerSettings

pytestmark = pytest.mark.usefixtures("torch_left_as_found")

VOCAB_SIZE, WIDTH = 320, 16
SIZES = {"vocab_size": VOCAB_SIZE, "d_model": WIDTH, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
TOKENS = TokenIds(vocab_size=VOCAB_SIZE, pad=1, bos=0, eos=2)
SMALL = {"family": "t5", "hidden_dim": WIDTH, "num_layers": 3, "num_heads": 4, "feedforward_dim": 32}
SHARED = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")


def settings_of(folder: Path | None = None, **changes: Any) -> TransformerSettings:
    return TransformerSettings(
        **{
            "backbone": str(folder) if folder else "none/none",
            "reads_with": "encoder_decoder",
            "pooling": "eos",
            "small": SMALL,
            **changes,
        }
    )


def files_of(settings: TransformerSettings) -> BackboneFiles:
    files = choose_backbone(settings).files
    assert files is not None
    return files


def whole_model(**changes: Any) -> T5ForConditionalGeneration:
    torch.manual_seed(3)
    return T5ForConditionalGeneration(T5Config(**SIZES, decoder_start_token_id=0, **changes)).eval()


def texts() -> tuple[Tensor, Tensor]:
    """Two, the second one shorter; and where they are."""
    ids, mask = torch.arange(5, 25).reshape(2, 10), torch.ones(2, 10, dtype=torch.bool)
    mask[1, 7:] = False
    return ids, mask


def states(model: PreTrainedModel) -> Tensor:
    """What a decoder makes of them."""
    return decoder_states(model, *texts())


def states_within(model: T5ForConditionalGeneration) -> Tensor:
    """The same, inside the model that was saved."""
    ids, mask = texts()
    given = model(
        input_ids=ids, attention_mask=mask, labels=ids, decoder_attention_mask=mask, output_hidden_states=True
    )
    return given.decoder_hidden_states[-1]


def test_a_checkpoint_with_a_language_models_head_gives_what_its_decoder_gave(
    saved: Callable[..., Path], converted_path: Path
) -> None:
    model = whole_model()
    settings = settings_of(saved(model))

    loaded = pretrained_backbone(files_of(settings), settings, converted_path=converted_path)

    assert type(loaded.model) is T5Model
    assert loaded.notices == ()
    assert hidden_width(loaded.model) == WIDTH
    assert loaded.model.training
    torch.testing.assert_close(states(loaded.model.eval()), states_within(model), rtol=0, atol=1e-6)


def test_a_checkpoint_as_codet5s_is_converted_with_its_head_told_and_its_embeddings_tied(
    saved: Callable[..., Path], converted_path: Path
) -> None:
    """It came as a pickle that holds tied weights by each of their names."""
    model = whole_model()
    folder = saved(model)
    (folder / "model.safetensors").unlink()
    torch.save(dict(model.state_dict()), folder / "pytorch_model.bin")
    settings = settings_of(folder)

    loaded, notices = pretrained_backbone(files_of(settings), settings, converted_path=converted_path)

    assert [notice for notice in notices if "not used" in notice] == [
        f"1 weights of {folder} are not used (lm_head.weight)"
    ]
    tokens = loaded.get_input_embeddings().weight
    parameters = dict(loaded.named_parameters(remove_duplicate=False))
    assert all(parameters[name] is tokens for name in SHARED)


def test_a_bias_that_no_layer_has_is_told(saved: Callable[..., Path], converted_path: Path) -> None:
    """As checkpoints of the first T5 have one."""
    folder = saved(whole_model())
    name = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    tensors = load_file(folder / "model.safetensors") | {name: torch.zeros(32, 2)}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    settings = settings_of(folder)
    (notice,) = pretrained_backbone(files_of(settings), settings, converted_path=converted_path).notices
    assert notice.endswith(f"are not used ({name})")


def test_an_encoder_alone_is_refused_before_and_when_it_is_loaded(
    saved: Callable[..., Path], converted_path: Path
) -> None:
    folder = saved(T5EncoderModel(T5Config(**SIZES, decoder_start_token_id=0)))
    settings = settings_of(folder)
    with pytest.raises(SettingsInvalid, match="is an encoder's alone"):
        choose_backbone(settings)
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"is_encoder_decoder": false', '"is_encoder_decoder": true'))
    with pytest.raises(SettingsInvalid, match=r"lacks \d+ weights of T5Model \(decoder\.block\.0"):
        pretrained_backbone(files_of(settings), settings, converted_path=converted_path)


def test_the_small_model_has_as_many_layers_on_both_sides_and_comes_back_exactly(tmp_path: Path) -> None:
    model = small_backbone(settings_of(), TOKENS)
    assert (len(model.encoder.block), len(model.decoder.block)) == (3, 3)
    assert model.config.decoder_start_token_id == TOKENS.pad
    with only_errors_told():
        model.save_pretrained(tmp_path)

    again = saved_backbone(tmp_path, reads_with="encoder_decoder")

    assert not again.training
    assert torch.equal(states(again), states(model.eval()))
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in again.state_dict().items())
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


def test_dropout_is_the_settings_on_both_sides() -> None:
    model = small_backbone(settings_of(dropout=0.25), TOKENS)
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == {0.25}
    assert {part.dropout for part in model.modules() if type(part).__name__ == "T5Attention"} == {0.25}


def test_gradient_checkpointing_changes_neither_loss_nor_gradient() -> None:
    torch.set_deterministic_debug_mode("error")
    found = []
    for checkpointing in (False, True):
        torch.manual_seed(5)
        model = small_backbone(settings_of(dropout=0.2, gradient_checkpointing=checkpointing), TOKENS)
        use_own_kernels(model)
        torch.manual_seed(6)
        loss = states(model).square().mean()
        loss.backward()
        found.append((loss.detach(), [parameter.grad for parameter in model.parameters()], torch.get_rng_state()))
    (loss, gradients, random_state), (loss_again, gradients_again, random_state_again) = found
    assert torch.equal(loss, loss_again)
    assert all(torch.equal(a, b) for a, b in zip(gradients, gradients_again, strict=True))
    assert torch.equal(random_state, random_state_again)
