"""What it costs to load a flow, beside loading Prefect alone: ``python -m benchmarks.imports``.

Each import runs in a fresh process; the three cases take turns, so that a busy moment hits all of them, and the ratios
are taken within a turn. Bounds: one flow ≤ 1.5×, all flows ≤ 2.2× of Prefect alone, and no heavy package loaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
ONE_FLOW = "flows.phase1"
MAX_RATIO_ONE = 1.5
MAX_RATIO_ALL = 2.2
FORBIDDEN = ("torch", "transformers", "torch_geometric", "scipy", "sklearn", "mlflow", "boto3", "sagemaker")
CHILD = """
import json, sys, time
start = time.perf_counter()
import {modules}
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the ratios; 1 when a bound is missed or something heavy was loaded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=7, help="runs of each case, taking turns [runs]")
    turns = parser.parse_args(argv).turns
    flows = flow_modules()
    cases = {"prefect": ["prefect"], "one flow": [ONE_FLOW], "all flows": flows}
    import_seconds(cases["all flows"])  # writes the byte code once; not counted
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    loaded: set[str] = set()
    for _ in range(turns):
        for name, modules in cases.items():
            took, packages = import_seconds(modules)
            seconds[name].append(took)
            loaded |= packages if name != "prefect" else set()
    return report(seconds, loaded & set(FORBIDDEN), len(flows))


def flow_modules() -> list[str]:
    """Every module in flows/."""
    return [f"flows.{path.stem}" for path in sorted((ROOT / "flows").glob("*.py")) if path.stem != "__init__"]


def import_seconds(modules: Sequence[str]) -> tuple[float, set[str]]:
    """Seconds that importing takes in a fresh process, and the top-level packages that are then loaded."""
    child = [sys.executable, "-c", CHILD.format(modules=", ".join(modules))]
    done = subprocess.run(child, capture_output=True, text=True, cwd=ROOT, check=True)
    seconds, packages = json.loads(done.stdout.splitlines()[-1])
    return seconds, set(packages)


def report(seconds: dict[str, list[float]], heavy: set[str], num_flows: int) -> int:
    """Print medians and ratios; the exit code."""
    alone = seconds["prefect"]
    print(f"import, fresh processes, {len(alone)} turns, {num_flows} flow(s)")
    print(f"  prefect alone  {median(alone):6.2f} s")
    missed = False
    for name, bound in (("one flow", MAX_RATIO_ONE), ("all flows", MAX_RATIO_ALL)):
        ratio = median(ours / base for ours, base in zip(seconds[name], alone, strict=True))
        missed |= ratio > bound
        verdict = "ok" if ratio <= bound else "MISSED"
        print(f"  {name:<14} {median(seconds[name]):6.2f} s  ratio {ratio:.2f}  (<= {bound})  {verdict}")
    print(f"  heavy packages loaded: {', '.join(sorted(heavy)) or 'none'}")
    return int(missed or bool(heavy))


if __name__ == "__main__":
    sys.exit(main())
