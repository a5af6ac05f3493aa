"""What all transforms of code cost beside bare parsing: ``python -m benchmarks.augmentation``.

Bound: all transforms of the default configuration together, check included, reach 0.2 × the rate of tree-sitter's
parser on the same texts. Both are timed on each text in turn, CPU seconds of the fastest of the turns by chunk, so that
a busy machine decides little. Generated functions in six languages, one to eight a text, and the Python files
of this project; or the texts of a file of JSON lines:

    python -m benchmarks.augmentation --texts solutions.jsonl.gz
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from models.data.augmentation import AugmentStatistics, augment_text
from models.data.c_drawing import Draw
from models.data.generated_code.rendering import render
from models.data.generated_code.styles import drawn_style
from models.data.generated_code.tasks import TASKS
from models.data.generated_code.twins import twin
from models.data.languages.grammars import NAMES, parser_of
from models.settings.augment import AugmentConfig
from models.settings.languages import LANGUAGES, LanguageName

ROOT = Path(__file__).resolve().parents[1]
MIN_RATIO = 0.2
TURNS = 4
CHUNK_TEXTS = 25
NUM_TEXTS = 250
MAX_FUNCTIONS = 8
SEED = 42


class Rates(NamedTuple):
    """What was timed.

    Args:
        num_bytes: Of all texts.
        parsing: Seconds of bare parsing.
        augmenting: Seconds of all transforms.
    """

    num_bytes: int
    parsing: float
    augmenting: float

    @property
    def ratio(self) -> float:
        """Rate of augmenting by that of parsing."""
        return self.parsing / self.augmenting

    def line(self) -> str:
        """As it is printed."""
        parsed, augmented = (self.num_bytes / seconds / 1e6 for seconds in (self.parsing, self.augmenting))
        size = f"{self.num_bytes / 1e6:6.2f} MB"
        return f"{size}  parsed {parsed:6.2f} MB/s  augmented {augmented:5.2f} MB/s  {self.ratio:.3f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print rates and ratios by language and in all; 1 when the bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.augmentation", description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=Path, help="rows with code and lang(uage), JSON lines, gzip or not")
    options = parser.parse_args(argv)
    from benchmarks.side_by_side import held

    texts = generated_and_own() if options.texts is None else texts_of(options.texts)
    found = {}
    for language in LANGUAGES:
        if texts[language]:
            statistics = AugmentStatistics(AugmentConfig(language=language))
            found[language] = measured(texts[language], language, statistics)
            told = statistics.to_json()
            outcome = f"{told['num_not_parsed']} of {told['num_texts']} not parsed, undo rate {told['undo_rate']:.5f}"
            print(f"  {language:<11}{found[language].line()}   {outcome}", flush=True)
    total = Rates(*(sum(values) for values in zip(*found.values(), strict=True)))
    print(f"  {'all':<11}{total.line()}")
    return (
        0
        if held({f"all transforms: {total.ratio:.2f} x bare parsing (>= {MIN_RATIO})": total.ratio >= MIN_RATIO})
        else 1
    )


def measured(texts: list[str], language: LanguageName, statistics: AugmentStatistics) -> Rates:
    """Both rates; chunk by chunk in turn."""
    config = AugmentConfig(language=language)
    parsing = augmenting = 0.0
    for chunk in _chunks(texts):
        turns = [_turn(chunk, language, config) for _ in range(TURNS)]
        parsing += min(parsed for parsed, _ in turns)
        augmenting += min(augmented for _, augmented in turns)
        for text in chunk:
            statistics.add(augment_text(text, SEED, config))
    return Rates(sum(len(text.encode()) for text in texts), parsing, augmenting)


def _turn(texts: list[str], language: LanguageName, config: AugmentConfig) -> tuple[float, float]:
    """CPU seconds of both, text by text in turn."""
    parse, parsing, augmenting = parser_of(language).parse, 0.0, 0.0
    for text in texts:
        content = text.encode()
        started = time.process_time()
        tree = parse(content)
        del tree
        parsed = time.process_time()
        augment_text(text, SEED, config)
        augmenting += time.process_time() - parsed
        parsing += parsed - started
    return parsing, augmenting


def _chunks(texts: list[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while chunk := list(islice(iterator, CHUNK_TEXTS)):
        yield chunk


def generated_and_own() -> dict[LanguageName, list[str]]:
    """Generated functions by language; files of this project where they are of it."""
    texts = {language: [generated_text(language, number) for number in range(NUM_TEXTS)] for language in LANGUAGES}
    texts["python"] += [path.read_text() for path in sorted((ROOT / "models").rglob("*.py"))][:NUM_TEXTS]
    return texts


def generated_text(language: LanguageName, number: int) -> str:
    """Some functions in a row; in Java in a class."""
    draw = Draw(number)
    tasks = [TASKS[draw.pick(tuple(TASKS))] for _ in range(draw.between(1, MAX_FUNCTIONS))]
    functions = [render(twin(task, flawed=False), drawn_style(draw, language, task)) for task in tasks]
    if language == "java":
        return "class Generated {\n" + "\n".join(functions) + "}\n"
    return "\n".join(functions)


def texts_of(path: Path) -> dict[LanguageName, list[str]]:
    """The texts of a file by language; those of others are left out."""
    texts: dict[LanguageName, list[str]] = {language: [] for language in LANGUAGES}
    open_file = gzip.open if path.suffix == ".gz" else open
    with open_file(path, "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            language = NAMES.get(str(row.get("language", row.get("lang", "java"))).lower())
            if language is not None:
                texts[language].append(row["code"])
    return texts


if __name__ == "__main__":
    raise SystemExit(main())
