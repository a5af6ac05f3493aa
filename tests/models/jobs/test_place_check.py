"""A run that was planned for another machine is named by it, and refuses to run where the plan does not hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import EXIT_DONE, EXIT_REFUSED, SettingsInvalid
from models.jobs import execution, hardware, place_check
from models.jobs.build import ABSENT, build_of, library_versions
from models.jobs.compute import resolved_compute
from models.jobs.contract import JobResult
from models.jobs.execution import Execution, execute
from models.jobs.hardware import this_machine
from models.jobs.layout import plan_run
from models.jobs.place_check import build_here
from models.jobs.placement import Machine, Placement
from models.jobs.registry import parse_job
from models.settings.preprocess import PreprocessSettings
from models.settings.train import TrainSettings

Document = Callable[..., dict[str, Any]]
T4 = Machine(device="cuda", device_class="cuda Tesla T4 7.5", compute_capability=7.5, memory_gib=15)
A10G = Machine(device="cuda", device_class="cuda NVIDIA A10G 8.6", compute_capability=8.6, memory_gib=22)
CPU = Machine(device="cpu", device_class="cpu ml.c5", memory_gib=8)
ROBERTA = {"kind": "transformer", "pretrained": "off"}
T5 = {"kind": "transformer", "pretrained": "off", "small": {"family": "t5"}}


@pytest.fixture
def settings_of(train_document: Document) -> Callable[..., TrainSettings]:
    def made(model: dict[str, Any], **compute: Any) -> TrainSettings:
        return TrainSettings.model_validate(train_document() | {"model": model, "compute": compute})

    return made


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, float], None]:
    """Pretends that there is a GPU here."""

    def plugged(name: str, compute_capability: float) -> None:
        for module in (hardware, place_check):
            monkeypatch.setattr(module, "gpu_class", lambda: (name, compute_capability))

    return plugged


@pytest.mark.parametrize(
    ("machine", "model", "device", "precision"),
    [
        (T4, ROBERTA, "cuda", "fp16"),
        (T4, T5, "cuda", "off"),
        (T4, {"kind": "gnn"}, "cuda", "fp16"),
        (A10G, ROBERTA, "cuda", "bf16"),
        (A10G, T5, "cuda", "bf16"),
        (CPU, ROBERTA, "cpu", "off"),
    ],
)
def test_a_plan_for_another_machine_takes_what_that_one_bears(
    settings_of: Callable[..., TrainSettings], machine: Machine, model: dict[str, Any], device: str, precision: str
):
    settings = settings_of(model)
    resolved = resolved_compute(settings, machine)
    assert (resolved.device, resolved.precision) == (device, precision)
    facts = build_of(settings, machine).machine
    assert (facts["device"], facts["precision"], facts["device_class"]) == (device, precision, machine.device_class)


def test_a_plan_for_a_machine_is_the_plan_that_machine_makes(
    settings_of: Callable[..., TrainSettings], plug_in: Callable[[str, float], None], tmp_path: Path
):
    settings = settings_of({"kind": "gnn"})
    from_afar = plan_run(settings, tmp_path, machine=T4)
    plug_in("Tesla T4", 7.5)
    assert plan_run(settings, tmp_path).build == from_afar.build
    assert this_machine().device_class == T4.device_class
    # Settled before it is named or only there: the same run.
    settled = settings.model_copy(update={"compute": resolved_compute(settings, T4)})
    assert plan_run(settled, tmp_path, machine=T4).run_path == from_afar.run_path


def test_another_python_of_the_image_is_another_build(settings_of: Callable[..., TrainSettings], tmp_path: Path):
    settings = settings_of({"kind": "gnn"})
    plan = plan_run(settings, tmp_path, machine=CPU, python="3.11.1")
    assert plan.build.libraries["python"] == "3.11.1"
    assert plan.build_key != plan_run(settings, tmp_path, machine=CPU).build_key


def test_jobs_without_a_device_are_named_by_the_machine_too(tmp_path: Path):
    settings = PreprocessSettings(data=tmp_path)
    assert build_of(settings, CPU).machine["device_class"] == CPU.device_class
    assert build_of(settings).machine["device_class"] == this_machine("cpu").device_class


@pytest.mark.parametrize(
    ("machine", "model", "compute", "message"),
    [
        (T4, {"kind": "gnn"}, {"device": "cpu"}, "compute.device is cpu, and the job is planned for cuda Tesla T4 7.5"),
        (CPU, {"kind": "gnn"}, {"device": "cuda"}, "compute.device is cuda, and the job is planned for cpu ml.c5"),
        (T4, T5, {"precision": "fp16"}, "activations of t5 models overflow"),
        (CPU, {"kind": "gnn"}, {"precision": "fp16"}, "fp16 needs a GPU"),
        (
            T4.model_copy(update={"memory_gib": None}),
            {"kind": "gnn", "auto_batch_size": True},
            {},
            "needs the memory of cuda Tesla T4 7.5",
        ),
    ],
)
def test_what_the_planned_machine_cannot_do_is_refused_here(
    settings_of: Callable[..., TrainSettings],
    machine: Machine,
    model: dict[str, Any],
    compute: dict[str, Any],
    message: str,
):
    with pytest.raises(SettingsInvalid, match=message):
        build_of(settings_of(model, **compute), machine)


def planned(settings: TrainSettings, machine: Machine, **libraries: str) -> Placement:
    build = build_of(settings, machine).to_json()
    return Placement(machine=machine, build=build | {"libraries": build["libraries"] | libraries})


def test_any_cpu_will_do_where_one_was_planned(settings_of: Callable[..., TrainSettings]):
    settings = settings_of({"kind": "gnn"})
    assert build_here(settings, planned(settings, CPU)) == build_of(settings, CPU)


def test_an_image_with_other_libraries_is_refused_by_name(settings_of: Callable[..., TrainSettings]):
    settings = settings_of({"kind": "gnn"})
    here = build_of(settings).libraries["torch"]
    with pytest.raises(SettingsInvalid) as refused:
        build_here(settings, planned(settings, CPU, torch="9.9.9"))
    assert str(refused.value) == (
        f"the image is not what the plan assumed: torch: 9.9.9 planned, {here} here; "
        "build the image from deployments/sagemaker/requirements.lock, or give its own lock"
    )


def test_many_differences_are_cut_short_and_versions_come_first(settings_of: Callable[..., TrainSettings]):
    settings = settings_of({"kind": "gnn"})
    placement = planned(settings, CPU, python="3.12.0")
    assert placement.build is not None
    placement.build["files"] = dict.fromkeys(placement.build["files"], "read by another Python")
    with pytest.raises(SettingsInvalid, match=r"assumed: python: 3.12.0 planned, .* changed; .* and \d+ more; "):
        build_here(settings, placement)


def test_a_library_that_the_image_lacks_is_named(
    settings_of: Callable[..., TrainSettings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "job.py").write_text("import no_such_library\n")
    assert library_versions([tmp_path / "job.py"])["no_such_library"] == ABSENT


@pytest.mark.parametrize(
    ("here", "message"),
    [
        (("Tesla V100", 7.0), "cuda Tesla T4 7.5 planned, cuda Tesla V100 7 here"),
        (None, "cuda Tesla T4 7.5 planned, no GPU that this build of torch could use here"),
    ],
)
def test_another_gpu_than_planned_is_refused_with_both_names(
    settings_of: Callable[..., TrainSettings],
    monkeypatch: pytest.MonkeyPatch,
    here: tuple[str, float] | None,
    message: str,
):
    monkeypatch.setattr(place_check, "gpu_class", lambda: here)
    settings = settings_of({"kind": "gnn"})
    with pytest.raises(SettingsInvalid, match=message):
        build_here(settings, planned(settings, T4))


def test_other_memory_than_planned_is_refused_only_where_it_decides(
    settings_of: Callable[..., TrainSettings], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(place_check, "memory_gib", lambda _: 7)
    plain, auto = settings_of({"kind": "gnn"}), settings_of({"kind": "gnn", "auto_batch_size": True})
    build_here(plain, planned(plain, CPU))
    with pytest.raises(SettingsInvalid, match="assumed 8 GiB of memory, and there are 7 here"):
        build_here(auto, planned(auto, CPU))


def test_a_job_in_the_wrong_place_is_refused_and_one_in_the_right_place_is_named_by_the_plan(
    settings_of: Callable[..., TrainSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = parse_job(json.dumps(settings_of({"kind": "gnn"}, device="cpu").model_dump(mode="json")))
    assert isinstance(settings, TrainSettings)
    plan = plan_run(settings, tmp_path / "runs", machine=CPU)
    wrong = planned(settings, CPU, torch="9.9.9")
    assert execute(Execution(settings, tmp_path / "run", tmp_path, placement=wrong)) == EXIT_REFUSED

    monkeypatch.setattr(execution, "entry_of", lambda _: lambda _, context: JobResult({}, ()))
    git = {"git_commit": "abc", "git_dirty": False}
    right = Placement(machine=CPU, build=plan.build.to_json(), git=git)
    assert execute(Execution(settings, tmp_path / "run", tmp_path, placement=right)) == EXIT_DONE
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert (manifest["run_key"], manifest["build_key"]) == (plan.run_key, plan.build_key)
    attempt = json.loads((tmp_path / "run" / "record.json").read_text())["attempts"][-1]
    assert attempt["device_class"] == this_machine("cpu").device_class
    assert attempt | git == attempt
    assert json.loads((tmp_path / "run" / "exp_config.json").read_text())["git_commit"] == "abc"
