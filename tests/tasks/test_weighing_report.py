"""The report of a weigh run: noise in numbers, and the least trusted records with code that cannot become markup."""

from __future__ import annotations

import json
import re

import pytest

from models.store.manifest import write_manifest
from tasks.comparison_publication import publish_collection, publish_comparison, write_hard_set
from tasks.weighing_report import MAX_CODE_CHARS, read_weighing, render_hard_set, weighing_markdown, weighing_text
from tasks.weighing_tables import MAX_ORIGINS, noise_line, spread_line, weighing_tables


def cell(num, labels, weight=None, learnt=None):
    weight = num if weight is None else weight
    return {
        "num_records": num if learnt is None else learnt,
        "labels": {"0": labels[0], "1": labels[1]},
        "weight": float(weight),
        "weight_by_label": {"0": weight / 2, "1": weight / 2},
        "positive_share": 0.5 if weight else None,
        "effective_sample_size": 0.9 * weight,
    }


def distribution(weight_of_b, learnt_of_b=None):
    return {
        "all": cell(6, (3, 3)),
        "by_label": {"0": cell(3, (3, 0)), "1": cell(3, (0, 3))},
        "by_source": {"clean": cell(4, (2, 2)), "b": cell(2, (0, 2), weight_of_b, learnt_of_b)},
        "by_origin": {f"origin{at}": cell(at, (0, at)) for at in range(1, MAX_ORIGINS + 3)},
    }


@pytest.fixture
def found():
    return {
        "treatment": "confidence",
        "score": "self_confidence",
        "num_records": 6,
        "num_folds": 2,
        "temperatures": {"gnn": [1.25, 1.5], "transformer": []},
        "estimated_noise": {"overall": 0.125, "given_0": 0.1, "given_1": 0.15, "shuffled": 0.49}
        | {"auroc": {"value": 0.62, "low": 0.58, "high": 0.66}},
        "weights": {"min": 0.2, "max": 1.4, "sd": 0.31, "effective_sample_size": 5.4},
        "num_issues": {"0": 1, "1": 2},
        "distribution": {"before": distribution(2), "after": distribution(0, 0)},
        "sources": [
            {
                "source": "b",
                "label_counts": {"0": 0, "1": 2},
                "mean_trust": 0.4,
                "mean_weight": 0.0,
                "single_label": True,
            },
            {"source": "clean", "label_counts": {"0": 2, "1": 2}, "mean_trust": 0.7, "mean_weight": 1.0}
            | {"single_label": False},
        ],
        "planted": {
            "num_planted": 20,
            "num_known": 100,
            "auroc": {"value": 0.81, "low": 0.75, "high": 0.87},
            "auprc": 0.6,
            "precision_at_planted": 0.55,
            "by_model": {"gnn": 0.8},
            "issues": {"precision": 0.5, "recall": None},
            "by_label": {"0": {"auroc": 0.9}, "1": {"auroc": 0.7}},
        },
        "quality": {
            "gnn": {"auroc": 0.62, "auroc_low": 0.58, "auroc_high": 0.66, "log_loss_before": 0.71}
            | {"log_loss_after": 0.66, "log_loss_constant": 0.69}
        },
        "warnings": ["source 'b' has one label only"],
    }


CODE = 'int f() { return a < b && "</code></pre><script>alert(1)</script>"; }'


def hard_row(**fields):
    row = {"id": "CLEAN-TRAIN-1", "label": 1, "trust": 0.02, "probability": 0.02, "fold": 1, "source": "clean"}
    return row | {"origin": "", "is_issue": True, "code": CODE, "project": "qemu", "group": "qemu:abc"} | fields


