"""The report of a real, small chain: generated functions, preprocess job, two models' scores by hand, evaluate job."""

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
from models.settings.gnn import GnnSettings
from models.settings.preprocess import PreprocessSettings
from models.settings.transformer import TransformerSettings
from models.store.manifest import write_manifest
from models.store.openings import append_opening
from tasks.report_training import training_caveats
from tasks.reports import markdown_summary, read_report_inputs, render_report, table_text

MODELS = ("transformer", "gnn")
HISTORY = [
    {"epoch": at, "step": 9 * at, "train_loss": 0.7 - 0.1 * at, "val_loss": 0.7, "val_f1_vulnerable": 0.5 + 0.02 * at}
    | {"learning_rate": 1e-3}
    for at in range(3)
]


BACKBONE = {"identity": "small roberta, trained from nothing", "pretrained": False, "reason": "no codebert here"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run directories by kind (and model), as the jobs leave them."""
    root = tmp_path_factory.mktemp("runs")
    write_sample(root / "raw", num_functions=160)
    kinds = ["preprocess", "evaluate", *(f"{kind} {model}" for kind in ("train", "predict") for model in MODELS)]
    paths = {kind: root / kind.replace(" ", "-") / "label-0123456789ab" / "01234567" for kind in kinds}
    for path in paths.values():
        path.mkdir(parents=True)

    def finish(kind, files, settings):
        run_path = paths[kind]
        attempt = {"seconds": 61.5, "git_commit": "ab" * 20, "samples_per_second": 12.5, "peak_memory_bytes": 2**30}
        (run_path / "settings.json").write_text(json.dumps(settings))
        (run_path / "record.json").write_text(json.dumps({"attempts": [attempt]}))
        write_manifest(run_path, files, kind=kind, run_key=f"{kind}-key".ljust(20, "0"), build_key="b" * 64)

    def context(kind):
        return JobContext(paths[kind], root, EventStream(None, None))

    settings = PreprocessSettings(data=root / "raw", vocab_size=400, num_workers=1)
    finish("preprocess", preprocess(settings, context("preprocess")).files, settings.model_dump(mode="json"))
    for model in MODELS:
        run_path = paths[f"train {model}"]
        numbers = {"num_parameters": 1234567, "num_steps": 27, "stop_reason": "all epochs done", "num_train": 100}
        numbers |= {"backbone": BACKBONE} if model == "transformer" else {}
        machine = {"device": "cpu", "precision": "off", "num_ranks": 1, "num_threads": 2}
        (run_path / "history.json").write_text(json.dumps({"epochs": HISTORY}))
        (run_path / "result.json").write_text(json.dumps({"numbers": numbers}))
        (run_path / "build.json").write_text(json.dumps({"machine": machine}))
        told = TransformerSettings(epochs=9) if model == "transformer" else GnnSettings(epochs=9)
        finish(f"train {model}", ["history.json"], {"seed": 42, "model": told.model_dump()})
        predict(paths, model)
    settings = EvaluateSettings(data=paths["preprocess"], predictions={m: paths[f"predict {m}"] for m in MODELS})
    finish("evaluate", evaluate(settings, context("evaluate")).files, settings.model_dump(mode="json"))
    return paths | {"root": root}


def predict(paths, model):
    """Scores of a model by hand: noise with some truth in it, more in the transformer's."""
    random, truth = np.random.default_rng(MODELS.index(model)), {"transformer": 0.7, "gnn": 0.1}[model]
    run_path = paths[f"predict {model}"]
    for split in ("valid", "test"):
        with (run_path / f"predictions_{split}.jsonl").open("w") as file:
            for line in (paths["preprocess"] / f"{split}.jsonl").read_text().splitlines():
                record = json.loads(line)
                probability = truth * record["label"] + (1 - truth) * random.random()
                row = {"id": record["id"], "label": record["label"], "probability": probability}
                file.write(json.dumps(row) + "\n")
    (run_path / "result.json").write_text(json.dumps({"numbers": {"model_kind": model}}))
    files = ["predictions_valid.jsonl", "predictions_test.jsonl"]
    (run_path / "settings.json").write_text(json.dumps({"kind": "predict"}))
    write_manifest(run_path, files, kind="predict", run_key=f"predict {model}".ljust(20, "0"), build_key="b" * 64)


@pytest.fixture
def inputs(runs):
    return read_report_inputs(
        runs["root"],
        preprocess=runs["preprocess"],
        train={model: runs[f"train {model}"] for model in MODELS},
        predict={model: runs[f"predict {model}"] for model in MODELS},
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
    assert set(systems) >= {*MODELS, "majority", "always_1", "length", "tfidf_lr"}
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


def test_checks_and_counts_of_the_data_stand_in_one_section(inputs):
    checks = [
        {"name": "order_leak", "title": "Order of records", "question": "Do neighbours share labels?"}
        | {"verdict": "bad", "detail": "90.4 % of neighbours", "advice": "Shuffle.", "value": 0.904}
        | {"expected": 0.5, "unit": "share"},
    ]
    html = render_report(title="t", **inputs | {"audit": {"checks": checks}})
    shown = text_in(html)
    assert html.count("<h2>Data audit</h2>") == html.count('id="audit"') == 1
    section = shown[shown.index("Data audit ") :]
    assert section.index("Bad: order of records.") < section.index("90.4 % of neighbours") < section.index("Accepted")
    assert "Shuffle." in section


def test_data_that_nobody_audited_have_their_counts(inputs):
    assert inputs["audit"] is None
    assert "Data audit, " not in text_in(render_report(title="t", **inputs))


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


def test_the_training_of_both_models_stands_side_by_side(inputs):
    shown = text_in(render_report(title="t", **inputs))
    for expected in (
        "Parameters 1 234 567 1 234 567",
        "Epochs 3 of 9 (all epochs done) 3 of 9 (all epochs done)",
        "Best epoch 3 (validation F1 0.540) 3 (validation F1 0.540)",  # people count from 1
        "Time 1 min 02 s 1 min 02 s",
        "Records per second 12.5 12.5",
        "Device cpu, full precision, 1 rank × 2 threads",
        "Backbone: identity small roberta, trained from nothing –",
        "Backbone: pretrained no –",
    ):
        assert expected in shown
    assert "Tokens per second" not in shown  # no model tells it


def test_the_models_are_compared_with_each_other_in_one_sentence(inputs):
    (f1,) = [
        entry
        for entry in inputs["evaluation"]["splits"]["test"]["comparisons"]
        if (entry["model"], entry["against"], entry["metric"]) == ("transformer", "gnn", "f1")
    ]
    begins = f"transformer against gnn: F1 {f1['difference']:+.3f} [{f1['low']:+.2f}, {f1['high']:+.2f}]"
    page = text_in(render_report(title="t", **inputs))
    for text in (page, markdown_summary(inputs["evaluation"]), table_text(inputs["evaluation"])):
        assert begins.replace("-", "\u2212") in re.sub(r"\s+", " ", text)


def test_a_model_that_is_not_the_one_that_was_asked_for_is_said_before_its_scores(inputs):
    (caveat,) = training_caveats(inputs["training"])
    assert caveat == (
        "transformer was trained from nothing, because no codebert here: "
        "these are not the scores of microsoft/codebert-base."
    )
    page = text_in(render_report(title="t", **inputs))
    assert page.index(caveat) < page.index("transformer is")
    assert markdown_summary(inputs["evaluation"], [caveat]).startswith(f"> **{caveat}**")
    assert caveat in re.sub(r"\s+", " ", table_text(inputs["evaluation"], [caveat]))


def test_a_small_encoder_that_was_asked_for_is_no_caveat(inputs):
    inputs["training"]["transformer"]["model"]["pretrained"] = "off"
    assert training_caveats(inputs["training"]) == []


def test_both_models_are_held_to_the_targets(inputs):
    shown = text_in(render_report(title="t", **inputs))
    assert "F1 of label 1 within 0.58 to 0.68 transformer Sealed test" in shown
    assert "F1 of label 1 within 0.53 to 0.63 gnn Sealed test" in shown


def test_a_target_that_is_met_by_no_more_than_always_1_is_not_praised(inputs):
    for entry in inputs["evaluation"]["targets"]:
        entry.update(outcome="met", value=entry["constant_value"])
    html = render_report(title="t", **inputs)
    assert "met, as by always 1" in text_in(html)
    assert 'words good">met' not in html


def test_every_model_has_its_histogram_and_its_learning_curves(inputs):
    html = render_report(title="t", **inputs)
    for model in MODELS:
        for chart in ("Scores of {} by label", "Calibration of {}", "Loss of {} by epoch"):
            assert chart.format(model) in html
    assert html.count('aria-label="Validation F1"') == 1


def test_names_from_outside_are_escaped_wherever_they_stand(inputs):
    evil = "<script>alert(1)</script>"
    evaluation = json.loads(json.dumps(inputs["evaluation"]).replace('"gnn"', json.dumps(evil)))
    training = inputs["training"]["transformer"]
    training["numbers"]["backbone"] = {"identity": evil, "pretrained": False, "reason": evil}
    html = render_report(
        title=evil,
        **{**inputs, "evaluation": evaluation, "training": {evil: training}, "preprocessing": {"note": evil}},
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
