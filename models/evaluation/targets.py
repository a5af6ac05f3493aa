"""What the user's own description of Phase 1 expects of its two models, and whether it was reached.

The numbers are its "Success Criteria" and "Expected results". Beside each stands what the answer "always 1" scores: a
target that a constant reaches proves nothing by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MIN_F1 = 0.55
EXPECTED_F1 = {
    "transformer": {"valid": (0.60, 0.70), "test": (0.58, 0.68)},
    "gnn": {"valid": (0.55, 0.65), "test": (0.53, 0.63)},
}
"""Expected range of F1 of label 1 by model kind and split."""


def judge_targets(
    f1_of: Mapping[str, Mapping[str, float]], kinds: Mapping[str, str | None], constant: Mapping[str, float]
) -> list[dict[str, Any]]:
    """One entry for each model, split and target.

    Args:
        f1_of: F1 of label 1 at the frozen threshold, by split and model.
        kinds: Kind of each model, ``None`` where unknown.
        constant: F1 of always answering 1, by split.

    Returns:
        ``split``, ``model``, ``target`` in words, ``value``, ``met``, ``outcome`` (met, below, above) and
        ``constant_value``.
    """
    judged = []
    for split, models in f1_of.items():
        for model, value in models.items():
            bounds = [(f"F1 of label 1 above {MIN_F1:g}", math.nextafter(MIN_F1, 1.0), 1.0)]
            expected = EXPECTED_F1.get(kinds[model] or "", {}).get(split)
            if expected is not None:
                bounds.append((f"F1 of label 1 within {expected[0]:g} to {expected[1]:g}", *expected))
            for target, low, high in bounds:
                outcome = "below" if value < low else "above" if value > high else "met"
                judged.append(
                    {
                        "split": split,
                        "model": model,
                        "target": target,
                        "value": value,
                        "met": outcome == "met",
                        "outcome": outcome,
                        "constant_value": constant[split],
                    }
                )
    return judged