@pytest.fixture
def run_path(tmp_path, found):
    path = tmp_path / "weigh" / "confidence-0123456789ab" / "01234567"
    path.mkdir(parents=True)
    trusted = [{"id": f"R{at}", "label": at % 2, "trust": None if at == 5 else at / 6} for at in range(6)]
    hard = [hard_row(), hard_row(id="CLEAN-TRAIN-2", code="x" * (MAX_CODE_CHARS + 7), fold=None)]
    (path / "weighing.json").write_text(json.dumps(found))
    for name, rows in {
        "trust.jsonl": trusted,
        "weights.jsonl": [{"id": f"R{at}", "weight": at / 3} for at in range(6)],
        "hard_set.jsonl": hard,
    }.items():
        (path / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (path / "settings.json").write_text('{"kind": "weigh"}')
    return path


def rows_of(text):
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def test_the_text_tells_estimated_and_planted_noise_and_the_data_before_and_after(found):
    text = weighing_text(found)
    rows = rows_of(text)
    assert max(map(len, text.splitlines())) <= 100
    assert ["1 (vulnerable)", "3", "15.0 %", "2"] in rows
    assert ["both", "6", "12.5 %", "3"] in rows
    assert ["AUROC of low trust, all models [95 %]", "0.810 [0.75, 0.87]"] in rows
    assert ["Recall of labels taken for wrong", "–"] in rows
    assert ["of shuffled labels", "–", "49.0 %", "–"] in rows
    assert ["gnn", "0.620 [0.58, 0.66]", "0.710", "0.660", "0.690", "1.25–1.50"] in rows
    assert "Planted noise: 20 wrong labels among 100 records (20.0 %)" in text
    assert text.endswith("Warning: source 'b' has one label only\n")


def test_a_source_that_lost_all_its_weight_and_has_one_label_is_shown_as_such(found):
    row = next(row for row in weighing_tables(found)[-1].rows if "source b" in row[0])
    assert row == ("source b (one label only)", "2", "0", "50.0 %", "–", "2", "0", "0.00", "0")


def test_the_lines_tell_noise_with_its_caveat_and_how_far_weights_lie_apart(found):
    assert noise_line(found) == (
        "Noise: 20 planted wrong labels ranked by low trust with AUROC 0.810 [0.75, 0.87]; estimated noise 12.5 % (of "
        "shuffled labels 49.0 %), 3 labels taken for wrong, which means little: the scores rank labels with AUROC "
        "0.620 [0.58, 0.66]."
    )
    found["estimated_noise"]["auroc"]["low"] = 0.85
    assert noise_line(found | {"planted": None}).endswith("(of shuffled labels 49.0 %), 3 labels taken for wrong.")
    assert spread_line(found) == "Weights: 0.20 to 1.40, standard deviation 0.310; effective size 5 of 6 records."


def test_without_planted_noise_nothing_is_said_of_it(found):
    assert "lanted" not in weighing_text(found | {"planted": None})


def test_many_origins_are_cut_to_the_largest_which_is_said(found):
    table = weighing_tables(found)[-1]
    named = [row[0] for row in table.rows if row[0].startswith("origin")]
    assert named == [f"origin origin{at}" for at in range(MAX_ORIGINS + 2, 2, -1)]
    assert "2 smaller origins are not shown" in table.title


def test_the_markdown_begins_with_the_warnings(found):
    assert weighing_markdown(found).startswith("> **source 'b' has one label only**")


def test_the_page_shows_code_as_text_with_what_is_known_of_the_record(run_path):
    html = render_hard_set("Hard <set>", read_weighing(run_path))
    assert "<script" not in html
    assert "&lt;/code&gt;&lt;/pre&gt;&lt;script&gt;" in html
    assert html.count("<pre") == html.count("</pre>") == 2
    for name, value in (("given label", "1 (vulnerable)"), ("trust", "0.020"), ("project", "qemu")):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in html
    assert "<dt>held out in fold</dt><dd>–</dd>" in html
    assert "<dt>origin</dt>" not in html
    assert "7 more characters are not shown" in html
    assert "Hard &lt;set&gt;" in html


def test_histograms_count_every_weight_and_every_known_trust_once(run_path):
    weighing = read_weighing(run_path)
    assert {label: len(values) for label, values in weighing.weights.items()} == {"0": 3, "1": 3}
    assert {label: len(values) for label, values in weighing.trust.items()} == {"0": 3, "1": 2}
    html = render_hard_set("t", weighing)
    counts = [int(count) for count in re.findall(r"label \d \(\w+\): (\d+) records", html)]
    assert sum(counts) == 6 + 5


class Published:
    """Stands in for Prefect's artifacts and logger."""

    def __init__(self, monkeypatch):
        self.markdown, self.links = {}, {}
        module = "tasks.comparison_publication"
        monkeypatch.setattr(f"{module}.publish_markdown", lambda key, text, about: self.markdown.update({key: text}))
        monkeypatch.setattr(f"{module}.publish_file_link", lambda key, path, about: self.links.update({key: path}))
        monkeypatch.setattr(f"{module}.get_run_logger", lambda: type("Log", (), {"info": lambda *_: None})())


def test_the_hard_set_is_written_beside_the_reports_and_published(run_path, tmp_path, monkeypatch):
    published = Published(monkeypatch)
    path = write_hard_set(tmp_path, run_path)
    assert path == tmp_path / "reports" / "hard-set-0123456789ab-01234567.html"
    assert published.links == {"hard-set-page": path}
    assert "Label noise" in published.markdown["hard-set"]


def test_a_comparison_is_published_with_its_page_and_the_hard_set_linked(run_path, tmp_path, monkeypatch):
    system = {
        "title": "Gnn",
        "phase": "phase1",
        "model_kind": "gnn",
        "is_model": True,
        "description": "",
        "seeds": ["1"],
    }
    value = {"value": 0.5, "low": 0.4, "high": 0.6, "seed_sd": None, "sampling_se": 0.1, "by_seed": {"1": 0.5}}
    system |= {"thresholds": {"1": 0.5}, "calibration": [], "vds": {}, "pairs": None, "robustness": {}}
    system["metrics"] = dict.fromkeys(("f1", "mcc", "auroc", "auprc", "ece"), value)
    how = {"num_resamples": 10, "confidence": 0.95, "power": 0.8, "seed": 1, "max_false_alarms": 0.005}
    data = {"measured_on": "test", "num_records": 2, "num_groups": 2, "positive_share": 0.5, "valid_num_records": 2}
    content = {"settings": how | {"methods": {}, "correction": "Holm"}, "data": data, "systems": {"gnn": system}}
    compare = tmp_path / "compare" / "metrics-ab0123456789" / "76543210"
    compare.mkdir(parents=True)
    (compare / "comparison.json").write_text(json.dumps(content | {"comparisons": [], "verdicts": [], "warnings": []}))
    (compare / "settings.json").write_text('{"systems": {}, "same_data": [], "probes": {}}')
    records = tmp_path / "preprocess" / "label-0" / "1"
    records.mkdir(parents=True)
    (records / "test.jsonl").write_text("{}\n")
    (records / "settings.json").write_text("{}")
    write_manifest(records, ["test.jsonl"], kind="preprocess", run_key="k" * 20, build_key="b" * 20)
    published = Published(monkeypatch)
    part = {"rows": 3, "rejected": 0, "sampled_out": 0, "kept": 3, "labels": {"0": 1, "1": 2}}
    training = {"rows": 3, "labels": {"0": 1, "1": 2}, "by_source": {"codexglue": {"rows": 3}}}
    collection = {"clean": {"name": "codexglue", "splits": {"train": part}}, "sources": {}, "pairs": {}}
    collect = tmp_path / "collect" / "label-0" / "1"
    collect.mkdir(parents=True)
    (collect / "collection.json").write_text(json.dumps(collection | {"training": training, "warnings": []}))
    (collect / "settings.json").write_text("{}")
    report = publish_comparison.fn(
        tmp_path, compare=compare, records=records, title="Phase 2", collect=collect, weigh=run_path
    )
    assert report.path == tmp_path / "reports" / "comparison-ab0123456789-76543210.html"
    assert 'href="hard-set-0123456789ab-01234567.html"' in report.path.read_text()
    assert set(published.markdown) == {"comparison", "hard-set", "collection"}
    assert 'id="data"' in report.path.read_text()
    assert "Data: 3 training records (codexglue 3)." in report.table
    assert set(published.links) == {"comparison-report", "hard-set-page"}
    assert "Gnn" in report.table


def test_a_collection_is_published_as_its_text(tmp_path, monkeypatch):
    part = {"rows": 3, "rejected": 0, "sampled_out": 0, "kept": 3, "labels": {"0": 1, "1": 2}}
    clean = {"name": "codexglue", "splits": {"train": part}}
    training = {"rows": 3, "labels": {"0": 1, "1": 2}}
    collection = {"clean": clean, "sources": {}, "pairs": {}, "training": training, "warnings": []}
    (tmp_path / "collection.json").write_text(json.dumps(collection))
    published = Published(monkeypatch)
    assert "codexglue train" in publish_collection.fn(tmp_path)
    assert "codexglue train" in published.markdown["collection"]
