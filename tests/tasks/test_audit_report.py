"""An audit in words and as a page, from the audit of a small set by the real job."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from models.data.generated import write_sample
from models.evaluation.audit.job import AUDIT_FILE, run
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.audit import AuditSettings
from tasks.audit_page import render_audit
from tasks.audit_report import audit_line, audit_markdown, audit_text, check_rows


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of a generated sample."""
    root = tmp_path_factory.mktemp("audit")
    write_sample(root / "raw", num_functions=160)
    run(AuditSettings(data=root / "raw"), JobContext(root, root, EventStream(None, None)))
    document: dict[str, Any] = json.loads((root / AUDIT_FILE).read_text())
    return document


@pytest.fixture
def changed(audit: dict[str, Any]) -> dict[str, Any]:
    """A copy to change."""
    copy: dict[str, Any] = json.loads(json.dumps(audit))
    return copy


class Page(HTMLParser):
    """Collects what a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "img", "iframe", "object", "embed"}:
            self.found.append(tag)
        self.found += [
            str(value) for name, value in attrs if name in {"src", "href"} and not str(value).startswith("#")
        ]


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_the_worst_checks_come_first_and_none_is_lost(audit: dict[str, Any]) -> None:
    rows = check_rows(audit)
    order = ["bad", "look", "not_checked", "good"]
    assert [row.verdict for row in rows] == sorted((row.verdict for row in rows), key=order.index)
    assert {row.title for row in rows} == {check["title"] for check in audit["checks"]}


def test_the_terminal_table_is_narrow_and_says_what_to_do(audit: dict[str, Any]) -> None:
    text = audit_text(audit)
    assert max(map(len, text.splitlines())) <= 100
    for check in audit["checks"]:
        assert check["title"].split()[0] in text
        assert one_line(check["advice"]) in one_line(text)
    assert f"{len(audit['checks'])} checks: " in text


def test_markdown_has_a_row_for_each_check_and_escapes_what_is_not_ours(changed: dict[str, Any]) -> None:
    changed["checks"][0]["detail"] = "a|b <script>"
    markdown = audit_markdown(changed)
    assert "a\\|b &lt;script>" in markdown
    assert sum(line.startswith("| ") for line in markdown.splitlines()) == len(changed["checks"]) + 2


def test_a_line_names_what_is_bad(changed: dict[str, Any]) -> None:
    for check in changed["checks"]:
        check["verdict"] = "good"
    assert "Bad" not in audit_line(changed)
    changed["checks"][3].update(verdict="bad", title="Some Leak")
    assert audit_line(changed).endswith(f"checks: 1 bad, {len(changed['checks']) - 1} good. Bad: some leak.")


def test_the_page_needs_nothing_else_and_shows_every_check(audit: dict[str, Any]) -> None:
    html = render_audit("Data audit of x", audit)
    page = Page()
    page.feed(html)
    assert page.found == []
    assert html.count('class="verdict ') == len(audit["checks"]) + 4  # the legend has each once
    assert "Suspicious labels" in html


def test_code_and_names_from_outside_are_escaped(changed: dict[str, Any]) -> None:
    evil = "<script>alert(1)</script>"
    changed["label_noise"]["hints"][0].update(code_head=evil, id=evil)
    changed["telling_words"]["words"] = [{"word": evil, "0": 1, "1": 2, "groups": 3, "is_mark": True}]
    changed["checks"][0].update(detail=evil, advice=evil)
    assert evil not in render_audit(evil, changed)


def test_data_that_hold_nothing_to_check_still_have_a_page(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"func": "int f() { return 1; }", "target": 1}\n')
    run(AuditSettings(data=tmp_path), JobContext(tmp_path, tmp_path, EventStream(None, None)))
    audit = json.loads((tmp_path / AUDIT_FILE).read_text())
    html = render_audit("t", audit)
    assert "not checked" in html
    assert "not checked" in audit_text(audit)
