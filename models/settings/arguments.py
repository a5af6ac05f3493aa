"""Tokenises an argument list by a table of flags, with argparse: what was given, how it was spelled, and the help.

Nothing is validated here; ``command_line.py`` does that with what this gives.
"""

from __future__ import annotations

import argparse
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel

from models.errors import SettingsInvalid
from models.settings.documents import dotted, nearest
from models.settings.flag_table import CONFIG_FLAG, FlagTable, Variable
from models.settings.flags import Flag, member_models, negated


@dataclass
class GivenFlags:
    """What the person said, before it is checked.

    Args:
        texts: Values by flag, in the order given.
        spelled: How a flag (or variable) was written, by its path.
        shared: Values of flat flags that set several fields, by name.
        config_path: The settings file.
    """

    texts: dict[Flag, list[str]] = field(default_factory=dict)
    spelled: dict[tuple[str, ...], str] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    config_path: Path | None = None


class _RaisingParser(argparse.ArgumentParser):
    """Raises instead of leaving with a usage line that hides the error."""

    def error(self, message: str) -> NoReturn:
        raise SettingsInvalid(message.removeprefix("argument "))


class _Formatter(argparse.HelpFormatter):
    """Never breaks a line inside the name of a flag."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


class _CollectShared(argparse.Action):
    """Keeps the value of a flat flag that sets several fields, the last where it is given twice."""

    def __init__(self, *, given: GivenFlags, **options: Any) -> None:
        super().__init__(**options)
        self.given = given

    def __call__(self, _parser: Any, _namespace: Any, values: Any, option_string: str | None = None) -> None:
        self.given.shared[str(option_string)] = str(values)


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
    spellings = table.spellings()
    namespace, unknown = parser.parse_known_args([_kebab(token, spellings) for token in argv])
    if unknown:
        raise SettingsInvalid("\n".join(_unknown_lines(unknown, spellings)))
    given.config_path = namespace.config
    for name, text in given.shared.items():
        _read_variable(name, table.shared[name], text, given)
    for name, variable in table.environment.items():
        if value := os.environ.get(name):
            _read_variable(name, variable, value, given)
    return given


def _read_variable(name: str, variable: Variable, value: str, given: GivenFlags) -> None:
    """Adds what a variable, or a flat flag of several fields, says of flags that were not given."""
    try:
        texts = variable.texts(value)
    except ValueError as error:
        raise SettingsInvalid(f"{name}: {error}, got {value!r}") from None
    for path, text in texts.items():
        flag = variable.flags[path]
        if flag.path not in given.spelled:
            given.texts[flag] = [text]
            given.spelled[flag.path] = name


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
    for name, variable in table.shared.items():
        owners = [flag.name for flag in variable.flags.values()]
        metavar = next(iter(variable.flags.values())).metavar
        text = f"the same as {' and '.join(owners)}, which are above it"
        own.add_argument(name, action=_CollectShared, given=given, dest=argparse.SUPPRESS, metavar=metavar, help=text)
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
            near = " or ".join(_meant(name.replace("_", "-"), spellings))
            yield f"{name}: no such flag" + (f"; did you mean {near}?" if near else "")
            after_flag = "=" not in token
        elif after_flag:
            after_flag = False  # most likely the value of the unknown flag
        else:
            yield f"{token!r}: expected a flag; values follow their flag"


def _meant(name: str, spellings: Mapping[str, str]) -> list[str]:
    """Flags that end as the unknown one is called, else the most similar."""
    ends = [known for known in spellings if known.endswith(f".{name.removeprefix('--')}")]
    near = nearest(name, spellings)
    return ends or ([near] if near else [])


def _first_paragraph(settings_class: type[BaseModel]) -> str:
    return " ".join((settings_class.__doc__ or "").split("\n\n")[0].split())
