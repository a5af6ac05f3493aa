"""The report of a comparison: what the terminal, the artifact and the page say is what ``comparison.json`` says."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from models.store.manifest import write_manifest
from models.store.openings import append_opening
from tasks.chart_marks import Scale
from tasks.comparison_answers import answers_of
from tasks.comparison_charts import difference_charts, pair_chart, reliability_charts, system_charts
from tasks.comparison_inputs import Beside, read_comparison_inputs
from tasks.comparison_report import comparison_markdown, comparison_text, render_comparison
from tasks.comparison_words import with_titles
from tasks.fusion_tables import fusion_tables
from tasks.report_provenance import openings_by_purpose

SEEDS = ("1", "2", "3", "4", "5")
METRICS = ("f1", "mcc", "auroc", "auprc", "accuracy", "balanced_accuracy", "precision", "recall", "brier", "ece")
PROVENANCE = {"runs": [{"run": "compare", "path": "runs/compare"}], "openings": [], "settings": {"compare": {"a": 1}}}


def metric(value, *, seeds=SEEDS, spread=0.01):
    by_seed = {seed: round(value + spread * (at - 2), 6) for at, seed in enumerate(seeds)}
    many = len(seeds) > 1
    return {
        "value": value,
        "low": value - 0.03,
        "high": value + 0.03,
        "seed_sd": 0.0158 if many else None,
        "sampling_se": 0.012,
        "by_seed": by_seed,
    }


def system(title, phase, kind, value, *, is_model=True, asked=True):
    seeds = SEEDS if is_model else ("-",)
    values = {name: metric(value, seeds=seeds, spread=0.01 if is_model else 0.0) for name in METRICS}
    rate = {"value": 0.004, "low": 0.001, "high": 0.009}
    shares = {"P-C": 0.2, "P-V": 0.5, "P-B": 0.25, "P-R": 0.05}
    change = {"value": value - 0.02, "difference": -0.02, "low": -0.04, "high": 0.0}
    return {
        "title": title,
        "phase": phase,
        "model_kind": kind,
        "is_model": is_model,
        "description": f"{kind} of {phase}",
        "seeds": list(seeds),
        "thresholds": {seed: 0.3 + 0.05 * at for at, seed in enumerate(seeds)},
        "metrics": values,
        "median_seed": "3" if is_model else None,
        "calibration": [
            {"mean_probability": 0.1, "positive_share": 0.2, "num_records": 40},
            {"mean_probability": 0.6, "positive_share": 0.5, "num_records": 60},
        ],
        "vds": {
            "thresholds": dict.fromkeys(seeds, 0.9),
            "false_alarm_rate": rate,
            "miss_rate": {"value": 0.93, "low": 0.9, "high": 0.96},
            "miss_rate_threshold_from_test": 0.92,
        },
        "pairs": {
            "num_pairs": 80,
            **{name: {"value": v, "low": v / 2, "high": 2 * v, "by_chance": 0.24} for name, v in shares.items()},
        }
        if is_model and asked
        else None,
        "robustness": {
            probe: {"f1": change, "auroc": change, "answers_changed": 0.031} for probe in ("rename", "reformat")
        }
        if is_model and asked
        else {},
    }


def difference(first, second, name, value, *, shown):
    is_answers = name == "f1"
    return {
        "first": first,
        "second": second,
        "metric": name,
        "difference": value,
        "low": value - 0.02,
        "high": value + 0.02,
        "p_bootstrap": 0.0002,
        "p_bootstrap_corrected": 0.0004 if shown else 0.4,
        "p_combined": 0.001,
        "p_combined_corrected": 0.002 if shown else 0.5,
        "p_t": 0.01,
        "p_t_corrected": 0.03,
        "p_mcnemar": 0.02 if is_answers else None,
        "p_mcnemar_corrected": 0.06 if is_answers else None,
        "share_first_better": 0.98,
        "minimum_detectable": 0.031,
        "num_seeds": 5,
        "shown": shown,
        "too_bold": False,
    }


@pytest.fixture
def comparison():
    systems = {
        "phase1_transformer": system("Phase 1 transformer", "phase1", "transformer", 0.6),
        "phase1_gnn": system("Phase 1 gnn", "phase1", "gnn", 0.58),
        "phase2_transformer": system("Phase 2 transformer", "phase2", "transformer", 0.63),
        "phase2_gnn": system("Phase 2 gnn", "phase2", "gnn", 0.61),
        "fusion": system("Fusion", "phase2", "fusion", 0.64),
        "always_1": system("Always vulnerable", "baseline", "baseline", 0.5, is_model=False),
        "text": system("Words <of> the code", "baseline", "baseline", 0.57, is_model=False),
    }
    return {
        "settings": {
            "num_resamples": 10000,
            "confidence": 0.95,
            "power": 0.8,
            "seed": 42,
            "max_false_alarms": 0.005,
            "methods": {"p_bootstrap": "paired & hierarchical"},
            "correction": "Holm",
        },
        "data": {
            "measured_on": "test",
            "num_records": 2732,
            "num_groups": 1500,
            "num_positive": 1255,
            "positive_share": 0.4594,
            "sources": {"codexglue": 2732},
            "test_sha256": "ab" * 32,
            "valid_num_records": 2731,
        },
        "systems": systems,
        "comparisons": [
            difference(first, second, name, value, shown=value > 0.02)
            for first, second, value in (("phase2_gnn", "phase1_gnn", 0.03), ("fusion", "phase2_transformer", 0.01))
            for name in ("f1", "mcc", "auroc")
        ],
        "verdicts": [
            "phase2_gnn is shown to be better than phase1_gnn on F1 (+0.030 [0.010, 0.050]).",
            "No difference is shown between fusion and phase2_transformer on F1, MCC or AUROC.",
        ],
        "warnings": ["5 seeds: a t-test over them sees little of phase2_gnn"],
    }


FUSION = {
    "method": "average",
    "models": ["transformer", "gnn"],
    "weights": {"transformer": 0.7, "gnn": 0.3},
    "coefficients": None,
    "best_base": "transformer",
    "folds_by": "project",
    "warnings": ["transformer, refit: few records"],
    "out_of_fold": {
        "num_records": 900,
        "num_folds": 5,
        "systems": {
            name: {"auroc": 0.7, "f1": 0.6, "log_loss": 0.65, "brier": 0.2} for name in ("transformer", "gnn", "fusion")
        },
        "interval_for": "other commits of the projects",
        "gain": {"auroc": {"value": 0.01, "low": -0.01, "high": 0.03, "p_value": 0.2, "p_value_corrected": 0.4}},
    },
}
AUDIT = {
    "records": "functions",
    "read_as": "preprocess",
    "num_rejected": 0,
    "splits": {"train": {"records": 100}},
    "checks": [
        {"name": "leak", "title": "Leak", "question": "Is there any?", "verdict": "bad", "detail": "12 of 100"}
        | {"advice": "split by commit", "value": 0.12, "expected": 0.0, "unit": "share"}
    ],
}


COLLECTION = {
    "clean": {"name": "codexglue", "splits": {}},
    "sources": {
        "mined": {"rows": 9, "rejected": 2, "sampled_out": 0, "kept": 4, "labels": {"0": 0, "1": 4}}
        | {"dropped_by_reason": {"near_copy": 3}, "rejected_by_reason": {"wrong_language": 2}, "single_label": True}
    },
    "pairs": {},
    "training": {"rows": 4, "labels": {"0": 0, "1": 4}, "by_source": {"mined": {"rows": 4}}},
    "warnings": ["single rows of one label"],
}
BESIDE = Beside(collection=COLLECTION, fusions=(FUSION | {"folds_by": "group"}, FUSION), audit=AUDIT, collapses=True)


def lines_of(text, head):
    """Cells of the lines that begin so, folded lines apart."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip().startswith(head)]


