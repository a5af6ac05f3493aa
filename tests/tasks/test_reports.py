"""The report of a real, small chain: generated functions, preprocess job, hand-made scores, evaluate job."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from models.data.generated import write_sample
from models.data.preprocessing import run as preprocess
from models.evaluation.job import run as evaluate
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.evaluate import EvaluateSettings
from models.settings.preprocess import PreprocessSettings
from models.store.manifest import write_manifest
from models.store.openings import append_opening
from tasks.reports import markdown_summary, read_report_inputs, render_report, table_text

HISTORY = [
    {"epoch": at, "step": 9 * at, "train_loss": 0.7 - 0.1 * at, "val_loss": 0.7, "val_f1_vulnerable": 0.5 + 0.02 * at}
    | {"learning_rate": 1e-3}
    for at in range(3)
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run directories by kind, as the jobs leave them."""
    root = tmp_path_factory.mktemp("runs")
    write_sample(root / "raw", num_functions=160)
    paths = {
        kind: root / kind / "label-0123456789ab" / "01234567" for kind in ("preprocess", "train", "predict", "evaluate")
    }
    for path in paths.values():
        path.mkdir(parents=True)

    def finish(kind, files, settings):
        run_path = paths[kind]
        (run_path / "settings.json").write_text(json.dumps(settings))
        (run_path / "record.json").write_text(json.dumps({"attempts": [{"seconds": 1.5, "git_commit": "ab" * 20}]}))
        write_manifest(run_path, files, kind=kind, run_key=f"{kind}-key".ljust(20, "0"), build_key="b" * 64)

    def context(kind):
        return JobContext(paths[kind], root, EventStream(None, None))

    settings = PreprocessSettings(data=root / "raw", vocab_size=400, num_workers=1)
    finish("preprocess", preprocess(settings, context("preprocess")).files, settings.model_dump(mode="json"))
    (paths["train"] / "history.json").write_text(json.dumps({"epochs": HISTORY}))
    finish("train", ["history.json"], {"kind": "train", "seed": 42})
    random = np.random.default_rng(0)
    for split in ("valid", "test"):
        with (paths["predict"] / f"predictions_{split}.jsonl").open("w") as file:
            for line in (paths["preprocess"] / f"{split}.jsonl").read_text().splitlines():
                record = json.loads(line)
                probability = 0.7 * record["label"] + 0.3 * random.random()
                file.write(
                    json.dumps({"id": record["id"], "label": record["label"], "probability": probability}) + "\n"
                )
    (paths["predict"] / "result.json").write_text(json.dumps({"numbers": {"model_kind": "gnn"}}))
    finish("predict", ["predictions_valid.jsonl", "predictions_test.jsonl"], {"kind": "predict"})
    settings = EvaluateSettings(data=paths["preprocess"], predictions={"gnn": paths["predict"]})
    finish("evaluate", evaluate(settings, context("evaluate")).files, settings.model_dump(mode="json"))
    return paths | {"root": root}


@pytest.fixture
def inputs(runs):
    return read_report_inputs(
        runs["root"],
        preprocess=runs["preprocess"],
        train={"gnn": runs["train"]},
        predict={"gnn": runs["predict"]},
        evaluate=runs["evaluate"],
    )


