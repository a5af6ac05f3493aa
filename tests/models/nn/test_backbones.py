"""Tiny models of the real classes, saved by ``save_pretrained`` and loaded as encoders."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    BertConfig,
    BertModel,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaModel,
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
)

from models.data.backbone_files import BackboneFiles, choose_backbone
from models.errors import SettingsInvalid
from models.nn.backbones import (
    TokenIds,
    hidden_width,
    only_errors_told,
    pretrained_backbone,
    saved_backbone,
    small_backbone,
)
from models.settings.transformer import TransformerSettings

pytestmark = pytest.mark.usefixtures("torch_left_as_found")

VOCAB_SIZE, WIDTH, NUM_POSITIONS = 320, 16, 66
BERT_LIKE = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": NUM_POSITIONS,
}
T5_LIKE = {"vocab_size": VOCAB_SIZE, "d_model": WIDTH, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
TOKENS = TokenIds(vocab_size=VOCAB_SIZE, pad=1, bos=0, eos=2)
SMALL = {"hidden_dim": WIDTH, "num_layers": 2, "num_heads": 4, "feedforward_dim": 32}


def tiny(name: str) -> PreTrainedModel:
    torch.manual_seed(3)
    made: dict[str, Callable[[], PreTrainedModel]] = {
        "roberta": lambda: RobertaModel(RobertaConfig(**BERT_LIKE, type_vocab_size=1)),
        "masked": lambda: RobertaForMaskedLM(RobertaConfig(**BERT_LIKE, type_vocab_size=1)),
        "bert": lambda: BertModel(BertConfig(**BERT_LIKE)),
        "t5": lambda: T5ForConditionalGeneration(T5Config(**T5_LIKE)),
        "modernbert": lambda: ModernBertForMaskedLM(ModernBertConfig(**BERT_LIKE, pad_token_id=1)),
    }
    return made[name]()


def settings_of(folder: Path | None = None, **changes: Any) -> TransformerSettings:
    return TransformerSettings(
        **{
            "backbone": str(folder) if folder else "none/none",
            "max_seq_len": 64,
            "small": SMALL,
            **changes,
        }
    )


def files_of(settings: TransformerSettings) -> BackboneFiles:
    files = choose_backbone(settings).files
    assert files is not None
    return files


def states(model: PreTrainedModel) -> Tensor:
    """What an encoder makes of two sequences, the second one shorter."""
    ids = torch.arange(5, 25).reshape(2, 10)
    mask = torch.ones(2, 10, dtype=torch.long)
    mask[1, 7:] = 0
    given: Tensor = model(input_ids=ids, attention_mask=mask).last_hidden_state
    return given


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("roberta", lambda model: model),
        ("masked", lambda model: model.roberta),
        ("bert", lambda model: model),
        ("t5", lambda model: model.encoder),
        ("modernbert", lambda model: model.model),
    ],
)
def test_an_encoder_gives_what_it_gave_inside_the_model_that_was_saved(
    name: str, inner: Callable[[Any], PreTrainedModel], saved: Callable[..., Path], converted_path: Path
) -> None:
    model = tiny(name)
    settings = settings_of(saved(model))

    loaded = pretrained_backbone(files_of(settings), settings, converted_path=converted_path)

    assert loaded.model.training
    assert hidden_width(loaded.model) == WIDTH
    assert torch.equal(states(loaded.model.eval()), states(inner(model).eval()))
    assert not converted_path.exists()


@pytest.mark.parametrize(
    ("name", "notice"),
    [
        ("roberta", "2 weights of .* are not used (pooler.dense.bias, pooler.dense.weight)"),
        ("masked", "5 weights of .* are not used (lm_head.bias, lm_head.dense.bias, lm_head.dense.weight …)"),
        ("t5", "28 weights of .* are not used (decoder.block.0.layer.0.SelfAttention.k.weight, "),
    ],
)
def test_weights_that_are_left_out_are_told_and_have_no_parameters(
    name: str, notice: str, saved: Callable[..., Path], converted_path: Path
) -> None:
    settings = settings_of(saved(tiny(name)))
    model, notices = pretrained_backbone(files_of(settings), settings, converted_path=converted_path)

    begin, _, end = notice.partition(" of .* ")
    (told,) = notices
    assert told.startswith(begin)
    assert end in told
    assert not [part for part, _ in model.named_parameters() if part.startswith(("pooler", "lm_head", "decoder"))]


def test_weights_in_half_precision_are_trained_in_full(saved: Callable[..., Path], converted_path: Path) -> None:
    settings = settings_of(saved(tiny("roberta").to(torch.bfloat16)))
    model = pretrained_backbone(files_of(settings), settings, converted_path=converted_path).model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.config.dtype == torch.float32


@pytest.mark.parametrize("name", ["roberta", "t5"])
def test_weights_lie_in_memory_as_those_of_a_new_model(
    name: str, saved: Callable[..., Path], converted_path: Path
) -> None:
    settings = settings_of(saved(tiny(name)))
    model = pretrained_backbone(files_of(settings), settings, converted_path=converted_path).model
    assert {parameter.data_ptr() % 64 for parameter in model.parameters()} == {0}
    if name == "t5":
        assert model.get_input_embeddings().weight is model.encoder.embed_tokens.weight


@pytest.mark.parametrize("name", ["roberta", "bert", "t5", "modernbert"])
def test_dropout_is_the_settings_wherever_a_family_has_it(
    name: str, saved: Callable[..., Path], converted_path: Path
) -> None:
    settings = settings_of(saved(tiny(name)), dropout=0.25)
    model = pretrained_backbone(files_of(settings), settings, converted_path=converted_path).model
    rates = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
    assert rates == {0.25}
    torch.manual_seed(0)
    assert not torch.equal(states(model), states(model))


@pytest.mark.parametrize("family", ["roberta", "t5"])
def test_gradient_checkpointing_changes_neither_loss_nor_gradient(family: str) -> None:
    torch.set_deterministic_debug_mode("error")
    found = []
    for checkpointing in (False, True):
        settings = settings_of(dropout=0.2, gradient_checkpointing=checkpointing, small={**SMALL, "family": family})
        torch.manual_seed(5)
        model = small_backbone(settings, TOKENS)
        assert model.is_activation_checkpointing is checkpointing
        torch.manual_seed(6)
        loss = states(model).square().mean()
        loss.backward()
        found.append((loss.detach(), [parameter.grad for parameter in model.parameters()], torch.get_rng_state()))
    (loss, gradients, random_state), (loss_again, gradients_again, random_state_again) = found
    assert torch.equal(loss, loss_again)
    assert all(torch.equal(a, b) for a, b in zip(gradients, gradients_again, strict=True))
    assert torch.equal(random_state, random_state_again)


def test_gradient_checkpointing_reaches_a_pretrained_encoder(saved: Callable[..., Path], converted_path: Path) -> None:
    settings = settings_of(saved(tiny("t5")), gradient_checkpointing=True)
    model = pretrained_backbone(files_of(settings), settings, converted_path=converted_path).model
    assert model.is_activation_checkpointing
    states(model).sum().backward()


@pytest.mark.parametrize(("family", "encoder_class"), [("roberta", RobertaModel), ("t5", T5EncoderModel)])
def test_the_small_encoder_has_the_sizes_asked_for_and_torchs_random_state(
    family: str, encoder_class: type[PreTrainedModel]
) -> None:
    settings = settings_of(small={**SMALL, "family": family})
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.append(small_backbone(settings, TOKENS))
    first, same, other = (model.state_dict() for model in made)

    assert type(made[0]) is encoder_class
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    config = made[0].config
    assert (config.vocab_size, config.pad_token_id, config.bos_token_id, config.eos_token_id) == TOKENS
    assert (hidden_width(made[0]), config.num_hidden_layers, config.num_attention_heads) == (WIDTH, 2, 4)
    longest = torch.full((1, 64), 7)
    assert made[0](input_ids=longest, attention_mask=torch.ones_like(longest)).last_hidden_state.shape == (1, 64, WIDTH)


def test_the_small_encoder_has_no_position_too_many() -> None:
    model = small_backbone(settings_of(), TOKENS)
    with pytest.raises((IndexError, RuntimeError), match=r"66"):
        model(input_ids=torch.full((1, 65), 7))


@pytest.mark.parametrize("family", ["roberta", "t5"])
def test_a_saved_encoder_comes_back_exactly(family: str, tmp_path: Path) -> None:
    model = small_backbone(settings_of(small={**SMALL, "family": family}), TOKENS)
    with only_errors_told():
        model.save_pretrained(tmp_path)

    again = saved_backbone(tmp_path, reads_with="encoder")

    assert not again.training
    assert torch.equal(states(again), states(model.eval()))
    assert {name: value.tolist() for name, value in again.state_dict().items()} == {
        name: value.tolist() for name, value in model.state_dict().items()
    }


def test_what_is_saved_does_not_tell_where_it_was_loaded_from(
    saved: Callable[..., Path], converted_path: Path, tmp_path: Path
) -> None:
    settings = settings_of(saved(tiny("roberta")))
    model = pretrained_backbone(files_of(settings), settings, converted_path=converted_path).model
    with only_errors_told():
        model.save_pretrained(tmp_path / "saved")
    assert str(tmp_path).encode() not in b"".join(path.read_bytes() for path in (tmp_path / "saved").iterdir())


def test_a_saved_encoder_with_other_weights_is_refused(tmp_path: Path) -> None:
    with only_errors_told():
        tiny("masked").save_pretrained(tmp_path)
    with pytest.raises(SettingsInvalid, match=r"5 weights that its model has not \(lm_head\.bias"):
        saved_backbone(tmp_path, reads_with="encoder")


def test_missing_weights_are_named_and_never_made_up(saved: Callable[..., Path], converted_path: Path) -> None:
    folder = saved(tiny("roberta"))
    tensors = load_file(folder / "model.safetensors")
    gone = [name for name in tensors if name.startswith("encoder.layer.1.output")]
    save_file({name: tensors[name] for name in tensors.keys() - gone}, folder / "model.safetensors", {"format": "pt"})
    settings = settings_of(folder)
    with pytest.raises(SettingsInvalid, match=r"lacks 4 weights of RobertaModel \(encoder\.layer\.1\.output\.Layer"):
        pretrained_backbone(files_of(settings), settings, converted_path=converted_path)


def edit_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intermediate_size": 64}, "are not those of its config"),
        ({"hidden_size": "wide"}, "is not understood"),
        ({"model_type": "never_seen"}, "is not understood"),
        ({"model_type": "gpt2"}, "gpt2 is no text encoder"),
        ({"model_type": "bart"}, "bart is no text encoder"),
    ],
)
def test_a_config_that_is_not_of_these_weights_is_refused(
    changes: dict[str, Any], message: str, saved: Callable[..., Path], converted_path: Path
) -> None:
    folder = saved(tiny("roberta"))
    edit_config(folder, **changes)
    settings = settings_of(folder)
    with pytest.raises(SettingsInvalid, match=message):
        pretrained_backbone(files_of(settings), settings, converted_path=converted_path)


def test_a_config_does_not_choose_the_kernels(saved: Callable[..., Path], converted_path: Path) -> None:
    folder = saved(tiny("roberta"))
    edit_config(folder, attn_implementation="someone/attention", _attn_implementation="someone/attention")
    settings = settings_of(folder)
    model = pretrained_backbone(files_of(settings), settings, converted_path=converted_path).model
    assert model.config._attn_implementation == "sdpa"


def test_damaged_weights_are_named(saved: Callable[..., Path], converted_path: Path) -> None:
    folder = saved(tiny("roberta"))
    content = (folder / "model.safetensors").read_bytes()
    settings = settings_of(folder)
    for damaged in (content[: len(content) // 2], b"version https://git-lfs.github.com/spec/v1\n"):
        (folder / "model.safetensors").write_bytes(damaged)
        with pytest.raises(SettingsInvalid, match=r"model\.safetensors is damaged"):
            pretrained_backbone(files_of(settings), settings, converted_path=converted_path)


def test_loading_says_nothing_and_leaves_the_voice_as_it_was(
    saved: Callable[..., Path], converted_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(saved(tiny("masked")))
    transformers.logging.set_verbosity(logging.INFO)
    try:
        pretrained_backbone(files_of(settings), settings, converted_path=converted_path)
        assert transformers.logging.get_verbosity() == logging.INFO
        assert transformers.logging.is_progress_bar_enabled()
    finally:
        transformers.logging.set_verbosity(logging.WARNING)
    assert capfd.readouterr() == ("", "")
