"""Generated findings: what the line is flagged for, the block it stands in, and how each technology writes them down.

A line is flagged in a block (an Ansible task, a Chef or Puppet resource), and what the block is for decides whether the
finding is true: the same ``password`` is a leak where the block makes a production account and a false alarm where it
makes one for a sandbox. One word of the block's title tells, and a neighbouring block's title may hold such a word too;
so what must be read is which of the two stands in the block of the flagged line: the nearest title above it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from models.data.c_drawing import Draw

CONTEXT_LINES = 5
SHARE_OTHER_ABOVE = 0.05
"""Of all segments, those whose other telling title stands above the flagged line's own block, not below it."""
TRUE_WORDS = ("production", "public")
"""In the title of a block in which a flagged line is a flaw, whatever the smell."""
FALSE_WORDS = ("sandbox", "example")
"""In the title of one in which it is none."""
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


class Technology(NamedTuple):
    """How a technology is written.

    Args:
        title: Line that opens a block, with ``{kind}`` and ``{title}``.
        below_title: Lines between it and the attributes, with ``{kind}``.
        attribute: With ``{key}`` and ``{value}``.
        comment: With ``{text}``.
        closing: Lines that end a block.
        file_name: With ``{owner}``, ``{project}`` and ``{part}``.
        context_head: What stands before a context, with ``{file}``.
    """

    title: str
    below_title: tuple[str, ...]
    attribute: str
    comment: str
    closing: tuple[str, ...]
    file_name: str
    context_head: str


TECHNOLOGIES: Mapping[str, Technology] = {
    "ansible": Technology(
        title="- name: {title}",
        below_title=("  {kind}:",),
        attribute="    {key}: {value}",
        comment="    # {text}",
        closing=(),
        file_name="{owner}_{project}-roles-{part}-tasks-main.yml",
        context_head="# Ansible file: {file}\n\n",
    ),
    "chef": Technology(
        title="{kind} '{title}' do",
        below_title=(),
        attribute="  {key} '{value}'",
        comment="  # {text}",
        closing=("end",),
        file_name="{owner}_{project}-cookbooks-{part}-recipes-default.rb",
        context_head="\n",
    ),
    "puppet": Technology(
        title="{kind} {{ '{title}':",
        below_title=(),
        attribute="  {key} => '{value}',",
        comment="  # {text}",
        closing=("}",),
        file_name="{owner}@{project}-manifests-{part}.pp",
        context_head="# Puppet file: {file}\n\n",
    ),
}


class Smell(NamedTuple):
    """What blocks with a smell look like.

    Args:
        things: What titles are about; says nothing.
        kinds: Kinds of blocks.
        attributes: Keys with their values.
        flagged: Key and value of the flagged line; without a key it is a comment.
    """

    things: tuple[str, ...]
    kinds: tuple[str, ...]
    attributes: tuple[tuple[str, tuple[str, ...]], ...]
    flagged: Callable[[Draw], tuple[str, str]]


def _secret(draw: Draw) -> tuple[str, str]:
    value = "".join(draw.pick(_ALPHABET) for _ in range(draw.between(4, 7)))
    return draw.pick(("password", "secret", "api_key", "token")), value


def _comment(draw: Draw) -> tuple[str, str]:
    word = draw.pick(("TODO", "FIXME", "HACK", "XXX"))
    what = draw.pick(("check", "tighten", "remove", "rework", "review", "undo"))
    return "", f"{word} {what} this {draw.pick(('mode', 'owner', 'line', 'default', 'rule', 'path', 'value'))}"


def _address(draw: Draw) -> tuple[str, str]:
    host = f"{draw.pick(('mirror', 'files', 'repo', 'node', 'hub'))}{draw.between(1, 40)}"
    path = draw.pick(("main", "stable", "index", "pool", "v2"))
    return draw.pick(("url", "source", "uri")), f"http://{host}.lan/{path}"


def _algorithm(draw: Draw) -> tuple[str, str]:
    key = draw.pick(("algorithm", "digest", "cipher", "hash_type"))
    return key, draw.pick(("md5", "sha1", "des", "rc4", "md4")) + draw.pick(("", "-hex", "-raw", "-b64"))


