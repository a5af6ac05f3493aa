"""Tokenises an argument list by a table of flags, with argparse: what was given, how it was spelled, and the help.

Nothing is validated here; ``command_line.py`` does that with what this gives.
"""

from __future__ import annotations

import argparse
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from pydantic import BaseModel

from models.errors import SettingsInvalid
from models.settings.documents import dotted, nearest
from models.settings.flags import Flag, collect_flags, flag_name, member_models, negated

CONFIG_FLAG = "--config"


class Translated(NamedTuple):
    """A variable that sets several fields, or whose values are not those of a field.

    Args:
        paths: Dotted fields that it may set.
        texts: From the variable's value to texts of some of these fields, by path; raises ``ValueError`` that says what
            was expected instead.
    """

    paths: tuple[str, ...]
    texts: Callable[[str], Mapping[str, str]]


Environment = Mapping[str, str | Translated]
"""What variables set: a dotted field, or what a translation says."""


@dataclass(frozen=True)
class Variable:
    """A variable that may stand for flags.

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
        environment: The variables that are read, by name.
    """

    settings_class: type[BaseModel]
    flags: tuple[Flag, ...]
    options: tuple[Flag, ...]
    by_name: Mapping[str, Flag]
    switches: Mapping[str, tuple[Flag, str]]
    environment: Mapping[str, Variable]

    @classmethod
    def of(
        cls,
        settings_class: type[BaseModel],
        options_class: type[BaseModel],
        aliases: Mapping[str, str],
        environment: Environment,
    ) -> FlagTable:
        """The table of a settings class and the options of a program."""
        flags, options = tuple(collect_flags(settings_class)), tuple(collect_flags(options_class))
        by_path = {dotted(flag.path): flag for flag in (*flags, *options)}
        assert len(by_path) == len(flags) + len(options), "an option of the program has the name of a setting"
        by_name = {flag.name: flag for flag in by_path.values()}
        by_alias = {flag_name([alias]): by_path[path] for alias, path in aliases.items() if "=" not in path}
        setting = {alias: path.partition("=") for alias, path in aliases.items() if "=" in path}
        switches = {flag_name([alias]): (by_path[path], value) for alias, (path, _, value) in setting.items()}
        variables = {
            name: Variable({path: by_path[path] for path in variable.paths}, variable.texts)
            for name, variable in ((name, _translation(given)) for name, given in environment.items())
        }
        return cls(settings_class, flags, options, {**by_alias, **by_name}, switches, variables)

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


@dataclass
class GivenFlags:
    """What the person said, before it is checked.

    Args:
        texts: Values by flag, in the order given.
        spelled: How a flag (or variable) was written, by its path.
        config_path: The settings file.
    """

    texts: dict[Flag, list[str]] = field(default_factory=dict)
    spelled: dict[tuple[str, ...], str] = field(default_factory=dict)
    config_path: Path | None = None


class _RaisingParser(argparse.ArgumentParser):
    """Raises instead of leaving with a usage line that hides the error."""

    def error(self, message: str) -> NoReturn:
        raise SettingsInvalid(message.removeprefix("argument "))


class _Formatter(argparse.HelpFormatter):
    """Never breaks a line inside the name of a flag."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


class _Collect(argparse.Action):
    """Keeps the texts of a flag and how it was spelled."""

    def __init__(self, *, given: GivenFlags, flag: Flag, **options: Any) -> None:
        super().__init__(**options)
        self.given = given
        self.flag = flag

    def __call__(self, _parser: Any, _namespace: Any, values: Any, option_string: str | None = None) -> None:
        self.given.texts.setdefault(self.flag, []).append(self.const if self.nargs == 0 else str(values))
        self.given.spelled[self.flag.path] = option_string or self.flag.name


def read_arguments(table: FlagTable, argv: Sequence[str], prog: str) -> GivenFlags:
    """What an argument list and the listed environment variables say; ``--help`` prints and ends the process.

    Raises:
        SettingsInvalid: A flag that does not exist or lacks its value, or a variable whose value means nothing; one
            line per problem. Not retried.
    """
    given = GivenFlags()
    parser = _make_parser(table, given, prog)
    spellings = {name: name for name, _, _ in table.names()} | {CONFIG_FLAG: CONFIG_FLAG, "--help": "--help"}
    namespace, unknown = parser.parse_known_args([_kebab(token, spellings) for token in argv])
    if unknown:
        raise SettingsInvalid("\n".join(_unknown_lines(unknown, spellings)))
    given.config_path = namespace.config
    for name, variable in table.environment.items():
        if value := os.environ.get(name):
            _read_variable(name, variable, value, given)
    return given


def _read_variable(name: str, variable: Variable, value: str, given: GivenFlags) -> None:
    """Adds what a variable says of flags that were not given."""
    try:
        texts = variable.texts(value)
    except ValueError as error:
        raise SettingsInvalid(f"{name}: {error}, got {value!r}") from None
    for path, text in texts.items():
        flag = variable.flags[path]
        if flag.path not in given.spelled:
            given.texts[flag] = [text]
            given.spelled[flag.path] = name


def _translation(given: str | Translated) -> Translated:
    """A field alone takes the variable's value as it is."""
    return given if isinstance(given, Translated) else Translated((given,), lambda value: {given: value})


