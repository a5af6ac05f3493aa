"""Every source of code behind one interface: samples one by one, then what is to be said of their reading."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Protocol

from models.data.balanced.formats import known_format
from models.data.balanced.juliet import read_juliet
from models.data.balanced.plagiarism import read_plagiarism
from models.data.balanced.repositories import Repositories
from models.data.balanced.rosetta import read_rosetta
from models.data.balanced.samples import CodeSample, LeftOut
from models.data.balanced.sven import read_sven
from models.errors import SettingsInvalid
from models.settings.balance import BalanceSettings
from models.settings.languages import LanguageName

__all__ = ["Source", "open_source"]

_Reader = Callable[[Path, Collection[LanguageName], int], Iterator[CodeSample | LeftOut]]
_READERS: dict[str, _Reader] = {
    "rosetta": read_rosetta,
    "plagiarism": read_plagiarism,
    "sven": read_sven,
    "juliet": read_juliet,
}


class Source(Protocol):
    """Where samples come from."""

    name: str

    def samples(self) -> Iterator[CodeSample | LeftOut]:
        """Samples in an order that the data alone decide, and what gives none.

        Raises:
            DataInvalid: the data are none, or damaged. Not retried.
        """
        ...

    def report(self) -> dict[str, Any]:
        """After reading: what is to be said of labels, as JSON values."""
        ...


class RowCollection:
    """A collection of one file, whose rows say all there is.

    Args:
        name: Its shape.
        settings: Where it lies, and what is taken.
    """

    def __init__(self, name: str, settings: BalanceSettings) -> None:
        self.name = name
        self._settings = settings

    def samples(self) -> Iterator[CodeSample | LeftOut]:
        """Rows in the order of the file."""
        settings = self._settings
        return _READERS[self.name](settings.repos_root, settings.languages, settings.max_function_chars)

    def report(self) -> dict[str, Any]:
        """Nothing beside what the rows say."""
        return {}


def open_source(settings: BalanceSettings) -> Source:
    """The source that the settings mean.

    Raises:
        DataInvalid: There is no such data, or its shape is not known. Not retried.
        SettingsInvalid: Labels are given for a collection that has its own. Not retried.
    """
    name = known_format(settings.repos_root, settings.format)
    if name == "repositories":
        return Repositories(settings)
    given = [
        field for field in ("labels", "before_after", "label_by_rules") if getattr(settings, field) not in (None, False)
    ]
    if given:
        raise SettingsInvalid(
            f"{', '.join(given)}: {settings.repos_root} is {name}, whose rows say all; leave it empty"
        )
    return RowCollection(name, settings)