_STATE = ("state", ("present", "latest", "started"))
SMELLS: Mapping[str, Smell] = {
    "hard_coded_secret": Smell(
        things=("database account", "queue login", "backup user", "mail relay"),
        kinds=("mysql_user", "account", "service_login"),
        attributes=(("host", ("db1", "db2", "mail", "queue")), ("user", ("app", "web", "worker")), _STATE),
        flagged=_secret,
    ),
    "suspicious_comment": Smell(
        things=("rules", "settings", "template", "entries"),
        kinds=("template", "file", "config_line"),
        attributes=(("path", ("/etc/main", "/etc/local", "/srv/data")), ("owner", ("root", "app")), _STATE),
        flagged=_comment,
    ),
    "use_of_http": Smell(
        things=("release archive", "agent package", "gateway", "index page"),
        kinds=("get_url", "remote_file", "fetch"),
        attributes=(("dest", ("/opt/app", "/var/agent", "/srv/www")), ("timeout", ("10", "30", "60")), _STATE),
        flagged=_address,
    ),
    "weak_cryptography_algorithms": Smell(
        things=("key store", "token table", "name index", "block list"),
        kinds=("crypto_config", "store", "checksum"),
        attributes=(("length", ("16", "32", "64")), ("format", ("hex", "raw", "b64")), _STATE),
        flagged=_algorithm,
    ),
}
NEUTRAL_TITLES = ("rotate logs", "set time zone", "create group", "enable service", "clean packages")


def segment(
    draw: Draw, technology: str, smell: str, flagged: tuple[str, str], words: tuple[str, str | None]
) -> tuple[str, ...]:
    """Five lines before a flagged line, it, and five after it: parts of three blocks, of which the middle one has it.

    Args:
        draw: Equal draws and other words give the same segment with those words in its titles.
        technology: Key of ``TECHNOLOGIES``.
        smell: Key of ``SMELLS``.
        flagged: Key and value of the flagged line.
        words: In the title of the flagged line's own block, and of the block before or after it; ``None``: that title
            tells nothing.
    """
    style, looks = TECHNOLOGIES[technology], SMELLS[smell]
    own_title, other_title = (
        f"{word} {draw.pick(looks.things)}" if word else draw.pick(NEUTRAL_TITLES) for word in words
    )
    neutral_title = draw.pick(NEUTRAL_TITLES)
    num_above = 1 - len(style.below_title)
    if draw.chance(SHARE_OTHER_ABOVE):
        # Just so many lines that the other title is the first of the five.
        before, after = _block(style, looks, draw, other_title, 1), neutral_title
    else:
        before, after = [*_block(style, looks, draw, neutral_title, 3), *_gap(draw)], other_title
        num_above += draw.below(2)
    own = _attributes(style, looks, draw, num_above + draw.below(2))
    own.insert(num_above, _line(style, *flagged))
    head = _head(style, looks, draw, own_title)
    following = [*_gap(draw), *_block(style, looks, draw, after, 3)]
    lines = [*before, *head, *own, *style.closing, *following]
    at = len(before) + len(head) + num_above
    return tuple(lines[at - CONTEXT_LINES : at + CONTEXT_LINES + 1])


def _gap(draw: Draw) -> list[str]:
    return [""] * draw.below(2)


def _block(style: Technology, looks: Smell, draw: Draw, title: str, num_attributes: int) -> list[str]:
    return [
        *_head(style, looks, draw, title),
        *_attributes(style, looks, draw, num_attributes),
        *style.closing,
    ]


def _head(style: Technology, looks: Smell, draw: Draw, title: str) -> list[str]:
    kind = draw.pick(looks.kinds)
    return [line.format(kind=kind, title=title) for line in (style.title, *style.below_title)]


def _attributes(style: Technology, looks: Smell, draw: Draw, count: int) -> list[str]:
    """Lines with different keys."""
    chosen = draw.shuffled(looks.attributes)[:count]
    return [style.attribute.format(key=key, value=draw.pick(values)) for key, values in chosen]


def _line(style: Technology, key: str, value: str) -> str:
    return style.attribute.format(key=key, value=value) if key else style.comment.format(text=value)