def text_in(html):
    body = re.sub(r"<(style|title).*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


class Page(HTMLParser):
    """Collects what a browser would fetch or run, ids and links, and checks that tags are closed in order."""

    VOID = frozenset({"meta", "br", "line", "circle", "rect", "polyline", "polygon"})

    def __init__(self):
        super().__init__()
        self.fetched, self.open, self.ids, self.links, self.unnamed = [], [], [], [], 0

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag in {"script", "link", "img", "iframe", "object", "embed"}:
            self.fetched.append(tag)
        self.fetched += [name for name in given if name.startswith("on") or name == "src"]
        self.links += [given["href"]] if "href" in given else []
        self.ids += [given["id"]] if "id" in given else []
        if tag == "svg" and not ("aria-label" in given or given.get("aria-hidden") == "true"):
            self.unnamed += 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_text_shows_every_system_and_difference_within_100_columns(comparison):
    text = comparison_text(comparison)
    assert max(map(len, text.splitlines())) <= 100
    assert lines_of(text, "Phase 1 gnn")[0] == [
        "Phase 1 gnn", "5", "0.580 [0.55, 0.61]", "0.580", "0.580 [0.55, 0.61]", "0.580", "0.580", "0.30–0.50",
    ]  # fmt: skip
    assert lines_of(text, "Always vulnerable")[0][1:3] == ["–", "0.500 [0.47, 0.53]"]
    order = ["Phase 1 transformer", "Phase 1 gnn", "Phase 2 gnn", "Fusion", "Always vulnerable", "Words <of>"]
    systems = text[text.index("means over seeds") :]
    assert [systems.index(head) for head in order] == sorted(systems.index(head) for head in order)


def test_a_difference_is_told_with_all_three_tests_and_what_could_have_been_seen(comparison):
    rows = [line for line in comparison_text(comparison).splitlines() if "+0.0" in line and "[" in line]
    cells = [re.split(r"\s{2,}|(?<=[\]\d]) (?=[\d<])", row.strip()) for row in rows]
    shown = next(row for row in cells if "F1" in row[0:2] or row[0].endswith("F1"))
    assert shown[-6:] == ["+0.030 [+0.010, +0.050]", "<.001", "0.030", "0.060", "–", "better"]
    assert sum(row[-1] == "no" for row in cells) == 3
    assert all("–" in row for row in rows if "MCC" in row or "AUROC" in row)  # McNemar is of answers


def test_misses_pairs_and_robustness_are_told_only_of_systems_that_have_them(comparison):
    text = comparison_text(comparison)
    checks = text[text.index("Missed vulnerable functions") :]
    assert "≤ 0.5 % false alarms" in checks
    assert lines_of(checks, "Fusion")[0] == [
        "Fusion", "0.930 [0.90, 0.96]", "0.4 %", "0.20", "0.50", "0.25", "0.05", "−0.020", "−0.020",
    ]  # fmt: skip
    assert lines_of(checks, "Words <of>")[0][-6:] == ["–"] * 6


def test_verdicts_call_systems_by_their_titles(comparison):
    for told in (comparison_text(comparison), comparison_markdown(comparison)):
        assert "Phase 2 gnn is shown to be better than Phase 1 gnn" in told
        assert "Warning: 5 seeds" in told or "> **5 seeds" in told
    comparison["systems"]["phase2_gnn_random"] = comparison["systems"]["phase2_gnn"] | {"title": "Random"}
    assert with_titles(comparison, "phase2_gnn_random, text") == "Random, text"
    assert with_titles(comparison, "fusion is no fusion") == "Fusion is no fusion"  # a plain word but at the beginning


def test_the_markdown_has_the_three_tables_and_the_warnings_first(comparison):
    markdown = comparison_markdown(comparison)
    assert markdown.startswith("> **5 seeds")
    assert markdown.count("\n| :--") == 3
    assert "| Always vulnerable |" in markdown


def test_validation_is_never_called_the_test(comparison):
    comparison["data"]["measured_on"] = "valid"
    for told in (
        comparison_text(comparison),
        render_comparison(title="t", comparison=comparison, provenance=PROVENANCE),
    ):
        assert "Validation (the test stays sealed)" in told
        assert "Sealed test" not in told


def test_the_page_needs_nothing_else_closes_its_tags_and_names_its_pictures(comparison):
    html = render_comparison(
        title="Phase 2 & more", comparison=comparison, provenance=PROVENANCE, beside=BESIDE,
        hard_set_page="hard-set.html",
    )  # fmt: skip
    page = Page()
    page.feed(html)
    assert (page.fetched, page.open, page.unnamed) == ([], [], 0)
    assert set(re.findall(r"url\(([^)]*)\)", html)) == {"#hatch"}
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "Words &lt;of&gt; the code" in html
    assert "<of>" not in html
    assert "prefers-color-scheme: dark" in html
    assert "width=device-width" in html


def test_the_page_tells_differences_fusion_audit_and_openings(comparison):
    opening = {"purpose": "phase 2: final", "run_key": "k" * 20, "model_sha256": "m" * 20, "attempt": 1}
    html = render_comparison(
        title="t", comparison=comparison, provenance=PROVENANCE | {"openings": [opening] * 3}, beside=BESIDE
    )
    text = text_in(html)
    assert "0.200 [0.10, 0.40] 0.24" in text
    assert "phase 2: final 3 runs not shown here" in text
    for said in (
        "phase 2: final",
        "Differences in AUROC",
        "split by commit",
        "of all: transformer",
        "nor another function of its project",
        "few records",
        "Gain across projects",
        "single rows of one label",
    ):
        assert said in text
    assert "paired &amp; hierarchical" in html


def test_every_system_is_in_one_picture_with_a_dot_for_each_seed(comparison):
    charts = system_charts(comparison)
    assert [chart.title for chart in charts] == ["Sealed test: F1", "Sealed test: MCC", "Sealed test: AUROC"]
    chart = charts[0]
    assert chart.svg.count('<circle class="seed') == 5 * 5
    assert chart.svg.count('<g class="mean') == 7
    assert [name for _, name in chart.legend] == ["phase 1", "phase 2", "fusion", "baseline"]
    assert "Phase 1 gnn, seed 1: 0.560" in chart.svg
    shapes = {re.sub(r'[\d.,"-]+', "", mark) for mark in re.findall(r"</title>(<\w+)", chart.svg)}
    assert shapes == {"<circle", "<rect", "<polygon"}  # not by colour alone


def test_a_system_without_a_value_or_an_interval_is_left_blank_in_the_picture(comparison):
    comparison["systems"]["text"]["metrics"]["f1"] |= {"value": None, "low": None, "high": None, "by_seed": {"-": None}}
    assert system_charts(comparison)[0].svg.count('<g class="mean') == 7 - 1
    assert lines_of(comparison_text(comparison), "Words <of>")[0][2] == "–"


def test_the_forest_plot_draws_zero_the_band_and_fills_only_what_was_shown(comparison):
    charts = difference_charts(comparison)
    assert [chart.title for chart in charts] == ["Differences in F1", "Differences in MCC", "Differences in AUROC"]
    for chart in charts:
        assert chart.svg.count('class="undetectable"') == 1  # none where a difference is shown
        assert chart.svg.count('class="point filled"') == chart.svg.count('class="point hollow"') == 1
        band = re.search(r'class="undetectable" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', chart.svg)
        zero = float(re.search(r'class="zero" x1="([\d.]+)"', chart.svg)[1])
        assert float(band[1]) + float(band[2]) / 2 == pytest.approx(zero, abs=0.2)


def test_an_undefined_difference_is_a_row_without_a_mark(comparison):
    undefined = {"difference": None, "low": None, "high": None, "minimum_detectable": None, "shown": False}
    comparison["comparisons"] = [comparison["comparisons"][0] | undefined]
    comparison["verdicts"] = comparison["verdicts"][:1]
    (chart,) = difference_charts(comparison)
    assert "point" not in chart.svg
    assert "undetectable" not in chart.svg
    assert "Phase 2 gnn −" in comparison_text(comparison)


def test_the_outcomes_of_pairs_fill_the_bar(comparison):
    svg = pair_chart(comparison).svg
    widths = [float(width) for width in re.findall(r'class="pair p\d" [^>]*width="([\d.]+)"', svg)]
    assert len(widths) == 4 * 5
    assert sum(widths[:4]) == pytest.approx(380 - 24, abs=0.5)
    for each in comparison["systems"].values():
        each["pairs"] = None
    assert pair_chart(comparison) is None


def test_bins_without_records_are_not_drawn(comparison):
    empty = {"mean_probability": None, "positive_share": None, "num_records": 0}
    comparison["systems"]["fusion"]["calibration"] = [empty]
    comparison["systems"]["phase1_gnn"]["calibration"].append(empty)
    charts = reliability_charts(comparison)
    assert [chart.title for chart in charts] == [
        f"{title}: ECE 0.100 of this curve, mean of seeds {value}"
        for title, value in (
            ("Phase 1 transformer", "0.600"),
            ("Phase 1 gnn", "0.580"),
            ("Phase 2 transformer", "0.630"),
            ("Phase 2 gnn", "0.610"),
        )
    ]


def test_one_system_without_seeds_comparisons_or_probes_is_a_page_too(comparison):
    alone = system("Only", "phase1", "gnn", 0.5, asked=False)
    alone["seeds"], alone["thresholds"] = ["1"], {"1": 0.5}
    comparison |= {"systems": {"only": alone}, "comparisons": [], "verdicts": [], "warnings": []}
    assert lines_of(comparison_text(comparison), "Only")[0][-1] == "0.50"
    assert "Differences" not in text_in(render_comparison(title="t", comparison=comparison, provenance=PROVENANCE))


def test_a_scale_keeps_values_inside_and_has_a_width_where_all_are_equal():
    scale = Scale((0.5, 0.5), 10, 110)
    assert scale(0.5) == 60
    assert (scale(-3), scale(3)) == (10, 110)


def test_a_stacker_tells_coefficients_and_an_average_weights():
    stacker = FUSION | {"method": "stacker", "weights": None, "coefficients": {"transformer": 1.2, "gnn": -0.1}}
    tables = [fusion_tables([each])[0] for each in (FUSION, stacker)]
    assert [table.right[0] for table in tables] == ["Weight", "Coefficient"]
    assert [[row[1] for row in table.rows] for table in tables] == [["0.700", "0.300", "–"], ["1.200", "−0.100", "–"]]


@pytest.fixture
def runs(tmp_path, comparison):
    def finish(kind, files, settings):
        path = tmp_path / kind / "label-0123456789ab" / "01234567"
        path.mkdir(parents=True)
        for name, content in files.items():
            (path / name).write_text(json.dumps(content))
        (path / "settings.json").write_text(json.dumps(settings))
        write_manifest(path, list(files), kind=kind, run_key=f"{kind}-key".ljust(20, "0"), build_key="b" * 64)
        return path

    predictions = {seed: str(finish(f"predict{seed}", {}, {})) for seed in ("1", "2")}
    folds = finish("folds", {"folds.json": {"by": "group"}}, {"kind": "folds"})
    other = finish("preprocess-clean", {"test.jsonl": {"id": 2}}, {"kind": "preprocess"})
    renamed = finish("probe", {"test.jsonl": {"id": 3}}, {"kind": "probe"})
    settings = {
        "kind": "compare",
        "systems": {"phase1_gnn": {"predictions": predictions}},
        "same_data": [str(other)],
        "probes": {"rename": str(renamed)},
    }
    return {
        "compare": finish("compare", {"comparison.json": comparison}, settings),
        "records": finish("preprocess", {"test.jsonl": {"id": 1}}, {"kind": "preprocess", "collapse_whitespace": True}),
        "collect": finish("collect", {"collection.json": COLLECTION}, {"kind": "collect"}),
        "fuse": finish("fuse", {"fusion.json": FUSION}, {"kind": "fuse", "folds": str(folds)}),
        "audit": finish("audit", {"audit.json": AUDIT}, {"kind": "audit"}),
    }


def test_the_provenance_names_every_run_that_was_compared_and_openings_of_this_split_only(runs, tmp_path):
    from models.store.manifest import digest_file

    folders = {"ours": "preprocess", "as phase 1 made it": "preprocess-clean", "renamed": "probe"}
    sealed = {
        purpose: digest_file(tmp_path / kind / "label-0123456789ab" / "01234567" / "test.jsonl").sha256
        for purpose, kind in folders.items()
    }
    for purpose, sha256 in {**sealed, "another split": "0" * 64}.items():
        append_opening(
            tmp_path, model_sha256="m", data_sha256=sha256, split="test", purpose=purpose, run_key="k", attempt=1
        )
    inputs = read_comparison_inputs(tmp_path, **runs)
    found = inputs.provenance
    assert [row["run"] for row in found["runs"]] == [
        "collect", "records", "audit", "fuse", "compare", "phase1_gnn seed 1", "phase1_gnn seed 2",
    ]  # fmt: skip
    assert [opening["purpose"] for opening in found["openings"]] == list(folders)
    assert [fusion["folds_by"] for fusion in inputs.beside.fusions] == ["group"]
    assert inputs.beside.collapses
    assert list(found["settings"]) == ["collect", "records", "audit", "fuse", "compare"]
    page = render_comparison(title="t", comparison=inputs.comparison, provenance=found, beside=inputs.beside)
    assert "Reformat: white space is collapsed" in page


def change(comparison, first, second, verdict, **fields):
    """A comparison of two systems put in the place of all others."""
    entries = [difference(first, second, name, 0.03, shown=False) | fields for name in ("f1", "mcc", "auroc")]
    return comparison | {"comparisons": entries, "verdicts": [verdict]}


def test_questions_are_answered_first_and_the_other_sentences_are_grouped_under_them(comparison):
    assert [(answer.question, answer.text) for answer in answers_of(comparison)] == [
        (
            "Does Phase 2 help?",
            "Yes: Phase 2 gnn is better than Phase 1 gnn on F1 (+0.030), MCC (+0.030) and AUROC (+0.030).",
        ),
        ("Does fusion help?", "Not shown: no difference on F1, MCC or AUROC between Fusion and Phase 2 transformer."),
    ]
    text = comparison_text(comparison, BESIDE)
    order = [
        "Does Phase 2 help? Yes",
        "Data: 4 training",
        "Data audit, 1 checks",
        "Fusion: weights",
        "means over seeds",
    ]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert text.index("Does Phase 2 help?\n- Phase 2 gnn is shown") > text.index("means over seeds")


@pytest.mark.parametrize(
    ("first", "second", "question"),
    [
        ("phase2_gnn_none", "phase1_gnn", "Do noisy data help?"),
        ("phase2_gnn", "phase2_gnn_none", "Do weights help?"),
        ("phase2_gnn", "phase2_gnn_random", "Do weights help?"),
        ("phase2_gnn", "phase1_gnn", "Does Phase 2 help?"),
        ("fusion", "phase1_gnn", "Does fusion help?"),
        ("phase2_gnn_none", "phase2_gnn_random", "Other comparisons"),
        ("phase1_gnn", "phase1_transformer", "Other comparisons"),
    ],
)
def test_what_a_comparison_asks_follows_from_its_two_systems(comparison, first, second, question):
    for name in ("phase2_gnn_none", "phase2_gnn_random"):
        comparison["systems"][name] = comparison["systems"]["phase2_gnn"] | {"title": name}
    (answer,) = answers_of(change(comparison, first, second, "Nothing."))
    assert answer.question == question
    assert (answer.text == "") == (question == "Other comparisons")


def test_a_difference_that_few_seeds_leave_open_is_marked_and_told_as_not_settled(comparison):
    changed = change(comparison, "phase2_gnn", "phase1_gnn", "Open.", too_bold=True)
    (answer,) = answers_of(changed)
    assert answer.text == (
        "Not settled: the bootstrap shows that Phase 2 gnn is better than Phase 1 gnn on F1 (+0.030), MCC (+0.030) and "
        "AUROC (+0.030), the t-test over 5 seeds and groups does not."
    )
    text = comparison_text(changed)
    assert text.count("open †") == 3
    assert text.count("† open: not settled") == 1
    assert "†" not in comparison_text(comparison)


def test_gains_and_losses_are_a_mixed_answer_and_the_rest_is_counted(comparison):
    changed = change(comparison, "phase2_gnn", "phase1_gnn", "Mixed.")
    changed["comparisons"][0] |= {"shown": True}
    changed["comparisons"][1] |= {"shown": True, "difference": -0.04}
    (answer,) = answers_of(changed)
    assert answer.text == (
        "Mixed: Phase 2 gnn is better than Phase 1 gnn on F1 (+0.030); Phase 2 gnn is worse than Phase 1 gnn on MCC "
        "(−0.040). Of 3 differences 1 is not shown."
    )


def test_a_t_test_without_a_word_and_more_false_alarms_than_allowed_have_one_footnote_each(comparison):
    for entry in comparison["comparisons"]:
        entry["p_t"] = entry["p_t_corrected"] = None
    comparison["systems"]["fusion"]["vds"]["false_alarm_rate"]["value"] = 0.02
    text = comparison_text(comparison)
    assert text.count("p t-test –") == 1
    assert "2.0 % *" in text
    assert text.count("more false alarms than the bound") == 1


def test_what_a_graph_network_cannot_see_is_no_result(comparison):
    for found in comparison["systems"]["phase1_gnn"]["robustness"].values():
        found["answers_changed"] = 0.0
    rows = lines_of(comparison_text(comparison), "Phase 1 gnn")
    assert rows[-1][-2:] == ["–‡", "–‡"]
    assert lines_of(comparison_text(comparison), "Phase 2 gnn")[-1][-2:] == ["−0.020", "−0.020"]  # it did change


def test_a_detectable_difference_that_cannot_be_is_none_and_stays_within_the_chart(comparison):
    changed = change(comparison, "phase2_gnn", "phase1_gnn", "None.", minimum_detectable=26.8)
    assert [line.split()[-2:] for line in comparison_text(changed).splitlines() if "+0.030 [" in line] == [
        ["none", "no"]
    ] * 3
    assert "26.8" not in difference_charts(changed)[0].svg


def test_openings_are_grouped_by_purpose_with_the_systems_that_opened():
    runs = [{"run": f"gnn seed {seed}", "run_key": f"{seed}" * 12} for seed in (1, 2)]
    runs.append({"run": "compare", "run_key": "c" * 12})
    keys = ("1" * 64, "2" * 64, "c" * 64, "9" * 64, "1" * 64)
    purposes = ("final", "final", "baselines", "baselines", "final")
    openings = [{"purpose": purpose, "run_key": key} for purpose, key in zip(purposes, keys, strict=True)]
    assert openings_by_purpose(openings, runs) == [
        {"purpose": "final", "count": 3, "systems": "gnn (seeds 1, 2)"},
        {"purpose": "baselines", "count": 2, "systems": "compare, runs not shown here"},
    ]