def text_in(html: str) -> str:
    """What a reader sees, on one line."""
    body = re.sub(r"<(style|title).*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


class References(HTMLParser):
    """Collects everything a browser would fetch or run, and checks that tags are closed in order."""

    VOID = frozenset({"meta", "br", "line", "circle", "rect", "polyline"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        if tag in {"script", "link", "img", "iframe", "object", "embed"}:
            self.found.append(tag)
        self.found += [value for name, value in attributes if name in {"src", "href"} and not value.startswith("#")]
        self.found += [name for name, _ in attributes if name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_runs_nothing(inputs):
    html = render_report(title="t", **inputs)
    page = References()
    page.feed(html)
    assert page.found == []
    assert page.open == []
    assert "@import" not in html
    assert "url(" not in html


def test_the_page_shows_every_system_with_its_numbers(inputs):
    shown = text_in(render_report(title="t", **inputs))
    systems = inputs["evaluation"]["splits"]["test"]["systems"]
    assert set(systems) >= {"gnn", "majority", "always_1", "length", "tfidf_lr"}
    for name, system in systems.items():
        assert inputs["evaluation"]["systems"][name]["title"] in shown
        f1 = system["metrics"]["f1"]
        assert f"{f1['value']:.3f} {f1['low']:.3f} to {f1['high']:.3f}" in shown


def test_the_data_audit_tells_what_preprocessing_found(inputs):
    shown = text_in(render_report(title="t", **inputs))
    train = inputs["preprocessing"]["splits"]["train"]
    for expected in (
        f"Accepted {train['accepted']}",
        "Rejected by reason",
        "AST success (no error)",
        "Share of tokens kept",
        "Tokens before trim p95",
        "Duplicates",
        "Commits across splits",
        f"Recommended batch size {inputs['preprocessing']['graph_statistics']['recommended_batch_size']}",
    ):
        assert expected in shown


def test_the_page_names_runs_settings_and_every_opening_of_this_test_set(runs, inputs):
    (opening,) = inputs["provenance"]["openings"]
    assert "baselines" in opening["purpose"]
    shown = text_in(render_report(title="t", **inputs))
    assert opening["purpose"] in shown
    assert "preprocess-k" in shown  # its run key, cut to 12
    assert "&#34;seed&#34;: 42" in shown


def test_openings_of_other_data_are_not_counted(runs, inputs):
    append_opening(
        runs["root"], model_sha256="m", data_sha256="other", split="test", purpose="p", run_key="k", attempt=1
    )
    again = read_report_inputs(
        runs["root"], preprocess=runs["preprocess"], train={}, predict={}, evaluate=runs["evaluate"]
    )
    assert again["provenance"]["openings"] == inputs["provenance"]["openings"]


def test_the_learning_curve_counts_epochs_from_1(inputs):
    shown = text_in(render_report(title="t", **inputs))
    assert "3 epochs; best validation F1 0.540 in epoch 3." in shown


def test_names_from_outside_are_escaped_wherever_they_stand(inputs):
    evil = "<script>alert(1)</script>"
    evaluation = json.loads(json.dumps(inputs["evaluation"]).replace('"gnn"', json.dumps(evil)))
    html = render_report(
        title=evil,
        **{**inputs, "evaluation": evaluation, "training": {evil: HISTORY}, "preprocessing": {"note": evil}},
    )
    assert "<script" not in html


def test_undefined_values_are_dashes_and_break_no_chart(inputs):
    evaluation = copy.deepcopy(inputs["evaluation"])
    for metric in evaluation["splits"]["test"]["systems"]["gnn"]["metrics"].values():
        metric.update(value=None, low=None, high=None)
    for entry in evaluation["splits"]["test"]["comparisons"]:
        entry.update(difference=None, low=None, high=None, p_value=None, p_corrected=None, shown=False)
    html = render_report(title="t", **{**inputs, "evaluation": evaluation})
    assert "nan" not in text_in(html).lower().split()
    assert "| – |" in markdown_summary(evaluation)
    assert "–" in table_text(evaluation)


def test_without_history_and_metadata_there_is_still_a_page(inputs):
    html = render_report(title="t", evaluation=inputs["evaluation"], training={}, preprocessing={}, provenance={})
    assert "No preprocessing metadata was given" in html


@pytest.fixture
def sealed(inputs):
    """The same evaluation, had the test split not been opened."""
    evaluation = copy.deepcopy(inputs["evaluation"])
    del evaluation["splits"]["test"]
    evaluation["targets"] = [entry for entry in evaluation["targets"] if entry["split"] == "valid"]
    return {**evaluation, "test_opened": False}


def test_a_sealed_test_split_is_said_everywhere(inputs, sealed):
    html = text_in(render_report(title="t", **{**inputs, "evaluation": sealed}))
    for text in (html, markdown_summary(sealed), table_text(sealed)):
        assert "The test split is sealed" in re.sub(r"\s+", " ", text)
        assert "Sealed test:" not in text
    assert "read the numbers as optimistic" in html


def test_the_terminal_table_fits_100_columns_and_ends_with_the_result(inputs):
    text = table_text(inputs["evaluation"])
    assert max(len(line) for line in text.splitlines()) <= 100
    assert text.index("Validation:") < text.index("Sealed test:")
    value = inputs["evaluation"]["splits"]["test"]["systems"]["tfidf_lr"]["metrics"]["f1"]["value"]
    (row,) = [line for line in text.partition("Sealed test:")[2].splitlines() if line.startswith(" TF-IDF")]
    assert f"{value:.3f}" in row


def test_the_markdown_is_one_table_with_a_row_for_each_system(inputs):
    rows = [line for line in markdown_summary(inputs["evaluation"]).splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(inputs["evaluation"]["splits"]["test"]["systems"])
    assert {row.count("|") for row in rows} == {rows[0].count("|")}
