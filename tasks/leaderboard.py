"""Rankings for people: a table for the terminal, markdown for the UI, the threshold curve as a drawing of characters.

Rankings in, text out; what they hold is in ``models.evaluation.ranking_job``.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

TERMINAL_WIDTH = 100
CURVE_HEIGHT = 10
LEGEND = (
    "Of several seeds (×) means; Thr: threshold, of all or from–to. ≈: cannot be told apart from the best. →: goes on. "
    "FP cut: false positives dropped."
)
BASELINE_COLUMNS = ("f1", "precision", "recall", "false_positive_reduction")


def leaderboard_text(ranking: Mapping[str, Any]) -> str:
    """Configurations, best first, then baselines, then what can be said of them; at most 100 columns.

    Args:
        ranking: Content of ``ranking.json``.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=_title(ranking),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", justify="right")
    table.add_column("Configuration", overflow="fold")
    for head in (f"F1 [{ranking['confidence']:.0%}]", "Prec", "Rec", "FP cut", "Thr", ""):
        table.add_column(head, justify="right", no_wrap=True)
    last = ranking["configurations"][-1]["configuration"]
    for entry in ranking["configurations"]:
        table.add_row(*_cells(entry), end_section=entry["configuration"] == last)
    for baseline in ranking["baselines"].values():
        table.add_row("", Text(baseline["title"]), *_metric_cells(baseline), f"{baseline['threshold']:.2f}", "")
    console = Console(file=io.StringIO(), width=TERMINAL_WIDTH, color_system=None, legacy_windows=False)
    console.print(table)
    for sentence in (LEGEND, *sentences(ranking)):
        console.print(Text(sentence))
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def leaderboard_markdown(ranking: Mapping[str, Any]) -> str:
    """The same for an artifact."""
    heads = ["", "Configuration", f"F1 [{ranking['confidence']:.0%}]", "Prec", "Rec", "FP cut", "Thr", ""]
    lines = [f"**{_title(ranking)}**", "", f"| {' | '.join(heads)} |", f"| --: | :-- |{' --: |' * (len(heads) - 2)}"]
    lines += [f"| {' | '.join(_cells(entry))} |" for entry in ranking["configurations"]]
    for baseline in ranking["baselines"].values():
        title = baseline["title"].replace("|", "\\|")
        lines.append(f"| | *{title}* | {' | '.join(_metric_cells(baseline))} | {baseline['threshold']:.2f} | |")
    lines += ["", *(f"{sentence}\n" for sentence in (LEGEND, *sentences(ranking)))]
    return "\n".join(lines).rstrip() + "\n"


def sentences(ranking: Mapping[str, Any]) -> list[str]:
    """What the ranking shows and does not show."""
    said = [_verdict(ranking)]
    probability = ranking["probability_beats_runner_up"]
    if ranking["first"] is None:
        said.append(f"First: {ranking['first_because']}.")
    elif probability is not None:
        said.append(
            f"First: {ranking['first']} ({ranking['first_because']}); it beats the runner-up {ranking['runner_up']} in "
            f"{probability:.0%} of resamples."
        )
    said.append(f"Goes on: {', '.join(ranking['selected']) or 'nothing'}.")
    said += _collapsed(ranking)
    failed = ranking["failed"]
    if failed:
        said.append(f"{len(failed)} of {ranking['num_planned']} planned trials failed and are not ranked.")
    said += [f"Failed: {label}: {message}" for label, message in failed.items()]
    return said


def _verdict(ranking: Mapping[str, Any]) -> str:
    """Claimed of configurations only where each has several seeds; else of these trained models, on other files."""
    entries, best_set = ranking["configurations"], ranking["best_set"]
    if len(entries) == 1:
        return "One configuration: nothing was chosen."
    judged = all(len(entry["seeds"]) > 1 for entry in entries)
    few = "one seed each" if all(len(entry["seeds"]) == 1 for entry in entries) else "of some one seed only"
    if best_set["clear_winner"]:
        winner = best_set["configurations"][0]
        if judged:
            return f"{winner} is shown to be better than every other configuration here (files and seeds resampled)."
        return (
            f"{winner} is better than every other trained model here (files resampled; {few}, so a configuration is "
            "not judged: with other seeds another may be better)."
        )
    of = f"{len(best_set['configurations'])} of {len(entries)}"
    how = f"{ranking['confidence']:.0%}, bootstrap over files"
    if judged:
        return f"No clear winner: {of} configurations cannot be told apart from the best ({how} and seeds, max-T)."
    return (
        f"No clear winner: {of} trained models cannot be told apart from the best ({how}, max-T; {few}, so a "
        "configuration is not judged)."
    )


def _collapsed(ranking: Mapping[str, Any]) -> list[str]:
    """Seeds that found nothing, which a mean and a median hide."""
    said = []
    for entry in ranking["configurations"]:
        for seed, value in entry["f1_by_seed"].items():
            if not entry["num_positive_answers"][seed]:
                said.append(f"Collapsed: seed {seed} of {entry['configuration']} never answered 1.")
            elif value == 0:
                said.append(f"Collapsed: seed {seed} of {entry['configuration']} has F1 0: no answer 1 was right.")
    return said


