"""The end of stage 4: champion and runner-up measured once on the sealed test, and the champion frozen.

Who they are was settled before, on validation.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from models.settings.decision import FrozenThreshold
from models.settings.evaluate import EvaluateSettings, TrialName
from models.settings.predict import PredictSettings
from tasks.artifacts import publish_markdown
from tasks.champion import freeze_champion, selection_text
from tasks.champion_runs import CHAMPION, EVALUATION_FILE, RUNNER_UP, finalists
from tasks.flow_jobs import FlowJobs
from tasks.jobs import RunReference
from tasks.pointer_store import pointers_of
from tasks.reports import markdown_summary, table_text
from tasks.run_view import link_evaluation
from tasks.stages import StageResult
from tasks.sweep_settings import SweepSettings


class Final(BaseModel):
    """Champion and runner-up, measured.

    Args:
        champion: Label of the trial that is frozen: the first configuration's median seed.
        runner_up: Label of the runner-up's; empty where there is none.
        predict: Predictions of both, by label.
        evaluate: Their metrics beside baselines.
        table: The same as text.
    """

    model_config = ConfigDict(frozen=True)

    champion: str
    runner_up: str
    predict: dict[str, RunReference]
    evaluate: RunReference
    table: str


def measure_finalists(settings: SweepSettings, ranked: StageResult, *, open_test: str | None) -> Final:
    """Score champion and runner-up, on the sealed test too where a purpose is given, at their frozen thresholds.

    Args:
        settings: Of the stage.
        ranked: Its ranking.
        open_test: Purpose of opening the test split; ``None``: it stays sealed.
    """
    jobs = FlowJobs(settings)
    ranking = ranked.read_ranking()
    names = {
        label: TrialName(configuration=entry["configuration"], model=entry["model"])
        for entry in ranking["configurations"]
        for label in entry["trials"].values()
    }
    labels = finalists(ranking)
    predict = {
        label: jobs.run(
            PredictSettings(
                model_run=ranked.trials[label].run_path,
                data=ranked.records[names[label].model],
                open_test=open_test and f"{open_test} ({_spoken(role)})",
                compute=settings.compute.model_copy(update={"num_ranks": 1}),
            ),
            title=f"predict {_spoken(role)}",
        )
        for role, label in labels.items()
    }
    evaluate = jobs.run(
        EvaluateSettings(
            data=ranked.records[names[labels[CHAMPION]].model],
            predictions={label: run.run_path for label, run in predict.items()},
            decision=FrozenThreshold(ranking=ranked.ranking.run_path),
            trials={label: names[label] for label in predict},
            num_resamples=settings.num_resamples,
            confidence=settings.confidence,
            seed=settings.ranking_seed,
        ),
        title="evaluate finalists",
    )
    evaluation = json.loads((evaluate.run_path / EVALUATION_FILE).read_bytes())
    publish_markdown(f"{settings.STAGE}-test", markdown_summary(evaluation), "champion, runner-up and baselines")
    link_evaluation(jobs.runs_path, evaluate.run_path, {label: label for label in labels.values()})
    return Final(
        champion=labels[CHAMPION],
        runner_up=labels.get(RUNNER_UP, ""),
        predict=predict,
        evaluate=evaluate,
        table=table_text(evaluation),
    )


def freeze(settings: SweepSettings, ranked: StageResult, final: Final) -> Path:
    """Freeze the champion and publish its card; gives its manifest."""
    runs_path = settings.runs.resolve()
    pointers = pointers_of(runs_path, settings.sagemaker)
    frozen = freeze_champion(
        runs_path, ranking=ranked.ranking.run_path, evaluation=final.evaluate.run_path, pointers=pointers
    )
    publish_markdown(
        "champion", f"```text\n{selection_text(ranked.read_ranking())}\n```\n", f"frozen: {final.champion}"
    )
    return frozen.path


def _spoken(role: str) -> str:
    return role.replace("_", "-")
