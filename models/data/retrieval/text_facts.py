"""What is known of the texts of a pairs or candidates run beside their tokens, read from the .jsonl alone."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import orjson

from models.errors import DataInvalid

ORIGINAL = "original"


class TextFacts(NamedTuple):
    """What is known of a text.

    Args:
        text_id: Unique in its file.
        match: What it does the same as; texts that share it are never each other's negatives.
        group: What must not be separated from it.
        language: It is written in.
        split: train, valid, test or candidates.
        project: Repository or project; empty where unknown.
        kind: original, or augmented where it was made from another text.
    """

    text_id: str
    match: str
    group: str
    language: str
    split: str
    project: str
    kind: str


def read_facts(path: Path) -> list[TextFacts]:
    """What is known of each text of a file, in its order.

    Raises:
        DataInvalid: There is no such file, or a line is no text of a pairs or candidates run. Not retried.
    """
    if not path.is_file():
        raise DataInvalid(path, "no such file; expected the texts of a finished pairs or candidates run")
    facts = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                record = orjson.loads(line)
                known = record["metadata"]
                fact = TextFacts(
                    text_id=record["id"],
                    match=known["match"],
                    group=known["group"],
                    language=record["language"],
                    split=known["split"],
                    project=known["project"],
                    kind=known.get("kind", ORIGINAL),
                )
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                problem = f"no text of a pairs or candidates run ({type(error).__name__}: {error}); make it by one"
                raise DataInvalid(path, problem, line=number) from None
            if not all(isinstance(value, str) for value in fact):
                raise DataInvalid(path, "id, match, group, language, split, project or kind is no text", line=number)
            facts.append(fact)
    return facts
