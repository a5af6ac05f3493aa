"""All benchmarks that print ratios, one after the other: ``python -m benchmarks``.

The kill certificate is not among them: it proves, and takes minutes (``python -m benchmarks.resume``).
"""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "preprocess",
    "cutting",
    "near_duplicates",
    "audit",
    "augmentation",
    "gnn",
    "transformer",
    "contrastive",
    "contrastive_memory",
    "embedding",
    "checkpoints",
    "remote_checkpoints",
    "remote_launches",
    "thresholds",
    "seed_bootstrap",
    "planted_noise",
    "selection",
    "sweep",
    "imports",
)


def main() -> int:
    """Run every benchmark even when an earlier one misses its bound; 1 when any did."""
    missed = []
    for name in NAMES:
        print(f"== {name}", flush=True)
        if importlib.import_module(f"benchmarks.{name}").main([]) != 0:
            missed.append(name)
    print(f"missed: {', '.join(missed)}" if missed else "all bounds held")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
