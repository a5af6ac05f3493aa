"""What rows of a collection are called: here, in the output, and by the preprocessing that reads it."""

from __future__ import annotations

from models.data.raw_functions import RawFunction


def name_in_records(idx: str | None, line: int) -> str:
    """What preprocessing calls a row in its id.

    Args:
        idx: As the row has it in the output.
        line: Its line there, which names a row without idx.
    """
    name = f"line-{line}" if idx is None else idx
    return RawFunction(line, name, "", 0, "", "", has_idx=idx is not None).unique_name


def idx_of_held_out(unique_name: str) -> str | None:
    """What a row's idx must be in the output for preprocessing to call it as it would without this job.

    For rows of validation and test, which all stay. One without idx gets none: its line is the same, but where rows
    before it were rejected.

    Args:
        unique_name: ``RawFunction.unique_name`` of the row where it was read.
    """
    if name_in_records(unique_name, 0) == unique_name:
        return unique_name
    return unique_name.removeprefix("idx-") if unique_name.startswith("idx-") else None
