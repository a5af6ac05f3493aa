"""Files with findings in both train and val: each goes whole to one of the two, or its findings leave train.

Findings of one file repeat each other: the same names, the same habits, often the same judgement for the same reason. A
file in both splits lets a model be chosen by what it remembers. Which file goes where depends on the findings alone and
not on the order of their rows. Test is not looked at here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from models.data.findings import Finding

Findings = Sequence[Finding]


class Separated(NamedTuple):
    """Train and val without a file in common.

    Args:
        train: In the order they came, those that came in train first.
        val: As ``train``, those that came in val first.
        report: What was done, as JSON values.
    """

    train: list[Finding]
    val: list[Finding]
    report: dict[str, Any]


def separate(train: Findings, val: Findings, strategy: Literal["regroup", "drop"]) -> Separated:
    """Give each file to one of the two splits.

    A finding that is in both stays in val only, so that none is counted twice.

    Args:
        train: As it came.
        val: As it came.
        strategy: ``regroup`` gives each shared file whole to one split, such that val keeps its number of rows as near
            as any choice of whole files gets, and then its number of true findings; ``drop`` leaves shared files out
            of train.

    Returns:
        The splits, and in ``report``: ``files`` that were shared with their ``rows_in_train`` and ``rows_in_val``,
        ``copies_left_out`` of train, ``files_to_train`` and ``files_to_val``, ``rows_moved_to_train``,
        ``rows_moved_to_val``, ``rows_dropped``, and of val ``val_rows`` and ``val_true`` before and after.
    """
    shared = _groups(train) & _groups(val)
    places = {finding.place for finding in val}
    learnt = [finding for finding in train if finding.place not in places]
    new_train, new_val = STRATEGIES[strategy](learnt, val, _groups(learnt) & _groups(val))
    of_train = _groups(new_train)
    report = {
        "strategy": strategy,
        "files": len(shared),
        "rows_in_train": sum(finding.group in shared for finding in train),
        "rows_in_val": sum(finding.group in shared for finding in val),
        "copies_left_out": len(train) - len(learnt),
        "files_to_train": len(shared & of_train),
        "files_to_val": len(shared - of_train),
        "rows_moved_to_train": sum(finding.split == "val" for finding in new_train),
        "rows_moved_to_val": sum(finding.split == "train" for finding in new_val),
        "rows_dropped": len(learnt) + len(val) - len(new_train) - len(new_val),
        "val_rows": {"before": len(val), "after": len(new_val)},
        "val_true": {"before": _num_true(val), "after": _num_true(new_val)},
    }
    return Separated(new_train, new_val, report)


def _drop(train: Findings, val: Findings, shared: Collection[str]) -> tuple[list[Finding], list[Finding]]:
    return [finding for finding in train if finding.group not in shared], list(val)


def _regroup(train: Findings, val: Findings, shared: Collection[str]) -> tuple[list[Finding], list[Finding]]:
    to_val = _files_for_val(train, val, shared)
    to_train = set(shared) - to_val
    new_train = [finding for finding in train if finding.group not in to_val]
    new_train += [finding for finding in val if finding.group in to_train]
    new_val = [finding for finding in val if finding.group not in to_train]
    new_val += [finding for finding in train if finding.group in to_val]
    return new_train, new_val


STRATEGIES: Mapping[str, Callable[[Findings, Findings, Collection[str]], tuple[list[Finding], list[Finding]]]] = {
    "regroup": _regroup,
    "drop": _drop,
}


def _files_for_val(train: Findings, val: Findings, shared: Collection[str]) -> set[str]:
    """The shared files whose rows together come nearest to what val has of all of them, by subset sums.

    A sum is rows and true findings in one number, ``rows * base + true``, and the set of sums within reach is one
    integer with a bit for each. Of the choices that reach the nearest sum a file stays where it has more rows, as far
    as the files after it by name allow.
    """
    base = 1 + sum(finding.label for finding in (*train, *val) if finding.group in shared)
    in_train, in_val = _sums_of_files(train, shared, base), _sums_of_files(val, shared, base)
    sums = in_train + in_val
    names = sorted(shared, reverse=True)
    reached = [1]
    for name in names:
        reached.append(reached[-1] | reached[-1] << sums[name])
    rest = _nearest(reached[-1], in_val.total(), base)
    chosen = set()
    for name, before in zip(reversed(names), reversed(reached[:-1]), strict=True):
        may_go = rest >= sums[name] and before >> (rest - sums[name]) & 1
        must_go = not before >> rest & 1
        if must_go or (may_go and in_val[name] // base >= in_train[name] // base):
            chosen.add(name)
            rest -= sums[name]
    return chosen


def _sums_of_files(findings: Findings, shared: Collection[str], base: int) -> Counter[str]:
    sums: Counter[str] = Counter()
    for finding in findings:
        if finding.group in shared:
            sums[finding.group] += base + finding.label
    return sums


def _nearest(reached: int, wanted: int, base: int) -> int:
    """The sum within reach that is nearest in rows, then in true findings; the smaller of two equally near."""
    sums = (number for number, bit in enumerate(reversed(f"{reached:b}")) if bit == "1")
    return min(sums, key=lambda s: (abs(s // base - wanted // base), abs(s % base - wanted % base), s))


def _groups(findings: Findings) -> set[str]:
    return {finding.group for finding in findings}


def _num_true(findings: Findings) -> int:
    return sum(finding.label for finding in findings)