def trials_markdown(
    labels: Sequence[str], finished: Mapping[str, Mapping[str, Any]], failures: Mapping[str, str]
) -> str:
    """How far a sweep has come.

    Args:
        labels: All trials, in the order they are begun.
        finished: The numbers of those that ended, by label.
        failures: What each failed trial said, by label.
    """
    lines = [f"{len(finished)} of {len(labels)} trials finished, {len(failures)} failed.", ""]
    lines += ["| Trial | State | F1 on validation (argmax) | Epochs |", "| :-- | :-- | --: | --: |"]
    for label in labels:
        if label in finished:
            numbers = finished[label]
            cells = ["done", f"{numbers['best']['val_f1_vulnerable']:.3f}", str(numbers["num_epochs"])]
        elif label in failures:
            cells = [f"failed: {_first_line(failures[label])}".replace("|", "\\|"), "", ""]
        else:
            cells = ["not finished", "", ""]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plan_text(labels: Sequence[tuple[str, str]], missing: Mapping[str, str], announcements: Sequence[str]) -> str:
    """What a dry run prints: every trial with its model, what is missing, what is announced."""
    lines = [f"{len(labels)} trials"]
    lines += [f"  {label}{'' if model not in missing else '  (no weights at hand)'}" for label, model in labels]
    lines += [f"announced: {announcement}" for announcement in announcements]
    lines += [f"no weights at hand: {name}" for name in dict.fromkeys(missing.values())]
    return "\n".join(lines)


def curve_markdown(title: str, sweep: Mapping[str, Any]) -> str:
    """F1 over the threshold as a drawing, with what else the sweep found.

    Args:
        title: Whose curve.
        sweep: Content of ``threshold_sweep_results.json`` of a sweep.
    """
    spread = sweep["bootstrap"]
    constrained = sweep["alternatives"]["recall_constrained"]
    lines = [
        f"**{title}**: threshold {sweep['threshold']:.2f}, F1 {sweep['f1']:.3f} on validation; over resampled files it "
        f"lies in {spread['low']:.2f} to {spread['high']:.2f} ({spread['confidence']:.0%}).",
        "",
        "```text",
        *curve_drawing([(point["threshold"], point["f1"]) for point in sweep["curve"]], sweep["threshold"]),
        "```",
    ]
    if sweep["at_grid_end"]:
        span = sweep["range"]
        lines += [
            "",
            f"The threshold is an end of the grid ({span['low']:g} to {span['high']:g}): a better one may lie beyond.",
        ]
    if constrained is not None:
        lines += [
            "",
            f"Keeping a recall of {constrained['min_recall']:.2f}: threshold {constrained['threshold']:.3f} cuts "
            f"{constrained['false_positive_reduction']:.1%} of the false positives.",
        ]
    by_technology = sweep["alternatives"]["per_technology"]
    if by_technology is not None:
        own = ", ".join(f"{name} {threshold:.2f}" for name, threshold in by_technology["thresholds"].items())
        lines += [
            "",
            f"A threshold for each technology: {own}; F1 {_number(by_technology['f1_cross_validated'])} "
            f"cross-validated, {_number(by_technology['f1_single_threshold_cross_validated'])} with one for all.",
        ]
    return "\n".join(lines) + "\n"


def curve_drawing(points: Sequence[tuple[float, float]], chosen: float) -> list[str]:
    """A curve in characters: a column for each point, the chosen one marked below.

    ASCII only: fonts of equal width take other characters from elsewhere, in another width, and the columns drift.
    """
    values = [value for _, value in points]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    heights = [round((value - low) / span * (CURVE_HEIGHT - 1)) for value in values]
    rows = []
    for level in reversed(range(CURVE_HEIGHT)):
        label = f"{low + span * level / (CURVE_HEIGHT - 1):.3f}" if level in (0, CURVE_HEIGHT - 1) else " " * 5
        rows.append(f"{label} |" + "".join("*" if height == level else " " for height in heights).rstrip())
    marks = "".join("^" if threshold == chosen else "-" for threshold, _ in points)
    return [*rows, f"      +{marks}", f"       {points[0][0]:<.2f}{' ' * max(1, len(points) - 8)}{points[-1][0]:.2f}"]


def _title(ranking: Mapping[str, Any]) -> str:
    val = ranking["val"]
    kind = {"argmax": "argmax", "sweep": "threshold of the best F1", "frozen": "frozen threshold"}
    return (
        f"{ranking['stage']}: validation, {val['num_records']} findings in {val['num_files']} files, "
        f"{val['num_positive'] / val['num_records']:.1%} true; {kind[ranking['decision']['kind']]}"
    )


def _cells(entry: Mapping[str, Any]) -> list[str]:
    seeds = f" ×{len(entry['seeds'])}" if len(entry["seeds"]) > 1 else ""
    mark = "≈" if entry["in_best_set"] else ""
    return [
        str(entry["rank"]),
        f"{entry['configuration']}{seeds}",
        *_metric_cells(entry),
        _span([f"{threshold:.2f}" for _, threshold in sorted(entry["thresholds"].items(), key=lambda item: item[1])]),
        f"{mark}{'→' if entry['kept'] else ''}",
    ]


def _span(rising: Sequence[str]) -> str:
    """What all have, or from the lowest to the highest."""
    return rising[0] if rising[0] == rising[-1] else f"{rising[0]}–{rising[-1]}"


def _metric_cells(entry: Mapping[str, Any]) -> list[str]:
    f1, metrics = entry["f1"], entry["metrics"]
    others = [_number(metrics[name]) for name in BASELINE_COLUMNS[1:]]
    return [f"{_number(f1['value'])} [{_number(f1['low'], 2)}, {_number(f1['high'], 2)}]", *others]


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
