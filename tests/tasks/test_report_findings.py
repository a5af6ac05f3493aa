"""A report of findings speaks of findings and files, and has a section for each set of the test file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.evaluation.job import run
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.evaluate import EvaluateSettings
from tasks.reports import markdown_summary, render_report, table_text

SETS = {"test": "Sealed test", "test_chef": "Sealed test: chef", "test_puppet": "Sealed test: puppet"}


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    """Content of ``evaluation.json`` of one model on small findings."""
    root, random = tmp_path_factory.mktemp("findings"), np.random.default_rng(0)
    for split in ("train", "valid", "test"):
        records, scores = [], []
        for row in range(40):
            technology, label = ("chef", "puppet")[row // 20], int(random.random() < 0.4)
            metadata = {"technology": technology, "smell": "use_of_http", "in_combined": row % 5 > 0, "project": ""}
            metadata["group"] = f"{technology}/{split}-{row // 2}"
            empty = {key: [] for key in ("tokens", "token_offsets", "ast_nodes", "edge_index", "edge_type")}
            record = {"id": f"{split}-{row}", "code": f"uri {random.random()}", "label": label, "metadata": metadata}
            records.append(json.dumps(record | empty))
            scores.append(json.dumps({"id": record["id"], "label": label, "probability": random.random()}))
        (root / f"{split}.jsonl").write_text("\n".join(records) + "\n")
        (root / f"predictions_{split}.jsonl").write_text("\n".join(scores) + "\n")
    context = JobContext(root, root, EventStream(None))
    run(EvaluateSettings(data=root, predictions={"m": root}, num_resamples=50), context)
    return json.loads((root / "evaluation.json").read_bytes())


def test_the_page_has_a_section_for_each_set_in_the_words_of_findings(evaluation):
    html = render_report(title="t", evaluation=evaluation, training={}, preprocessing={}, provenance={})
    for name, title in SETS.items():
        assert f'<section id="{name}">\n<h2>{title}</h2>' in html
    assert "true findings" in html
    assert "FP dropped" in html
    assert "GLITCH alone (keep every finding)" in html
    assert "commit" not in html
    assert "ulnerable" not in html


def test_table_and_markdown_speak_of_findings_too(evaluation):
    measured = evaluation["splits"]["test"]
    assert f"32 records, {measured['num_groups']} files, {measured['positive_share']:.1%} true findings" in table_text(
        evaluation
    )
    assert "Sealed test: puppet: 20 records, 10 files" in table_text(evaluation)
    markdown = markdown_summary(evaluation)
    assert "FP dropped" in markdown
    assert "intervals by file." in markdown
