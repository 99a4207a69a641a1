"""What the first process does between steps: report, validate and save."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnnpan import checkpoint
from bnnpan.checkpoint import MODEL_NAME, RESUME_NAME, Checkpoint
from bnnpan.config import Experiment
from bnnpan.model import PanSharpener
from bnnpan.training.record import Record
from bnnpan.training.trainer import Trainer
from bnnpan.training.validation import Judged

REPORT_EVERY = 50

Validate = Callable[[PanSharpener, bool], Judged]
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Keeper:
    """Keeps the run folder."""

    experiment: Experiment
    run: Path
    provenance: dict[str, Any]
    record: Record
    validate: Validate | None
    report: Report

    def look(self, trainer: Trainer, leaving: bool) -> None:
        """Report and save where that is due after a step, in any case save when `leaving`."""
        step = trainer.progress.step
        training = self.experiment.training
        if trainer.at_end_of_stage or not (step % REPORT_EVERY and step % training.validate_every):
            self._report(trainer)
        if step % training.checkpoint_every == 0 or leaving:
            self._save(trainer)

    def finish(self, trainer: Trainer) -> None:
        """Save the finished network; there is nothing to resume then."""
        provenance = self.provenance | trainer.progress.record
        checkpoint.save_model(self.run / MODEL_NAME, trainer.model, self.experiment, provenance)
        (self.run / RESUME_NAME).unlink(missing_ok=True)

    def _report(self, trainer: Trainer) -> None:
        progress, stage = trainer.progress, trainer.stage
        line: dict[str, Any] = {
            "stage": stage.name,
            "step": progress.step,
            "steps": stage.config.steps,
            "loss": progress.smooth_loss,
            "rate": trainer.rate,
            "seconds": round(progress.seconds, 1),
        }
        due = trainer.at_end_of_stage or progress.step % self.experiment.training.validate_every == 0
        # Stage II leaves the backbone alone.
        if self.validate is not None and stage.name != "II" and due:
            judged = self.validate(trainer.judged_model, stage.name == "I")
            progress.record["validation"] = line["validation"] = judged.scores
            self.record.draw(judged.picture, stage.name, progress.step)
        self.record.write(line, trainer.steps_taken)
        self.report(line)

    def _save(self, trainer: Trainer) -> None:
        state = trainer.put_down()
        facts = {"experiment": self.experiment.to_json(), "provenance_so_far": self.provenance}
        checkpoint.write(self.run / RESUME_NAME, Checkpoint(state.tensors, state.facts | facts))
