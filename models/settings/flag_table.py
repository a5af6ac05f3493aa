"""Every flag of one program: its own, flat ones that stand for them, and the variables that may set them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import BaseModel

from models.settings.documents import dotted
from models.settings.flags import Flag, collect_flags, flag_name, negated

CONFIG_FLAG = "--config"


class Translated(NamedTuple):
    """A variable or flat flag that sets several fields, or whose values are not those of a field.

    Args:
        paths: Dotted fields that it may set.
        texts: From its value to texts of some of these fields, by path; raises ``ValueError`` that says what
            was expected instead.
    """

    paths: tuple[str, ...]
    texts: Callable[[str], Mapping[str, str]]


Environment = Mapping[str, str | Translated]
"""What variables set: a dotted field, or what a translation says."""


Aliases = Mapping[str, str | Translated]
"""What flat flags set: a dotted field, a field and its value (``field=value``), or what a translation says."""


@dataclass(frozen=True)
class Variable:
    """A variable, or a flat flag, that may stand for flags.

    Args:
        flags: Those that it may set, by path.
        texts: From its value to texts of some of them, by path.
    """

    flags: Mapping[str, Flag]
    texts: Callable[[str], Mapping[str, str]]


@dataclass(frozen=True)
class FlagTable:
    """Every flag of one program: by name, and where its value goes.

    Args:
        settings_class: What the flags set.
        flags: Flags of the settings.
        options: Flags of the program that are no settings.
        by_name: Flag by each of its names, aliases included.
        switches: Flag and the value it sets, by the name of each alias that is a bare switch.
        shared: Flat flags that set several fields, by name; each field's own flag is above them.
        environment: The variables that are read, by name.
    """

    settings_class: type[BaseModel]
    flags: tuple[Flag, ...]
    options: tuple[Flag, ...]
    by_name: Mapping[str, Flag]
    switches: Mapping[str, tuple[Flag, str]]
    shared: Mapping[str, Variable]
    environment: Mapping[str, Variable]

    @classmethod
    def of(
        cls,
        settings_class: type[BaseModel],
        options_class: type[BaseModel],
        aliases: Aliases,
        environment: Environment,
    ) -> FlagTable:
        """The table of a settings class and the options of a program."""
        flags, options = tuple(collect_flags(settings_class)), tuple(collect_flags(options_class))
        by_path = {dotted(flag.path): flag for flag in (*flags, *options)}
        assert len(by_path) == len(flags) + len(options), "an option of the program has the name of a setting"
        by_name = {flag.name: flag for flag in by_path.values()}
        single = {alias: path for alias, path in aliases.items() if isinstance(path, str)}
        by_alias = {flag_name([alias]): by_path[path] for alias, path in single.items() if "=" not in path}
        setting = {alias: path.partition("=") for alias, path in single.items() if "=" in path}
        switches = {flag_name([alias]): (by_path[path], value) for alias, (path, _, value) in setting.items()}
        several = {flag_name([alias]): given for alias, given in aliases.items() if isinstance(given, Translated)}
        shared = {name: _variable(given, by_path) for name, given in several.items()}
        variables = {name: _variable(_translation(given), by_path) for name, given in environment.items()}
        return cls(settings_class, flags, options, {**by_alias, **by_name}, switches, shared, variables)

    def names(self) -> Iterator[tuple[str, str, Flag]]:
        """Every spelling that is accepted: the spelling, what a bare switch sets (or empty), its flag."""
        for name, flag in self.by_name.items():
            yield name, "true" if flag.is_bool else "", flag
            if flag.is_bool:
                yield negated(name), "false", flag
                parent, dot, last = name.rpartition(".")
                if dot:
                    yield f"{parent}.no-{last}", "false", flag
        for name, (flag, value) in self.switches.items():
            yield name, value, flag

    def spellings(self) -> dict[str, str]:
        """Every flag that is accepted, by itself."""
        names = [*(name for name, _, _ in self.names()), *self.shared, CONFIG_FLAG, "--help"]
        return {name: name for name in names}


def _variable(given: Translated, by_path: Mapping[str, Flag]) -> Variable:
    return Variable({path: by_path[path] for path in given.paths}, given.texts)


def _translation(given: str | Translated) -> Translated:
    """A field alone takes the variable's value as it is."""
    return given if isinstance(given, Translated) else Translated((given,), lambda value: {given: value})
