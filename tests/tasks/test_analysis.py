"""Analysis of hand-made stages: numbers by two routes, the sealed test apart, one line for a bad prefix."""

from __future__ import annotations

import json
import re
import statistics

import pytest

from models.evaluation.metrics import as_json
from models.store.openings import read_openings
from tasks.analysis import analyse, analysis_text, main
from tasks.run_view import find_view, link_evaluation, link_trials
from tasks.trial_measures import measure_stages

CHAMPIONS = "codet5p_220m_champion_"


@pytest.fixture
def viewed(stages):
    """Stages whose runs are in the view, with the champion's evaluation."""
    link_trials(stages.runs_path, stages.stage3)
    link_trials(stages.runs_path, stages.stage4)
    labels = {label: label for label in (stages.champion, stages.runner_up)}
    link_evaluation(stages.runs_path, stages.evaluation, labels)
    return stages


def measured(stages, prefix=CHAMPIONS):
    return measure_stages(stages.runs_path, find_view(stages.runs_path, prefix))


def test_every_trial_has_the_scores_that_its_ranking_gave_it(viewed):
    (stage,) = measured(viewed)
    for each in stage.configurations:
        f1 = {str(trial.seed): trial.metrics["f1"] for trial in each.trials}
        assert as_json(f1) == as_json(each.entry["f1_by_seed"])
        assert each.mean_f1 == pytest.approx(each.entry["f1"]["value"])
        assert each.sd_f1 == pytest.approx(statistics.stdev(f1.values()))
        median = next(trial for trial in each.trials if trial.seed == each.entry["median_seed"])
        told = each.entry["median_seed_metrics"]
        assert {name: median.metrics[name] for name in told} == pytest.approx(told)


def test_cost_is_summed_over_the_attempts_that_told_theirs(viewed):
    record = viewed.trial(viewed.champion) / "record.json"
    attempts = [
        {"seconds": 100.0, "samples_per_second": 5.0, "peak_memory_bytes": 3 * 2**30},
        {"started": 1.0},
        {"seconds": 50.5, "samples_per_second": 7.5, "peak_memory_bytes": 2**30},
    ]
    record.write_text(json.dumps({"attempts": attempts}))
    (cost,) = [trial.cost for trial in measured(viewed)[0].trials if trial.trial == viewed.champion]
    assert cost == (150.5, 1, 7.5, 3 * 2**30, 223_000_000)
    row = next(line for line in analysis_text(measured(viewed)).splitlines() if "2 min 30 s+" in line)
    assert "3.00 GiB" in row
    assert "223.0M" in row


def test_the_table_fits_and_tells_configurations_trials_and_test(viewed):
    text = analysis_text(measured(viewed))
    assert max(map(len, text.splitlines())) <= 100
    (stage,) = measured(viewed)
    for each in stage.configurations:
        assert f"{each.mean_f1:.3f} ± {each.sd_f1:.3f}" in text
        assert f"{each.entry['false_positive_reduction_at_recall']['false_positive_reduction']:.3f} @0.96" in text
    assert text.count("223.0M") == 6
    assert text.index("trials on validation") < text.index("SEALED TEST")
    test = text[text.index("SEALED TEST") :]
    assert test.count("keep_all") == text.count("GLITCH alone") == 1  # a baseline in either table
    assert len(re.findall(r"^ ?\d +4\d ", test, flags=re.MULTILINE)) == 2


def test_nothing_of_the_test_orders_the_table(viewed):
    before = [trial.label for trial in measured(viewed)[0].trials]
    path = viewed.evaluation / "evaluation.json"
    evaluation = json.loads(path.read_text())
    for split in evaluation["splits"].values():
        for label, value in ((viewed.champion, 0.01), (viewed.runner_up, 0.99)):
            split["systems"][label]["metrics"]["f1"]["value"] = value
    path.write_text(json.dumps(evaluation))
    (after,) = measured(viewed)
    assert [trial.label for trial in after.trials] == before
    assert {t.test["combined"]["f1"]["value"] for t in after.trials if t.test} == {0.01, 0.99}