def _make_parser(table: FlagTable, given: GivenFlags, prog: str) -> _RaisingParser:
    parser = _RaisingParser(
        prog=prog,
        usage=f"{prog} [{CONFIG_FLAG} FILE] [--flag VALUE ...]",
        description=_first_paragraph(table.settings_class),
        epilog="Priority: flag, environment, --config file, default. Underscores and dashes are the same in a flag.",
        formatter_class=_Formatter,
        allow_abbrev=False,
        add_help=False,
    )
    own = parser.add_argument_group("program")
    own.add_argument("-h", "--help", action="help", help="show this help and exit")
    own.add_argument(
        CONFIG_FLAG, type=Path, metavar="FILE", help="settings as YAML or JSON; flags change single fields"
    )
    groups: dict[tuple[str, ...], Any] = {}
    for flag in table.options:
        _add_flag(own, table, given, flag)
    for flag in table.flags:
        if flag.group not in groups:
            groups[flag.group] = _add_group(parser, table.flags, flag.group)
        _add_flag(groups[flag.group], table, given, flag)
    return parser


def _add_group(parser: argparse.ArgumentParser, flags: Sequence[Flag], path: tuple[str, ...]) -> Any:
    if not path:
        return parser.add_argument_group("settings")
    holder = next(flag for flag in flags if flag.path == path)
    models = member_models(holder.annotation)
    described = [holder.description] if len(models) == 1 and holder.description else []
    return parser.add_argument_group(dotted(path), " | ".join(described or [_first_paragraph(m) for m in models]))


def _add_flag(group: Any, table: FlagTable, given: GivenFlags, flag: Flag) -> None:
    names = sorted((name for name, owner in table.by_name.items() if owner is flag), key=lambda name: name != flag.name)
    shared: dict[str, Any] = {"action": _Collect, "given": given, "flag": flag, "dest": argparse.SUPPRESS}
    text = argparse.SUPPRESS if flag.hidden else _help_text(table, flag)
    if flag.is_bool:
        group.add_argument(*names, nargs="?", const="true", metavar="on|off", help=text, **shared)
        off = [name for name, const, owner in table.names() if owner is flag and const == "false"]
        group.add_argument(*off, nargs=0, const="false", help=argparse.SUPPRESS, **shared)
    else:
        group.add_argument(*names, metavar=flag.metavar, help=text, **shared)
    for name, (owner, value) in table.switches.items():
        if owner is flag:
            group.add_argument(name, nargs=0, const=value, help=f"the same as {flag.name} {value}", **shared)


def _help_text(table: FlagTable, flag: Flag) -> str:
    variables = [name for name, variable in table.environment.items() if flag in variable.flags.values()]
    needed = f"required for kind {' and '.join(flag.needed_by)}" if flag.needed_by else "required"
    facts = [
        needed if flag.default is None else f"default: {flag.default}",
        f"fields: {', '.join(flag.entry_fields)}" if flag.entry_fields else "",
        flag.bounds,
        f"off by {negated(flag.name)}" if flag.is_bool and flag.default == "on" else "",
        f"environment: {', '.join(variables)}" if variables else "",
    ]
    return f"{flag.description} ({'; '.join(filter(None, facts))})".strip().replace("%", "%%")


def _kebab(token: str, spellings: Mapping[str, str]) -> str:
    """The token with the flag in it spelled as in the table; other tokens as they are."""
    if not token.startswith("--"):
        return token
    name, equals, value = token.partition("=")
    name = name.replace("_", "-")
    return f"{name}{equals}{value}" if name in spellings else token


def _unknown_lines(unknown: Sequence[str], spellings: Mapping[str, str]) -> Iterator[str]:
    after_flag = False
    for token in unknown:
        if token.startswith("-") and len(token) > 1:
            name = token.partition("=")[0]
            near = nearest(name.replace("_", "-"), spellings)
            yield f"{name}: no such flag" + (f"; did you mean {near}?" if near else "")
            after_flag = "=" not in token
        elif after_flag:
            after_flag = False  # most likely the value of the unknown flag
        else:
            yield f"{token!r}: expected a flag; values follow their flag"


def _first_paragraph(settings_class: type[BaseModel]) -> str:
    return " ".join((settings_class.__doc__ or "").split("\n\n")[0].split())
