"""How a probability becomes an answer: the decision rules, discriminated on ``kind``."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.settings.fields import InputPath, Settings

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Argmax(Settings):
    """Answer 1 where it is the likelier class."""

    kind: Literal["argmax"] = "argmax"


class BestF1(Settings):
    """The threshold with the best F1 on validation, among all that differ in effect."""

    kind: Literal["best_f1"] = "best_f1"


class ThresholdSweep(Settings):
    """The threshold of a grid with the best F1 on validation."""

    kind: Literal["sweep"] = "sweep"
    low: Probability = 0.30
    """Lowest threshold tried."""
    high: Probability = 0.70
    """Highest threshold tried."""
    step: Annotated[float, Field(gt=0.0, le=1.0)] = 0.01
    """Distance of two thresholds."""
    min_recall: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    """Recall that the alternative threshold, which drops as many false alarms as it can, must keep."""

    @model_validator(mode="after")
    def _low_to_high(self) -> ThresholdSweep:
        if self.low > self.high:
            raise ValueError(f"the range is upside down: low {self.low:g} is above high {self.high:g}")
        return self

    @model_validator(mode="after")
    def _step_divides_the_range(self) -> ThresholdSweep:
        """Or ``high`` would not be tried, and nobody be told."""
        low, high, step = self._exact()
        last = low + (high - low) // step * step
        if last != high:
            raise ValueError(
                f"step {self.step:g} does not divide the range {self.low:g} to {self.high:g}: the last threshold would "
                f"be {float(last):g}; expected a step that reaches high, such as low + a whole number of steps"
            )
        return self

    def grid(self) -> tuple[float, ...]:
        """The thresholds, rising; decimal, so that 0.30 + 7 × 0.01 is 0.37 and nothing beside it."""
        low, high, step = self._exact()
        return tuple(float(low + number * step) for number in range((high - low) // step + 1))

    def _exact(self) -> tuple[Fraction, Fraction, Fraction]:
        """The decimals that were written, whatever their size."""
        low, high, step = (Fraction(repr(value)) for value in (self.low, self.high, self.step))
        return low, high, step


class FrozenThreshold(Settings):
    """Thresholds that an earlier sweep chose: nothing is tuned."""

    kind: Literal["frozen"] = "frozen"
    ranking: InputPath
    """Directory of the finished rank run whose sweep chose them."""


DecisionRule = Annotated[Argmax | BestF1 | ThresholdSweep | FrozenThreshold, Field(discriminator="kind")]
RankingRule = Annotated[Argmax | ThresholdSweep | FrozenThreshold, Field(discriminator="kind")]
"""Rules by which trials may be ranked."""