def test_the_test_is_told_with_the_threshold_that_it_was_measured_at(viewed):
    looked = viewed.evaluate([viewed.champion], ranking=viewed.stage3, threshold=0.36)
    link_evaluation(viewed.runs_path, looked, {viewed.champion: viewed.champion})
    (stage,) = measured(viewed)
    told = {trial.trial: set(trial.test_thresholds.values()) for trial in stage.trials if trial.test}
    assert told == {viewed.champion: {0.36}, viewed.runner_up: {viewed.THRESHOLD}}
    assert {trial.threshold for trial in stage.trials} == {viewed.THRESHOLD}
    test = analysis_text([stage]).partition("SEALED TEST")[2]
    assert sorted(re.findall(r" (0\.\d\d)$", test, flags=re.MULTILINE)) == ["0.36", "0.47"]
    assert "<td>0.36</td>" in analyse(viewed.runs_path, CHAMPIONS).path.read_text()


def test_without_an_evaluation_no_test_is_shown_and_none_is_opened(stages):
    link_trials(stages.runs_path, stages.stage4)
    opened = len(read_openings(stages.runs_path))
    analysis = analyse(stages.runs_path, CHAMPIONS)
    assert "SEALED TEST" not in analysis.table
    assert "Sealed test" not in analysis.path.read_text()
    assert len(read_openings(stages.runs_path)) == opened


def test_stages_are_apart_and_a_sweep_shows_its_curves(viewed):
    third, fourth = measured(viewed, "codet5p_220m_")
    assert (third.ranking["stage"], fourth.ranking["stage"]) == ("stage3", "stage4")
    for trial in third.trials:
        assert len(trial.curve) == 41
        assert dict(trial.curve)[trial.threshold] == pytest.approx(trial.metrics["f1"])
    assert not any(trial.curve for trial in fourth.trials)


def test_the_page_needs_nothing_else_and_draws_every_chart(viewed):
    analysis = analyse(viewed.runs_path, "codet5p_220m_")
    html = analysis.path.read_text()
    assert analysis.path == viewed.runs_path / "reports" / "analysis-codet5p_220m.html"
    assert not re.search(r"<(script|link|img|iframe)|url\(|@import|https?://", html)
    for caption in ("F1 on validation by seed", "F1 by threshold", "Training time against F1", "Learning curves"):
        assert f"<figcaption>{caption}</figcaption>" in html
    assert html.count("<figcaption>F1 by threshold") == 1  # nothing is swept in stage 4
    for trial in (trial for stage in measured(viewed, "codet5p_220m_") for trial in stage.trials):
        assert trial.trial in html
    assert html.count('class="whisker') == 4 + 2  # configurations and a baseline in each stage
    assert "order nothing" in html


def test_the_program_prints_the_table_and_where_the_page_is(viewed, capsys):
    assert main(["--prefix", CHAMPIONS, "--runs", str(viewed.runs_path)]) == 0
    out = capsys.readouterr().out
    assert "stage4: validation, 60 findings in 15 files" in out
    assert f"plots: {viewed.runs_path}/reports/analysis-codet5p_220m_champion.html" in out


@pytest.mark.parametrize(
    ("prefix", "says"),
    [
        ("codet5p_220m_champoin_", "near ones are codet5p_220m_champion_lr2e-5_bs8_ep3_wd0.01_s41_20260102"),
        ("zzz", "there are codet5p_220m_champion_"),
    ],
)
def test_a_prefix_that_hits_nothing_names_near_labels_in_one_line(prefix, says, viewed, capsys):
    assert main(["--prefix", prefix, "--runs", str(viewed.runs_path)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_an_empty_run_root_and_a_damaged_run_are_said_in_one_line(viewed, tmp_path, capsys):
    assert main(["--prefix", "x", "--runs", str(tmp_path / "empty")]) == 2
    assert "run a stage first" in capsys.readouterr().err
    (viewed.trial(viewed.champion) / "predictions_valid.jsonl").unlink()
    assert main(["--prefix", CHAMPIONS, "--runs", str(viewed.runs_path)]) == 2
    assert "predictions_valid.jsonl: no such file" in capsys.readouterr().err


def test_the_page_shows_the_audit_of_the_records_where_there_is_one(viewed):
    from models.settings.audit import AuditSettings

    page = analyse(viewed.runs_path, CHAMPIONS).path
    assert "Nobody audited the records" in page.read_text()
    check = {"name": "n", "title": "Some Leak", "question": "?", "verdict": "bad", "detail": "all of it"}
    audit = {"checks": [check | {"advice": "Mend it.", "value": 1.0, "expected": 0.0, "unit": "share"}]}
    viewed.finish("audit", AuditSettings(data=viewed.data), {"audit.json": audit})
    shown = analyse(viewed.runs_path, CHAMPIONS).path.read_text()
    assert "Nobody audited" not in shown
    assert "Bad: some leak." in shown
    assert "Mend it." in shown
