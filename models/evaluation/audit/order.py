"""Whether the order of the records tells the label: neighbours that agree more often than chance, or less.

In Devign neighbouring ``idx`` have the same label nine times in ten, though their texts are unrelated. A split by
order, folds without shuffling, or an ``idx`` that reaches the model, then hand the label over.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from models.evaluation.audit.checks import Check, Section, Topic, Verdict, percent
from models.evaluation.audit.rows import AuditRows
from models.evaluation.metrics import Integers

ORDER = Topic("order_leak", "Order of records", "Do neighbours in the file, or by idx, share labels?")
GAPS = (1, 2, 5, 50)
NUM_PERMUTATIONS = 999
MIN_RECORDS = 20
NOTABLE_EXCESS = 0.1


class Pairs(NamedTuple):
    """Neighbours: the places of both records of each pair, ``(P,)``."""

    left: Integers
    right: Integers


def order_leak(rows: AuditRows, seed: int) -> Section:
    """Share of neighbours with equal labels at several gaps, by place in the file and by ``idx``.

    ``gaps``, ``expected`` and ``p_value`` are those of the order with the stronger leak, named in ``by``; all are in
    ``orders``, each with its own p-value; the one above is that times the number of orders it was picked from.
    ``apart`` is the share at gap 1 among neighbours of different groups, where groups are known.

    Args:
        rows: Records that may be learnt from.
        seed: Of the permutations.
    """
    why = (
        f"{len(rows)} records are too few"
        if len(rows) < MIN_RECORDS
        else "these are before/after pairs, laid side by side by the reader"
        if rows.in_pairs
        else "every record has the same label"
        if len(set(rows.labels.tolist())) < 2
        else ""
    )
    if why:
        return Section("order_leak", {"reason": why}, (ORDER.not_checked(f"Not checked: {why}."),))
    orders = {name: _measure(rows, by_gap, seed) for name, by_gap in _orders(rows).items()}
    by = max(orders, key=lambda name: abs(orders[name]["gaps"]["1"] - orders[name]["expected"]))
    p_value = min(1.0, len(orders) * orders[by]["p_value"])  # Bonferroni: the stronger was picked
    content = {"by": by, **orders[by], "p_value": p_value, "orders": orders}
    return Section("order_leak", content, (_judge(content),))


def _orders(rows: AuditRows) -> dict[str, dict[int, Pairs]]:
    """Neighbours by gap, in each order that tells something."""
    found = {"file": {gap: _file_neighbours(len(rows), gap) for gap in GAPS}}
    if all(number is not None for number in rows.numbers):
        by_idx = {gap: _idx_neighbours(rows, gap) for gap in GAPS}
        if len(by_idx[1].left) >= MIN_RECORDS:
            found["idx"] = by_idx
    return found


def _file_neighbours(num_rows: int, gap: int) -> Pairs:
    places = np.arange(num_rows)
    return Pairs(places[:-gap], places[gap:])


def _idx_neighbours(rows: AuditRows, gap: int) -> Pairs:
    """Records of one source whose ``idx`` differ by the gap; the splits do not matter, ``idx`` is older than they."""
    sources = rows.categories.get("source", [""] * len(rows))
    place_of = {(source, number): row for row, (source, number) in enumerate(zip(sources, rows.numbers, strict=True))}
    pairs = [
        (row, place_of[source, number + gap])
        for (source, number), row in place_of.items()
        if number is not None and (source, number + gap) in place_of
    ]
    left, right = zip(*pairs, strict=True) if pairs else ((), ())
    return Pairs(np.array(left, dtype=np.int64), np.array(right, dtype=np.int64))


def _measure(rows: AuditRows, by_gap: dict[int, Pairs], seed: int) -> dict[str, Any]:
    labels = rows.labels.astype(np.int64)
    positives, count = int(labels.sum()), len(labels)
    negatives = count - positives
    expected = (positives * (positives - 1) + negatives * (negatives - 1)) / (count * (count - 1))
    nearest = by_gap[GAPS[0]]
    found = _agreement(labels, nearest)
    random = np.random.Generator(np.random.PCG64(seed))
    shuffled = np.array([_agreement(random.permutation(labels), nearest) for _ in range(NUM_PERMUTATIONS)])
    as_far = np.abs(shuffled - expected) >= abs(found - expected)
    return {
        "gaps": {str(gap): _agreement(labels, pairs) for gap, pairs in by_gap.items() if len(pairs.left)},
        "num_pairs": len(nearest.left),
        "expected": expected,
        "p_value": float((1 + as_far.sum()) / (1 + len(shuffled))),
        "apart": _agreement_apart(rows, labels, nearest),
    }


def _agreement(labels: Integers, pairs: Pairs) -> float:
    return float(np.mean(labels[pairs.left] == labels[pairs.right]))


def _agreement_apart(rows: AuditRows, labels: Integers, pairs: Pairs) -> float | None:
    """Of neighbours whose groups are known and differ: what is left beside commits that lie together."""
    groups = np.array(rows.groups, dtype=object)
    left, right = groups[pairs.left], groups[pairs.right]
    chosen = (left != right) & (left != "") & (right != "")
    return _agreement(labels, Pairs(pairs.left[chosen], pairs.right[chosen])) if chosen.any() else None


def _judge(content: dict[str, Any]) -> Check:
    found, expected, p_value = content["gaps"]["1"], content["expected"], content["p_value"]
    others = ", ".join(f"{percent(share)} {gap} apart" for gap, share in content["gaps"].items() if gap != "1")
    apart = content["apart"]
    beside = "" if apart is None else f" Of neighbours from different groups {percent(apart)} agree."
    detail = (
        f"By {content['by']}, {percent(found)} of neighbours have the same label ({others}); chance gives "
        f"{percent(expected)} (p {p_value:.3f}).{beside}"
    )
    advice = "Shuffle before folding and batching, never split by position, and keep idx away from the model."
    excess = abs(found - expected)
    verdict: Verdict = "good" if p_value > 0.01 else "bad" if excess > NOTABLE_EXCESS else "look"
    return ORDER.judged(verdict, detail, value=found, expected=expected, advice=advice)
