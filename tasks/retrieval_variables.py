"""Flags and environment variables of the programs of retrieval, under the names of the seed (``DL_EPOCHS`` …).

A flag speaks of the models that the program is named after, of ``flows.reranker`` both rerankers; a variable of all
models that it trains, as in the seed, where every script reads it: so a reranker finds the encoder that
``flows.embeddings`` trained under the same variables. Of ``flows.retrieval`` each model has flags of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from models.settings.command_line import Environment, Translated

OPTIMISATION = {
    "epochs": "epochs",
    "lr": "learning_rate",
    "learning-rate": "learning_rate",
    "weight-decay": "weight_decay",
    "warmup-steps": "warmup_steps",
    "batch-size": "batch_size",
}
"""Field of a model by its flat flag."""
VARIABLES = {
    "DL_EPOCHS": "epochs",
    "DL_LR": "learning_rate",
    "DL_WEIGHT_DECAY": "weight_decay",
    "DL_WARMUP_STEPS": "warmup_steps",
    "DL_BATCH_SIZE": "batch_size",
}
"""Field of every model by its variable."""
NETWORK = {"0": "on", "1": "off"}
"""Whether weights may be fetched, by ``DL_PRETRAINED_OFFLINE``."""
DATA_ALIASES = {
    "repos-root": "balance.repos_root",
    "balance-ratio": "balance.balance_ratio",
    "augment-k": "balance.augment_k",
    "tokenizer": "records.tokenizer",
}
"""Flat flags of the programs that make a data set."""


COMPUTE_ALIASES = {"num-threads": "compute.num_threads", "device": "compute.device"}
"""Flat flags of every program."""


def flags_of(model: str) -> dict[str, str]:
    """Flat flags of the program that is named after ``model``, a field of its settings."""
    return {flag: f"{model}.{field}" for flag, field in OPTIMISATION.items()}


def flags_of_all(models: Sequence[str], flags: Mapping[str, str] = OPTIMISATION) -> dict[str, Translated]:
    """Flat flags that set the same field of several models, by name; each model's own flag is above them."""
    return {flag: _same_in_all(models, field) for flag, field in flags.items()}


def variables_of(models: Sequence[str], readers: Sequence[str]) -> Environment:
    """What the seed's variables set.

    Args:
        models: Fields of all models that the program trains.
        readers: Those among them that can read text with a pretrained encoder.
    """
    named = {name: _same_in_all(models, field) for name, field in VARIABLES.items()}
    pretrained = [f"{reader}.{field}" for reader in readers for field in ("pretrained", "backbone")]
    return {
        **named,
        "DL_SEED": "seed",
        "DL_ARTIFACTS_DIR": "artifacts_dir",
        "DL_PRETRAINED_MODEL": Translated(tuple(pretrained), partial(_pretrained_in_all, readers)),
        "DL_PRETRAINED_OFFLINE": _same_in_all(readers, "allow_network", allow_network),
    }


def _same_in_all(models: Sequence[str], field: str, word: Callable[[str], str] = str) -> Translated:
    """A variable that sets a field of every model to the same ``word`` for its value."""
    paths = tuple(f"{model}.{field}" for model in models)
    return Translated(paths, lambda text: dict.fromkeys(paths, word(text)))


def _pretrained_in_all(readers: Sequence[str], text: str) -> dict[str, str]:
    return {f"{reader}.{field}": word for reader in readers for field, word in pretrained_model(text).items()}


def pretrained_model(text: str) -> Mapping[str, str]:
    """What ``DL_PRETRAINED_MODEL`` says: 0 off, 1 the backbone of the settings, a name or folder another one.

    Raises:
        ValueError: It is none of these.
    """
    if text in ("0", "1"):
        return {"pretrained": {"0": "off", "1": "auto"}[text]}
    if "/" not in text:
        raise ValueError("expected 0 (off), 1 (on) or a name on the hub such as Salesforce/codet5-base")
    return {"pretrained": "auto", "backbone": text}


def allow_network(text: str) -> str:
    """What ``DL_PRETRAINED_OFFLINE`` says: 1 nothing is fetched, 0 weights may be fetched.

    Raises:
        ValueError: It is neither.
    """
    if text not in NETWORK:
        raise ValueError("expected 1 (nothing is fetched) or 0 (weights may be fetched)")
    return NETWORK[text]
