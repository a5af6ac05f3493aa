"""What a comparison's report is made of, read from finished runs; the one module of the report that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.jobs.contract import SETTINGS_FILE
from tasks.collection_report import read_collection
from tasks.finished_runs import under_root
from tasks.report_provenance import provenance_of, read_json
from tasks.weighing_report import WEIGHING_FILE

COMPARISON_FILE = "comparison.json"
FUSION_FILE = "fusion.json"
FOLDS_FILE = "folds.json"
AUDIT_FILE = "audit.json"


@dataclass(frozen=True)
class Beside:
    """What is told beside the comparison itself; ``None``, or empty: there was none.

    Args:
        collection: Content of ``collection.json``.
        weighing: Content of ``weighing.json``.
        fusions: Content of each ``fusion.json`` with ``folds_by``: within projects first, then across.
        audit: Content of ``audit.json``.
        collapses: Whether the records' tokenizer reads each run of white space as one blank.
    """

    collection: Mapping[str, Any] | None = None
    weighing: Mapping[str, Any] | None = None
    fusions: tuple[Mapping[str, Any], ...] = ()
    audit: Mapping[str, Any] | None = None
    collapses: bool = False


@dataclass(frozen=True)
class ComparisonInputs:
    """All that a report shows.

    Args:
        comparison: Content of ``comparison.json``.
        beside: What is told beside it.
        provenance: ``runs``, ``openings`` and ``settings``, as ``report_provenance`` gives them.
    """

    comparison: Mapping[str, Any]
    beside: Beside
    provenance: Mapping[str, Any]


def read_comparison_inputs(
    runs_path: Path,
    *,
    compare: Path,
    records: Path,
    collect: Path | None = None,
    weigh: Path | None = None,
    fuse: Path | None = None,
    fuse_across: Path | None = None,
    audit: Path | None = None,
) -> ComparisonInputs:
    """What the report shows, from finished runs.

    Args:
        runs_path: The run root, where openings are logged.
        compare: Run directory of the comparison.
        records: Run directory of the records whose test split was measured on.
        collect: Run directory of the collection; ``None``: nothing was collected.
        weigh: Run directory of the weights; ``None``: nothing was weighed.
        fuse: Run directory of a fusion whose folds share projects; ``None``: nothing was fused.
        fuse_across: Run directory of a fusion whose folds keep projects apart; ``None``: there is none.
        audit: Run directory of an audit; ``None``: the data were not audited.
    """
    given = {
        "collect": collect,
        "records": records,
        "audit": audit,
        "weigh": weigh,
        "fuse": fuse,
        "fuse across projects": fuse_across,
        "compare": compare,
    }
    named = {name: path for name, path in given.items() if path is not None}
    runs = {**named, **_scored_runs(runs_path, compare)}
    beside = Beside(
        collection=read_collection(collect) if collect else None,
        weighing=read_json(weigh / WEIGHING_FILE) if weigh else None,
        fusions=tuple(_fusion(runs_path, path) for path in (fuse, fuse_across) if path),
        audit=read_json(audit / AUDIT_FILE) if audit else None,
        collapses=bool(read_json(records / SETTINGS_FILE).get("collapse_whitespace")),
    )
    sealed = [records, *_sealed_beside(runs_path, compare)]
    provenance = provenance_of(runs_path, runs, records=sealed, shown=named)
    return ComparisonInputs(read_json(compare / COMPARISON_FILE), beside, provenance)


def _fusion(runs_path: Path, fuse: Path) -> dict[str, Any]:
    """``fusion.json``, and ``folds_by``: what its folds keep together, as the folds run says."""
    folds = under_root(runs_path, read_json(fuse / SETTINGS_FILE)["folds"])
    return {**read_json(fuse / FUSION_FILE), "folds_by": read_json(folds / FOLDS_FILE)["by"]}


def _sealed_beside(runs_path: Path, compare: Path) -> list[Path]:
    """Other records of the same test functions that were opened: as other runs made them, renamed, reformatted."""
    settings = read_json(compare / SETTINGS_FILE)
    return [under_root(runs_path, path) for path in (*settings["same_data"], *settings["probes"].values())]


def _scored_runs(runs_path: Path, compare: Path) -> dict[str, Path]:
    """The runs that were compared, by system and seed, as the settings of the comparison name them."""
    systems = read_json(compare / SETTINGS_FILE)["systems"]
    return {
        f"{name} seed {seed}": under_root(runs_path, path)
        for name, system in systems.items()
        for seed, path in system["predictions"].items()
    }
