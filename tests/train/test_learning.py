"""What a step does: losses, optimizers, schedules, averages, teachers and first weights."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_training import TINY, NoisePatches, same, tensors

from bnnpan.checkpoint import MODEL_NAME, load_model
from bnnpan.config import Experiment, StageConfig, TrainingConfig
from bnnpan.data.batch import Batch
from bnnpan.model import BNNPan, ModelConfig
from bnnpan.training import train
from bnnpan.training.average import averaged
from bnnpan.training.losses import image_loss, q_index, spectral_angle
from bnnpan.training.optimizer import make_optimizer, rate_share
from bnnpan.training.stages import stages, unfreeze
from bnnpan_runtime.errors import ConfigError


def changed(**values: object) -> Experiment:
    return replace(TINY, training=replace(TINY.training, **values))  # type: ignore[arg-type]


def random_images(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(2, 4, 16, 16, generator=generator)
    return truth + 0.1 * torch.rand(2, 4, 16, 16, generator=generator), truth


def plain_batch(truth: torch.Tensor) -> Batch[torch.Tensor]:
    n, bands = truth.shape[:2]
    return Batch(truth[:, :1], truth, truth, torch.zeros(n, bands), torch.ones(n, bands))


def test_spectral_angle_is_the_angle_between_spectra():
    fused, truth = random_images()
    u, v = fused.double(), truth.double()
    expected = torch.acos((u * v).sum(1) / (u.norm(dim=1) * v.norm(dim=1))).mean()
    assert spectral_angle(fused, truth).item() == pytest.approx(expected.item(), rel=1e-4)
    assert spectral_angle(3 * truth, truth).item() == pytest.approx(0, abs=3e-6)


def test_spectral_angle_has_a_finite_slope_everywhere():
    for image in (torch.zeros(1, 4, 8, 8), torch.ones(1, 4, 8, 8)):
        fused = image.clone().requires_grad_()
        spectral_angle(fused, image).backward()
        assert fused.grad is not None and torch.isfinite(fused.grad).all()


def test_q_index_is_one_for_equal_images_and_as_printed_for_one_window():
    fused, truth = random_images()
    assert q_index(truth, truth).item() == pytest.approx(1, abs=1e-5)
    assert q_index(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)).item() == 1
    x, y = fused[:1, :1, :8, :8].double(), truth[:1, :1, :8, :8].double()
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    variances = x.var(correction=0) + y.var(correction=0)
    expected = 4 * covariance * x.mean() * y.mean() / variances / (x.mean() ** 2 + y.mean() ** 2)
    assert q_index(x, y).item() == pytest.approx(expected.item(), rel=1e-4)


def test_terms_are_added_by_their_weights():
    fused, truth = random_images()
    batch = plain_batch(truth)
    plain = image_loss(TrainingConfig(), None)(fused, batch)
    assert plain == (fused - truth).abs().mean()
    both = image_loss(TrainingConfig(sam_weight=0.5, q_weight=2.0), None)(fused, batch)
    expected = plain + 0.5 * spectral_angle(fused, truth) + 2 * (1 - q_index(fused, truth))
    torch.testing.assert_close(both, expected)


def test_spectra_and_levels_are_compared_outside_scene_units():
    fused, truth = random_images()
    plain = plain_batch(truth)
    level, contrast = plain.level + 0.5, plain.contrast * torch.linspace(0.1, 0.4, truth.shape[1])
    offset, scale = level[:, :, None, None], contrast[:, :, None, None]
    in_units = [(image - offset) / scale for image in (fused, truth)]
    settings = TrainingConfig(sam_weight=1.0, q_weight=1.0)
    terms = image_loss(settings, None)(fused, plain) - (fused - truth).abs().mean()
    fused_in_units, truth_in_units = in_units
    batch = Batch(truth_in_units[:, :1], truth_in_units, truth_in_units, level, contrast)
    loss = image_loss(settings, None)(fused_in_units, batch)
    torch.testing.assert_close(loss - (fused_in_units - truth_in_units).abs().mean(), terms)


def test_teacher_is_imitated_and_not_moved():
    torch.manual_seed(0)
    fused, truth = random_images()
    batch = plain_batch(truth)
    teacher = BNNPan(TINY.model).eval()
    torch.nn.init.normal_(teacher.tail.weight)
    lesson = teacher(batch.pan, batch.lms, teacher.predicted_prior(batch.pan, batch.lms)).detach()
    loss = image_loss(TrainingConfig(teacher="run", teacher_weight=3.0), teacher)
    fused.requires_grad_()
    value = loss(fused, batch)
    torch.testing.assert_close(value, (fused - truth).abs().mean() + 3 * (fused - lesson).abs().mean())
    value.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_cosine_warms_up_and_ends_at_two_percent():
    training = TrainingConfig()
    assert rate_share(training, 0, 10_000) == pytest.approx(1 / 50)
    assert rate_share(training, 49, 10_000) == pytest.approx(1.0, abs=1e-3)
    assert rate_share(training, 9_999, 10_000) == pytest.approx(0.02, abs=1e-3)


def test_steps_fall_at_their_shares_of_the_stage():
    training = TrainingConfig(schedule="step", step_share=0.25, step_factor=0.1)
    shares = [rate_share(training, step, 1000) for step in (100, 249, 250, 500, 999)]
    assert shares == pytest.approx([1, 1, 0.1, 0.01, 0.001])


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_only_filters_and_matrices_decay(name: str, kind: type):
    model = BNNPan(TINY.model)
    unfreeze(stages(model, TINY.training, image_loss(TINY.training, None), torch.randn_like)[0], model)
    optimizer = make_optimizer(replace(TINY.training, optimizer=name, weight_decay=0.1), model)
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert type(optimizer) is kind
    assert decays[id(model.head.weight)] == 0.1
    assert decays[id(model.head.bias)] == 0
    nbc = model.get_submodule("blocks.0.nbc")
    assert decays[id(nbc.weight)] == 0.1
    assert decays[id(nbc.shift)] == decays[id(nbc.lambda_)] == 0
    assert id(model.get_parameter("diffusion.denoiser.hidden.weight")) not in decays


def test_average_follows_the_weights_by_the_decay():
    model = BNNPan(TINY.model)
    average = averaged(model, decay=0.5)
    expected = None
    for step in range(40):
        torch.nn.init.constant_(model.head.bias, float(step))
        average.update_parameters(model)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = step if expected is None else decay * expected + (1 - decay) * step
    torch.testing.assert_close(average.module.head.bias, torch.full_like(model.head.bias, expected))


def test_saved_model_is_the_average_of_the_last_stage(tmp_path: Path):
    one_stage = {"stage_two": StageConfig(0), "stage_three": StageConfig(0)}
    train(changed(**one_stage), NoisePatches(), tmp_path / "last", provenance={})
    train(changed(**one_stage, average=0.99), NoisePatches(), tmp_path / "average", provenance={})
    snapshots = []
    for steps in range(1, 13):  # without the average, steps are the same
        run = tmp_path / f"{steps}"
        model = train(changed(**one_stage), NoisePatches(), run, provenance={}, stop_after=steps)
        snapshots.append(model.tail.weight.detach().clone())
    expected = snapshots[0]
    for taken, weight in enumerate(snapshots[1:], start=1):
        expected = torch.lerp(expected, weight, 1 - (1 + taken) / (10 + taken))
    torch.testing.assert_close(tensors(tmp_path / "average")["tail.weight"], expected)
    assert not torch.allclose(tensors(tmp_path / "last")["tail.weight"], expected)


def test_twin_teaches_and_starts_a_binary_network(tmp_path: Path):
    """Two-step binarization, and the digest of what was built on."""
    twin = replace(TINY, model=replace(TINY.model, binarizer="full"))
    train(twin, NoisePatches(), tmp_path / "twin", provenance={})
    file = tmp_path / "twin" / MODEL_NAME
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    experiment = changed(teacher=str(tmp_path / "twin"), teacher_weight=0.5, initial=str(file))
    start = train(experiment, NoisePatches(), tmp_path / "student", provenance={}, stop_after=0)
    given = tensors(tmp_path / "twin")
    assert same(given, dict(start.state_dict()))
    train(experiment, NoisePatches(), tmp_path / "student", provenance={"data": ["noise"]}, resume=True)
    _, _, provenance = load_model(tmp_path / "student")
    assert provenance["teacher"] == provenance["initial"] == digest
    assert provenance["data"] == ["noise"]
    assert not same(given, tensors(tmp_path / "student"))


def test_resume_refuses_another_teacher(tmp_path: Path):
    for seed in range(2):
        train(changed(seed=seed), NoisePatches(), tmp_path / f"teacher{seed}", provenance={})
    teacher = tmp_path / "teacher"
    (tmp_path / "teacher0").rename(teacher)
    experiment = changed(teacher=str(teacher), teacher_weight=1.0)
    train(experiment, NoisePatches(), tmp_path / "run", provenance={}, stop_after=3)
    teacher.rename(tmp_path / "gone")
    (tmp_path / "teacher1").rename(teacher)
    with pytest.raises(ConfigError, match="teacher is not what this run was started with"):
        train(experiment, NoisePatches(), tmp_path / "run", provenance={}, resume=True)


@pytest.mark.parametrize("role", ["teacher", "initial"])
def test_unsuitable_origin_is_refused(tmp_path: Path, role: str):
    train(TINY, NoisePatches(), tmp_path / "four", provenance={})
    options = {role: str(tmp_path / "four")} | ({"teacher_weight": 1.0} if role == "teacher" else {})
    eight = replace(
        changed(**options),
        model=replace(TINY.model, bands=8),
        data=replace(TINY.data, bands=tuple("abcdefgh")),
    )
    with pytest.raises(ConfigError, match=rf"training.{role}: .* model.bands = 4, this experiment 8"):
        train(eight, NoisePatches(8), tmp_path / "run", provenance={})
    turned = replace(changed(**options), data=replace(TINY.data, bands=("red", "green", "blue", "nir")))
    with pytest.raises(ConfigError, match="bands in another order"):
        train(turned, NoisePatches(), tmp_path / "run", provenance={})
    missing = changed(**options | {role: str(tmp_path / "nowhere")})
    with pytest.raises(ConfigError, match="no such checkpoint"):
        train(missing, NoisePatches(), tmp_path / "run", provenance={})


def test_first_weights_of_another_size_are_refused(tmp_path: Path):
    train(TINY, NoisePatches(), tmp_path / "small", provenance={})
    wide = replace(
        changed(initial=str(tmp_path / "small")), model=ModelConfig(channels=8, blocks=1, latent=4)
    )
    with pytest.raises(ConfigError, match=r"training\.initial: .* same size"):
        train(wide, NoisePatches(), tmp_path / "run", provenance={})


def test_network_is_told_how_far_the_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    told: list[float] = []
    monkeypatch.setattr(BNNPan, "set_progress", lambda self, share: told.append(share))
    train(TINY, NoisePatches(), tmp_path / "run", provenance={}, stop_after=14)
    train(TINY, NoisePatches(), tmp_path / "run", provenance={}, resume=True)
    assert told == [step / 26 for step in range(27)]


def test_missing_device_is_one_clear_line(tmp_path: Path):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ConfigError, match='is "cuda", but PyTorch finds none'):
        train(changed(device="cuda"), NoisePatches(), tmp_path / "run", provenance={})


def test_deterministic_mode_holds_while_training_only(tmp_path: Path):
    seen: list[bool] = []

    class Watching(NoisePatches):
        def sample(self, batch: int) -> Batch:
            seen.append(torch.are_deterministic_algorithms_enabled())
            return super().sample(batch)

    train(changed(deterministic=True), Watching(), tmp_path / "run", provenance={})
    assert all(seen) and not torch.are_deterministic_algorithms_enabled()


def test_loss_that_is_not_finite_names_stage_and_step(tmp_path: Path):
    class Broken(NoisePatches):
        def sample(self, batch: int) -> Batch:
            patches = super().sample(batch)
            return patches._replace(truth=patches.truth * (math.nan if self.position == 15 else 1))

    with pytest.raises(ConfigError, match="stage II, step 2: the loss is nan"):
        train(TINY, Broken(), tmp_path / "run", provenance={})
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["stage"] for line in lines] == ["I"]
