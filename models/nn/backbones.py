"""Backbones: pretrained ones, small ones from nothing, and those that a run has saved; always in float32.

Encoders, or encoder and decoder of the T5 family where both read the text.

What is loaded is settled in ``models.data.backbone_files``. Only safetensors and JSON are read, only classes of
transformers are built, and no weight is left to chance: what a checkpoint lacks is an error.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from safetensors import SafetensorError, safe_open
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_TEXT_ENCODING_MAPPING,
    MODEL_MAPPING,
    AutoConfig,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5EncoderModel,
    T5Model,
)
from transformers.utils import logging as transformers_logging

from models.data.backbone_files import CONFIG_FILE, BackboneFiles, weights_files
from models.errors import SettingsInvalid
from models.nn.converted_weights import safe_weights
from models.settings.text_encoder import TextEncoder

NOT_OF_THE_ARCHITECTURE = ("_name_or_path", "transformers_version", "architectures")
NAMES_SHOWN = 3
"""How many weights a message names."""


class TokenIds(NamedTuple):
    """What a backbone must know of the records' tokenizer.

    Args:
        vocab_size: Ids are below this.
        pad: Fills up.
        bos: Begins a text.
        eos: Ends it.
    """

    vocab_size: int
    pad: int
    bos: int
    eos: int


class LoadedBackbone(NamedTuple):
    """A backbone, and what a person should know of how it was loaded."""

    model: PreTrainedModel
    notices: tuple[str, ...]


def pretrained_backbone(files: BackboneFiles, settings: TextEncoder, *, converted_path: Path) -> LoadedBackbone:
    """A pretrained model, or its encoder alone, ready to be trained.

    Args:
        files: Which; what is missing of it is fetched where that is allowed.
        settings: What of it reads the text, dropout and gradient checkpointing.
        converted_path: Folder for weights that come as ``.bin``.

    Raises:
        SettingsInvalid: files are damaged or hold code, weights are missing, or it cannot read so. Not retried.
        StoreUnavailable: the hub or the disk does not answer. Retried.
    """
    config = _read_config(files.folder)
    _set_dropout(config, settings.dropout)
    folder, notices = safe_weights(files, converted_path)
    model, unused = _load(folder, config, settings.reads_with)
    if unused:
        notices += (f"{len(unused)} weights of {files.name} are not used ({_some(unused)})",)
    return LoadedBackbone(_prepared(model, settings), notices)


def small_backbone(settings: TextEncoder, tokens: TokenIds) -> PreTrainedModel:
    """The model of ``settings.small``, initialised with torch's random state as it is.

    Args:
        settings: Family and sizes, what of it reads the text, longest sequence, dropout, gradient checkpointing.
        tokens: Ids of the records' tokenizer.
    """
    model = _small_t5(settings, tokens) if settings.small.family == "t5" else _small_roberta(settings, tokens)
    return _prepared(model, settings)


def saved_backbone(folder: Path, *, reads_with: str) -> PreTrainedModel:
    """A backbone exactly as ``save_pretrained`` wrote it, for prediction.

    Args:
        folder: Holds config.json and model.safetensors.
        reads_with: What of it reads the text.

    Raises:
        SettingsInvalid: the folder holds another model, or is damaged. Not retried.
    """
    model, unused = _load(folder, _read_config(folder), reads_with)
    if unused:
        raise SettingsInvalid(f"{folder} holds {len(unused)} weights that its model has not ({_some(unused)})")
    return model


def backbone_config(model: PreTrainedModel) -> dict[str, Any]:
    """What :func:`configured_backbone` makes the same architecture of; JSON values without paths and versions."""
    config: dict[str, Any] = json.loads(model.config.to_json_string())
    return {key: value for key, value in config.items() if key not in NOT_OF_THE_ARCHITECTURE}


def configured_backbone(config: dict[str, Any], *, reads_with: str) -> PreTrainedModel:
    """A backbone whose weights are still to be filled in; random until then.

    Args:
        config: Of :func:`backbone_config`.
        reads_with: What of it reads the text.

    Raises:
        SettingsInvalid: transformers does not understand it. Not retried.
    """
    from huggingface_hub.errors import StrictDataclassError

    try:
        understood: PreTrainedConfig = AutoConfig.for_model(**config)
    except (ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise SettingsInvalid(f"the backbone's configuration is not understood ({_first_line(error)})") from error
    backbone_class = _class_of(understood, reads_with)
    model: PreTrainedModel = backbone_class(understood, **_without_pooling(backbone_class))
    return model


def hidden_width(model: PreTrainedModel) -> int:
    """Width of the states that a backbone gives."""
    return int(model.config.hidden_size)


@contextlib.contextmanager
def only_errors_told() -> Iterator[None]:
    """Without progress bars and advice of transformers; its errors come through."""
    verbosity, shows_bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if shows_bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _small_roberta(settings: TextEncoder, tokens: TokenIds) -> PreTrainedModel:
    small = settings.small
    config = RobertaConfig(
        vocab_size=tokens.vocab_size,
        hidden_size=small.hidden_dim,
        num_hidden_layers=small.num_layers,
        num_attention_heads=small.num_heads,
        intermediate_size=small.feedforward_dim,
        max_position_embeddings=settings.max_seq_len + tokens.pad + 1,  # positions are numbered from after the padding
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=tokens.pad,
        bos_token_id=tokens.bos,
        eos_token_id=tokens.eos,
    )
    _set_dropout(config, settings.dropout)
    return RobertaModel(config, add_pooling_layer=False)


def _small_t5(settings: TextEncoder, tokens: TokenIds) -> PreTrainedModel:
    small = settings.small
    config = T5Config(
        vocab_size=tokens.vocab_size,
        d_model=small.hidden_dim,
        d_kv=small.hidden_dim // small.num_heads,
        d_ff=small.feedforward_dim,
        num_layers=small.num_layers,
        num_heads=small.num_heads,
        pad_token_id=tokens.pad,
        eos_token_id=tokens.eos,
    )
    config.bos_token_id = tokens.bos
    config.decoder_start_token_id = tokens.pad  # as T5 and CodeT5 have it; the decoder has as many layers
    _set_dropout(config, settings.dropout)
    return T5Model(config) if settings.reads_with == "encoder_decoder" else T5EncoderModel(config)


def _prepared(model: PreTrainedModel, settings: TextEncoder) -> PreTrainedModel:
    if settings.gradient_checkpointing:
        if not model.supports_gradient_checkpointing:
            raise SettingsInvalid(f"gradient_checkpointing: {type(model).__name__} has none; leave it off")
        model.activation_checkpointing_enable({"use_reentrant": False})
    model.train()
    return model


def _read_config(folder: Path) -> PreTrainedConfig:
    from huggingface_hub.errors import StrictDataclassError

    try:
        with only_errors_told():
            config: PreTrainedConfig = AutoConfig.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise SettingsInvalid(f"backbone: {folder / CONFIG_FILE} is not understood ({_first_line(error)})") from error
    return config


def _set_dropout(config: PreTrainedConfig, rate: float) -> None:
    """Families call it by many names, and some keep a config inside theirs."""
    for name, value in list(vars(config).items()):
        if isinstance(value, PreTrainedConfig):
            _set_dropout(value, rate)
        elif "dropout" in name and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(config, name, rate)


def _class_of(config: PreTrainedConfig, reads_with: str) -> type[PreTrainedModel]:
    kind = type(config)
    backbone_class: Any
    if reads_with == "encoder_decoder":
        backbone_class = MODEL_MAPPING[kind]
    elif kind in MODEL_FOR_TEXT_ENCODING_MAPPING:
        backbone_class = MODEL_FOR_TEXT_ENCODING_MAPPING[kind]
    elif kind in MODEL_FOR_MASKED_LM_MAPPING and not config.is_encoder_decoder:
        backbone_class = MODEL_MAPPING[kind]  # encoders that the list of text encoders leaves out, such as ModernBERT
    else:
        raise SettingsInvalid(
            f"backbone: {config.model_type} is no text encoder; give one such as roberta, bert, t5 or modernbert"
        )
    return cast("type[PreTrainedModel]", backbone_class)


def _load(folder: Path, config: PreTrainedConfig, reads_with: str) -> tuple[PreTrainedModel, list[str]]:
    """The backbone in ``folder``, in evaluation mode, and the names of weights that it has no use for."""
    backbone_class = _class_of(config, reads_with)
    names = _tensor_names(folder)
    try:
        with only_errors_told():
            loaded: Any = backbone_class.from_pretrained(
                str(folder),
                config=config,
                dtype=torch.float32,
                attn_implementation=None,  # not what a config.json asks for, which may be code from the hub
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **_without_pooling(backbone_class),
            )
    except (RuntimeError, OSError, ValueError) as error:
        raise SettingsInvalid(
            f"backbone: the weights in {folder} are not those of its {CONFIG_FILE} ({_first_line(error)})"
        ) from error
    model, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        raise SettingsInvalid(
            f"backbone: {folder} lacks {len(missing)} weights of {backbone_class.__name__} ({_some(missing)}); give a "
            "complete checkpoint of this class"
        )
    # Weights of a decoder that a class has no use for are passed over without a word.
    unread = {name for name in names if name.startswith("decoder.")} - model.state_dict().keys()
    unused = set(report["unexpected_keys"]) | unread
    return _in_own_memory(model), sorted(unused)


def _without_pooling(backbone_class: type[PreTrainedModel]) -> dict[str, Any]:
    """A pooling layer that no loss reaches would still be drawn to 0 by weight decay."""
    takes = inspect.signature(backbone_class.__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}


def _tensor_names(folder: Path) -> list[str]:
    names: list[str] = []
    for part in weights_files(folder).parts:
        try:
            with safe_open(folder / part, framework="pt") as file:
                names += file.keys()
        except SafetensorError as error:
            raise SettingsInvalid(f"backbone: {folder / part} is damaged ({error}); fetch or save it again") from error
    return names


def _in_own_memory(model: PreTrainedModel) -> PreTrainedModel:
    """Weights copied out of the mapped file: there they lie at odd addresses, and kernels may sum in another order."""
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()
    return model


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (" …" if len(names) > NAMES_SHOWN else "")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
