"""How fast functions are cut beside bare parsing: ``python -m benchmarks.cutting [--data PATH]``.

Both do the same files, held in memory, on one core: tree-sitter parses each and throws the tree away; cutting parses,
finds the functions, names them and copies their bytes, and reads broken C and C++ again. They take turns, and of each
the fastest of some turns counts, in CPU seconds. Bound: in every language the rate of cutting is at least 0.7 of that
of parsing. Without data, generated repositories in six languages; files of less than a kilobyte, as there and on
Rosetta Code, are the hard case for Python around a parser in C. A file in which nothing can be a function is not
parsed, which is how cutting can be faster.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from models.data.generated_repositories import write_sample
from models.data.languages.cutting import cut_functions
from models.data.languages.grammars import NAMES, parser_of
from models.data.repositories.walking import SourceFile, walk_repositories
from models.settings.languages import LANGUAGES, LanguageName

MIN_RATIO = 0.7
MAX_FILE_BYTES = 2_000_000
MIN_TURN_BYTES = 500_000
"""Of less a turn takes all several times: a few milliseconds say nothing."""
Sources = dict[LanguageName, list[bytes]]


class Rates(NamedTuple):
    """What was measured in one language.

    Args:
        language: Which.
        num_files: Files read.
        num_bytes: Their size in all.
        broken_share: Part of the bytes that is in files with a syntax error.
        num_functions: Functions cut.
        parsing_seconds: Fastest turn of bare parsing, CPU.
        cutting_seconds: Fastest turn of cutting, CPU.
    """

    language: LanguageName
    num_files: int
    num_bytes: int
    broken_share: float
    num_functions: int
    parsing_seconds: float
    cutting_seconds: float

    @property
    def ratio(self) -> float:
        """Rate of cutting over that of parsing."""
        return self.parsing_seconds / self.cutting_seconds

    def __str__(self) -> str:
        parsing, cutting = (self.num_bytes / 1e6 / seconds for seconds in (self.parsing_seconds, self.cutting_seconds))
        return (
            f"{self.language:<10} {self.num_files:>6,} files, {self.num_bytes / 1e6:6.2f} MB, {self.num_functions:>6,} "
            f"functions, {self.broken_share:4.0%} broken: parsing {parsing:5.2f} MB/s, cutting {cutting:5.2f} MB/s"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Print rates and ratios; 1 when the bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cutting", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data",
        type=Path,
        help="folder of repositories, or Rosetta Code's solutions.jsonl.gz; else a generated sample",
    )
    parser.add_argument("--turns", type=int, default=5, help="turns of each side [turns]")
    parser.add_argument("--max-megabytes", type=float, default=6.0, help="of each language at most [MB]")
    options = parser.parse_args(argv)
    from benchmarks.side_by_side import held

    sources = read_sources(options.data, int(1e6 * options.max_megabytes))
    measured = [measure(language, contents, options.turns) for language, contents in sources.items()]
    for rates in measured:
        print(rates, flush=True)
    bounds = {
        f"{rates.language}: cutting at {rates.ratio:.2f}x of parsing (>= {MIN_RATIO}x)": rates.ratio >= MIN_RATIO
        for rates in measured
    }
    return 0 if held(bounds) else 1


def read_sources(data: Path | None, max_bytes: int) -> Sources:
    """Contents of files by language, those of each up to a size, in the order of ``LANGUAGES``.

    Raises:
        DataInvalid: the folder is no folder of repositories. Not retried.
    """
    with tempfile.TemporaryDirectory() as folder:
        if data is None:
            write_sample(Path(folder))
            data = Path(folder) / "repos"
        found: Sources = {language: [] for language in LANGUAGES}
        left = dict.fromkeys(LANGUAGES, max_bytes)
        for language, content in _solutions(data) if data.is_file() else _files(data):
            if left[language] >= len(content):
                left[language] -= len(content)
                found[language].append(content)
    return {language: contents for language, contents in found.items() if contents}


def _files(folder: Path) -> Iterator[tuple[LanguageName, bytes]]:
    for found in walk_repositories(folder, LANGUAGES, MAX_FILE_BYTES):
        if isinstance(found, SourceFile):
            yield found.language, found.content


def _solutions(path: Path) -> Iterator[tuple[LanguageName, bytes]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if language := NAMES.get(row["lang"].lower()):
                yield language, row["code"].encode()


def measure(language: LanguageName, contents: Sequence[bytes], turns: int) -> Rates:
    """Both sides on the same files, in turns."""
    parse = parser_of(language).parse
    has_error = [parse(content).root_node.has_error for content in contents]
    num_functions = sum(len(cut_functions(content, language)) for content in contents)  # queries and tables are ready
    num_bytes = sum(map(len, contents))
    read = list(contents) * (MIN_TURN_BYTES // num_bytes + 1)
    parsing, cutting = [], []
    for _ in range(turns):
        parsing.append(seconds_of(parse, read))
        cutting.append(seconds_of(lambda content: cut_functions(content, language), read))
    broken = sum(len(content) for content, broken in zip(contents, has_error, strict=True) if broken)
    times = len(read) / len(contents)
    seconds = min(parsing) / times, min(cutting) / times
    return Rates(language, len(contents), num_bytes, broken / num_bytes, num_functions, *seconds)


def seconds_of(work: Callable[[bytes], object], contents: Sequence[bytes]) -> float:
    """CPU seconds of doing something with each file."""
    start = time.process_time()
    for content in contents:
        work(content)
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(main())
