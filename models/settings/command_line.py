"""A settings class as a command line: ``parse_settings(TrainSettings, argv, prog="...")``.

Priority: flag, then environment (only the names the caller lists), then ``--config FILE``, then default. A file says a
nested model whole, as the form and ``model_validate`` do; a flag changes one field and keeps the rest. Why this is not
pydantic-settings: docs/decisions/0005-own-command-line.md. Tokens are read in ``arguments.py`` by the table of
``flags.py``, files in ``documents.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from models.errors import EXIT_REFUSED, SettingsInvalid
from models.settings.arguments import GivenFlags, read_arguments
from models.settings.documents import (
    Location,
    check_settings,
    dotted,
    dump_settings,
    load_settings,
    read_document,
)
from models.settings.fields import Settings
from models.settings.flag_table import CONFIG_FLAG, Aliases, Environment, FlagTable, Translated
from models.settings.flags import Flag, decode, encode, flag_name
from models.settings.overlay import overlay

__all__ = [
    "Aliases",
    "Environment",
    "NoOptions",
    "Translated",
    "as_flags",
    "dump_settings",
    "load_settings",
    "parse_command",
    "parse_settings",
    "settings_in_place",
]

S = TypeVar("S", bound=BaseModel)
O = TypeVar("O", bound=BaseModel)  # noqa: E741  # options


class NoOptions(Settings):
    """A program without options of its own."""


def parse_settings(
    settings_class: type[S],
    argv: Sequence[str],
    *,
    prog: str,
    aliases: Aliases | None = None,
    environment: Environment | None = None,
) -> S:
    """The settings that a command line says; ends the process (0 after ``--help``, 2 after telling what is wrong).

    Args:
        settings_class: What to fill.
        argv: Arguments, without the program's name.
        prog: Name of the program in help and errors.
        aliases: Flat flags for dotted fields, such as ``{"lr": "model.learning_rate"}``; with a value they are bare
            switches, such as ``{"mixed-precision": "compute.precision=auto"}``; translated, they set several fields.
        environment: Dotted fields by the variable that may set them, such as ``{"CODEWARDEN_RUNS": "runs"}``, or how
            its value is translated; no other variable is read.
    """
    settings, _ = parse_command(
        settings_class, NoOptions, argv, prog=prog, aliases=aliases or {}, environment=environment or {}
    )
    return settings


def parse_command(
    settings_class: type[S],
    options_class: type[O],
    argv: Sequence[str],
    *,
    prog: str,
    aliases: Aliases | None = None,
    environment: Environment | None = None,
) -> tuple[S, O]:
    """Like ``parse_settings``, with options of the program (where to put things) that are no settings of the job.

    Fields of ``options_class`` are flags of the same command line; ``--config`` speaks of the settings only.
    """
    table = FlagTable.of(settings_class, options_class, aliases or {}, environment or {})
    try:
        given = read_arguments(table, argv, prog)
        return _fill(settings_class, options_class, table, given)
    except SettingsInvalid as error:
        sys.stderr.writelines(f"{prog}: {line}\n" for line in str(error).splitlines())
        sys.stderr.write(f"{prog}: --help explains every flag\n")
        raise SystemExit(EXIT_REFUSED) from None


def settings_in_place(settings_class: type[S], config: Path, environment: Environment) -> S:
    """The settings that a program would be given by ``--config FILE`` and the environment it stands in, and no flag.

    Raises:
        SettingsInvalid: The file or a variable does not fit; one line per problem. Not retried.
    """
    table = FlagTable.of(settings_class, NoOptions, {}, environment)
    settings, _ = _fill(settings_class, NoOptions, table, read_arguments(table, [CONFIG_FLAG, str(config)], ""))
    return settings


def as_flags(settings: BaseModel) -> list[str]:
    """Arguments from which ``parse_settings`` makes equal settings."""
    return list(_arguments_of(type(settings), dump_settings(settings), settings, ()))


def _fill(settings_class: type[S], options_class: type[O], table: FlagTable, given: GivenFlags) -> tuple[S, O]:
    document = read_document(given.config_path) if given.config_path is not None else {}

    def name_of(location: Location) -> str:
        return _spoken_name(location, given, document)

    problems: list[str] = []
    decoded = _decode_all(given, problems)
    if problems:
        raise SettingsInvalid(_told_once(problems, table))
    settings = _check(settings_class, document, decoded, table.flags, name_of, problems)
    options = _check(options_class, {}, decoded, table.options, name_of, problems)
    if settings is None or options is None:
        raise SettingsInvalid(_told_once(problems, table))
    return settings, options


def _told_once(problems: Sequence[str], table: FlagTable) -> str:
    """One line per problem; of a variable or flat flag that sets several fields, the first."""
    told: list[str] = []
    for line in "\n".join(problems).splitlines():
        name = line.partition(":")[0]
        is_shared = name in table.environment or name in table.shared
        if not (is_shared and any(other.startswith(f"{name}:") for other in told)):
            told.append(line)
    return "\n".join(told)


def _decode_all(given: GivenFlags, problems: list[str]) -> dict[Flag, Any]:
    decoded: dict[Flag, Any] = {}
    for flag, texts in given.texts.items():
        try:
            decoded[flag] = decode(flag, texts)
        except ValueError as error:
            problems.append(f"{given.spelled[flag.path]}: {error}, got {texts[-1]!r}")
    return decoded


def _check(
    settings_class: type[S],
    document: Mapping[str, Any],
    decoded: Mapping[Flag, Any],
    flags: Sequence[Flag],
    name_of: Callable[[Location], str],
    problems: list[str],
) -> S | None:
    changes = {flag.path: value for flag, value in decoded.items() if flag in flags}
    try:
        return check_settings(settings_class, overlay(settings_class, document, changes), name_of)
    except SettingsInvalid as error:
        problems.append(str(error))
        return None


def _spoken_name(location: Location, given: GivenFlags, document: Mapping[str, Any]) -> str:
    """How the person called a value: flag or variable as spelled, key in the file, or the flag they did not give."""
    for length in range(len(location), 0, -1):
        spelled = given.spelled.get(tuple(map(str, location[:length])))
        if spelled is not None:
            return spelled + "".join(f" [{item}]" for item in location[length:])
    value: Any = document
    for item in location[:-1]:
        value = value.get(item) if isinstance(value, Mapping) else None
    if given.config_path is not None and isinstance(value, Mapping) and (location[-1] in value or len(location) > 1):
        return f"{given.config_path}: {dotted(location)}"
    return flag_name([str(item) for item in location])


def _arguments_of(
    settings_class: type[BaseModel], dumped: Mapping[str, Any], settings: BaseModel, prefix: tuple[str, ...]
) -> Iterator[str]:
    for name in settings_class.model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _arguments_of(type(value), dumped[name], value, (*prefix, name))
        else:
            yield from encode((*prefix, name), dumped[name])
