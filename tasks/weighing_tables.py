"""The tables of a weigh run: noise that was found, and what the weights did to the training data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from models.evaluation.out_of_fold.label_trust import TELLING_AUROC
from tasks.comparison_words import NONE, number, percent, with_interval
from tasks.tables import PlainTable

LABELS = {"0": "safe", "1": "vulnerable"}
MAX_ORIGINS = 12
"""Origins shown, the largest first; the rest is left to the file."""
PARTS = {"by_label": "label", "by_source": "source", "by_origin": "origin"}


def weighing_tables(weighing: Mapping[str, Any]) -> list[PlainTable]:
    """All of them: noise, planted noise where there was any, the models behind it, and the data before and after."""
    found = [noise_table(weighing), planted_table(weighing), quality_table(weighing), distribution_table(weighing)]
    return [table for table in found if table is not None]


def noise_table(weighing: Mapping[str, Any]) -> PlainTable:
    """Labels that are taken for wrong, by given label, beside the same estimate for shuffled labels."""
    estimated, issues = weighing["estimated_noise"], weighing["num_issues"]
    before = weighing["distribution"]["before"]
    parts = [(f"{label} ({words})", f"given_{label}", before["by_label"][label]) for label, words in LABELS.items()]
    wrong = {f"given_{label}": issues[label] for label in LABELS} | {"overall": sum(issues[label] for label in LABELS)}
    rows = tuple(
        (
            name,
            _count(cell["num_records"]),
            percent(estimated[key]),
            _count(wrong[key]),
        )
        for name, key, cell in (*parts, ("both", "overall", before["all"]))
    )
    heads = ("Records", "Estimated noise", "Taken for wrong")
    shuffled = ("of shuffled labels", NONE, percent(estimated["shuffled"]), NONE)
    title = f"Label noise by out-of-fold scores of {_listed(weighing['quality'])} ({weighing['num_folds']} folds)"
    return PlainTable(title, ("Given label",), heads, (*rows, shuffled), 2)


def noise_caveat(weighing: Mapping[str, Any]) -> str:
    """Why estimated noise and the labels taken for wrong mean little; empty: they mean something."""
    ranking = weighing["estimated_noise"]["auroc"]
    if ranking["low"] is not None and ranking["low"] >= TELLING_AUROC:
        return ""
    return f"means little: the scores rank labels with AUROC {with_interval(ranking)}"


def noise_line(weighing: Mapping[str, Any]) -> str:
    """What was found of wrong labels, in one line."""
    planted, issues = weighing["planted"], weighing["num_issues"]
    told = []
    if planted is not None:
        found = with_interval(planted["auroc"])
        told.append(f"{_count(planted['num_planted'])} planted wrong labels ranked by low trust with AUROC {found}")
    estimate = f"estimated noise {percent(weighing['estimated_noise']['overall'])}"
    shuffled, caveat = weighing["estimated_noise"]["shuffled"], noise_caveat(weighing)
    estimate += f" (of shuffled labels {percent(shuffled)})"
    estimate += f", {_count(sum(issues[label] for label in LABELS))} labels taken for wrong"
    told.append(f"{estimate}, which {caveat}" if caveat else estimate)
    return f"Noise: {'; '.join(told)}."


def spread_line(weighing: Mapping[str, Any]) -> str:
    """How much the weights can change at all, in one line."""
    spread = weighing["weights"]
    size = _count(round(spread["effective_sample_size"]))
    return (
        f"Weights: {number(spread['min'], 2)} to {number(spread['max'], 2)}, standard deviation "
        f"{number(spread['sd'])}; effective size {size} of {_count(weighing['num_records'])} records."
    )


def planted_table(weighing: Mapping[str, Any]) -> PlainTable | None:
    """How well wrong labels were found that were planted; ``None``: none was."""
    planted = weighing["planted"]
    if planted is None:
        return None
    issues = planted["issues"]
    rows = [
        ("AUROC of low trust, all models [95 %]", with_interval(planted["auroc"])),
        *((f"AUROC of low trust, {model} alone", number(value)) for model, value in planted["by_model"].items()),
        *(
            (f"AUROC among label {label} ({LABELS[label]})", number(found["auroc"]))
            for label, found in planted["by_label"].items()
        ),
        ("AUPRC", number(planted["auprc"])),
        ("Wrong labels among as many least trusted", percent(planted["precision_at_planted"])),
        ("Precision of labels taken for wrong", percent(issues["precision"])),
        ("Recall of labels taken for wrong", percent(issues["recall"])),
    ]
    share = planted["num_planted"] / planted["num_known"] if planted["num_known"] else None
    title = (
        f"Planted noise: {_count(planted['num_planted'])} wrong labels among {_count(planted['num_known'])} records "
        f"({percent(share)})"
    )
    return PlainTable(title, ("How well it is found",), ("Value",), tuple(rows))


def quality_table(weighing: Mapping[str, Any]) -> PlainTable:
    """The models whose scores say it, and what their temperatures did."""
    rows = tuple(
        (
            model,
            with_interval({"value": found["auroc"], "low": found["auroc_low"], "high": found["auroc_high"]}),
            number(found["log_loss_before"]),
            number(found["log_loss_after"]),
            number(found["log_loss_constant"]),
            _span(weighing["temperatures"].get(model, ())),
        )
        for model, found in weighing["quality"].items()
    )
    heads = ("AUROC [95 %]", "Log loss", "calibrated", "of a constant", "Temperatures")
    return PlainTable("Out-of-fold scores against the given labels", ("Model",), heads, rows)


def distribution_table(weighing: Mapping[str, Any]) -> PlainTable:
    """Records, labels and weight before and after, as a whole, by label, by source and by origin."""
    before, after = weighing["distribution"]["before"], weighing["distribution"]["after"]
    rows = [_part("all", before["all"], after["all"])]
    for part, word in PARTS.items():
        names = _largest(before[part]) if part == "by_origin" else list(before[part])
        rows += [
            _part(f"{word} {name}{_flag(weighing, part, name)}", before[part][name], after[part][name])
            for name in names
        ]
    hidden = len(before["by_origin"]) - MAX_ORIGINS
    title = f"Training data before and after ({weighing['treatment']})"
    return PlainTable(
        title + (f"; {hidden} smaller origins are not shown" if hidden > 0 else ""),
        ("Part",),
        ("Records", "learnt", "Vulnerable before", "after", "Weight before", "after", "Mean", "Effective size"),
        tuple(rows),
    )


def _part(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """A part may have lost all its weight; then its mean is 0 and its shares are not defined."""
    mean = after["weight"] / before["num_records"] if before["num_records"] else None
    return (
        name,
        _count(before["num_records"]),
        _count(after["num_records"]),
        percent(before["positive_share"]),
        percent(after["positive_share"]),
        number(before["weight"], 0),
        number(after["weight"], 0),
        number(mean, 2),
        number(after["effective_sample_size"], 0),
    )


def _flag(weighing: Mapping[str, Any], part: str, name: str) -> str:
    """A source of one label is marked: its weight says nothing about its other label."""
    single = {each["source"] for each in weighing["sources"] if each["single_label"]}
    return " (one label only)" if part == "by_source" and name in single else ""


def _largest(cells: Mapping[str, Any]) -> list[str]:
    return sorted(cells, key=lambda name: (-cells[name]["num_records"], name))[:MAX_ORIGINS]


def _span(values: Any) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return NONE
    return f"{number(min(known), 2)}–{number(max(known), 2)}"


def _count(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")


def _listed(names: Mapping[str, Any]) -> str:
    return " and ".join(names)


def facts_of(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is said of one of the least trusted records, name and value."""
    yield "given label", f"{row['label']} ({LABELS[str(row['label'])]})"
    yield "probability of label 1", number(row["probability"])
    yield "trust", number(row["trust"])
    if row.get("trust_percentile") is not None:
        yield "trusted less in its fold", percent(row["trust_percentile"])
    yield "taken for wrong", "yes" if row["is_issue"] else "no"
    yield "source", str(row["source"])
    for name in ("origin", "project", "group"):
        if row.get(name):
            yield name, str(row[name])
    yield "held out in fold", NONE if row["fold"] is None else str(row["fold"])
