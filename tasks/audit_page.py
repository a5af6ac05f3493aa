"""The page of an audit: the content of ``audit.json`` in, one self-contained HTML page out; no script, no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tasks.audit_report import MEANINGS, VERDICTS, Audit, about, check_rows, summary
from tasks.report_audit import Table, duplicate_tables, text_of

TEMPLATE = "audit.html.j2"
FOLDS = {
    "random_folds": "at random",
    "group_folds": "groups and copies kept together",
    "project_folds": "projects held out",
}
MAX_VALUES = 12


def render_audit(title: str, audit: Audit) -> str:
    """One self-contained HTML page.

    Args:
        title: Its heading.
        audit: Content of ``audit.json``.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(TEMPLATE).render(
        title=title,
        about=about(audit),
        summary=summary(audit),
        meanings=[(verdict, word, MEANINGS[verdict]) for verdict, word in VERDICTS.items()],
        checks=check_rows(audit),
        tables=audit_tables_of(audit),
        words=audit["telling_words"]["words"],
        hints=[_hint(hint) for hint in audit["label_noise"]["hints"]],
        pairs=audit["duplicates"]["samples"],
    )


def audit_tables_of(audit: Audit) -> list[Table]:
    """Numbers behind the checks: splits, groups, order, copies, words by way to fold, categories, length."""
    found = [_split_table(audit), _baseline_table(audit), *_group_tables(audit), *_category_tables(audit)]
    found += [*_length_tables(audit), *duplicate_tables(audit["duplicates"])]
    return found


def _split_table(audit: Audit) -> Table:
    splits = audit["splits"]
    rows = [
        ("records", *(text_of(found["records"]) for found in splits.values())),
        ("commits or files", *(text_of(found["groups"] or None) for found in splits.values())),
        *((f"label {label}", *(text_of(found["labels"][label]) for found in splits.values())) for label in "01"),
        ("share of label 1", *(_percent(found["labels"]["1"] / found["records"]) for found in splits.values())),
    ]
    return Table("Records by split", ("", *splits), tuple(rows))


def _baseline_table(audit: Audit) -> Table:
    baselines = audit["baselines"]
    rows = [
        (f"words, {title}", _interval(found["auroc"]), _score(found["f1"]))
        for name, title in FOLDS.items()
        if (found := baselines["words"][name]) is not None
    ]
    rows.append(("always 1", _score(0.5), _score(baselines["always_1"]["f1"])))
    note = (
        "TF-IDF of words and pairs with logistic regression, out of fold on train and valid; F1 at thresholds of the "
        f"other folds. Groups: {audit['grouped_by']}. The sealed test is not scored."
    )
    return Table("What needs no understanding", ("", "AUROC", "F1"), tuple(rows), note)


def _group_tables(audit: Audit) -> Iterable[Table]:
    purity, order = audit["group_purity"], audit["order_leak"]
    if "share_single_label" in purity:
        rows = (
            ("groups of two or more", text_of(purity["groups"])),
            ("records in them", text_of(purity["records"])),
            ("with one label", _percent(purity["share_single_label"])),
            ("with one label, labels shuffled", _percent(purity["expected"])),
            ("p", f"{purity['p_value']:.3f}"),
        )
        yield Table("Labels within groups", ("", "value"), rows, f"Groups: {purity['grouped_by']}; train and valid.")
    if "orders" in order:
        gaps = list(order["gaps"])
        neighbours = tuple(
            (f"by {name}", *(_percent(found["gaps"].get(gap)) for gap in gaps), f"{found['p_value']:.3f}")
            for name, found in order["orders"].items()
        )
        note = f"Chance: {_percent(order['expected'])}; p by shuffling, of neighbours one apart."
        yield Table("Neighbours with the same label", ("", *(f"{gap} apart" for gap in gaps), "p"), neighbours, note)


def _category_tables(audit: Audit) -> Iterable[Table]:
    for category, found in audit["shortcuts"].items():
        if "values" not in found:
            continue
        values = list(found["values"].items())
        rows = tuple(
            (name or "(none)", text_of(counts["0"]), text_of(counts["1"]), _percent(_share(counts)))
            for name, counts in values[:MAX_VALUES]
        )
        more = found["num_values"] - len(rows)
        note = f"AUROC of the {category} alone: {_interval(found['auroc'])}."
        note += f" {more} more values are in audit.json." if more > 0 else ""
        yield Table(f"Labels by {category}", ("", "label 0", "label 1", "share of 1"), rows, note)


def _length_tables(audit: Audit) -> Iterable[Table]:
    length = audit["length"]
    if "quantiles" not in length:
        return
    quantiles = length["quantiles"]
    heads = ("characters", *(f"{100 * at:g} %" for at in quantiles["at"]))
    rows = tuple((f"label {label}", *(text_of(value) for value in quantiles[label])) for label in "01")
    yield Table("Length by label", heads, rows, "Quantiles, on train and valid.")


def _hint(hint: Mapping[str, Any]) -> dict[str, str]:
    place = ", ".join(filter(None, (hint["split"], hint["project"], hint["group"])))
    return {
        "title": f"{hint['id']}: label {hint['label']}, words give label 1 {hint['probability']:.2f}",
        "place": place,
        "code": hint["code_head"],
    }


def _share(counts: Mapping[str, int]) -> float | None:
    total = counts["0"] + counts["1"]
    return counts["1"] / total if total else None


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(found: Mapping[str, float | None]) -> str:
    return f"{_score(found['value'])} [{_score(found['low'])}, {_score(found['high'])}]"
