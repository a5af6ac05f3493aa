"""What one stage hands to the next: ``selection.json`` of a rank run."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from models.settings.fields import Settings
from models.settings.rank import Keep
from models.settings.train import ModelSettings

SELECTION_FILE = "selection.json"
RANKING_FILE = "ranking.json"


class SelectedConfiguration(Settings):
    """A configuration that goes on."""

    rank: int
    """Place among those that go on, from 1."""
    family: str
    """Family of models, such as codet5p."""
    model: str
    """Model within the family, such as codet5p_220m."""
    configuration: str
    """Model and hyperparameters without the seed."""
    settings: ModelSettings
    """The model settings that were trained; what decides nothing (allow_network) as it is by default."""
    f1: float
    """F1 on validation, the mean over its seeds."""
    threshold: float
    """The threshold it was ranked at."""
    run_key: str
    """Training run of its median seed."""


class Selection(Settings):
    """The configurations that go on, best first."""

    stage: str
    """The stage that chose."""
    keep: Keep
    """By which count."""
    val_sha256: str
    """Digest of the record file they were ranked on, in the tokens of one model."""
    data_sha256: str
    """Identity of the data they were trained and ranked on, whatever the tokenizer; the next stage needs the same."""
    selected: Annotated[tuple[SelectedConfiguration, ...], Field(min_length=1)]
    """Best first."""
