"""Where each training record comes from: its source, its origin within it, and its number there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import DataInvalid


@dataclass(frozen=True)
class Provenance:
    """Of ``N`` records in the order of their file; empty where nothing is known.

    Args:
        sources: Collections, such as ``codexglue``.
        origins: Where a collection has the record from.
        orig_ids: ``idx`` of the record in its collection.
    """

    sources: Sequence[str]
    origins: Sequence[str]
    orig_ids: Sequence[str]


def read_provenance(path: Path) -> Provenance:
    """Provenance of the records of a ``.jsonl`` of the preprocess job.

    Raises:
        DataInvalid: A line is no record. Not retried.
    """
    import orjson

    columns: dict[str, list[str]] = {"source": [], "origin": [], "orig_id": []}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                metadata = orjson.loads(line)["metadata"]
                for key, values in columns.items():
                    value = metadata.get(key)
                    values.append("" if value is None else str(value))
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise DataInvalid(path, "not a record of the preprocess job", line=number) from error
    return Provenance(columns["source"], columns["origin"], columns["orig_id"])
