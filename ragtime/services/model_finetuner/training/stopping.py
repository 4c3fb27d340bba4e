"""When a run has stopped to improve."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EarlyStopping"]


@dataclass(slots=True)
class EarlyStopping:
    """Counts the evaluations since the last one that was better.

    Attributes:
        patience: So many without improvement end the run.
        min_change: Least change that counts as improvement.
        best: The best score so far, higher is better; ``None`` before the first.
        waited: Evaluations since it improved.
    """

    patience: int
    min_change: float = 0.0
    best: float | None = None
    waited: int = 0

    def told(self, score: float) -> bool:
        """Take a score.

        Args:
            score: The score, higher is better.

        Returns:
            Whether the run should end.
        """
        if self.best is None or score > self.best + self.min_change:
            self.best, self.waited = score, 0
        else:
            self.waited += 1
        return self.waited >= self.patience

    def state(self) -> dict[str, float | int | None]:
        """Return what a checkpoint keeps."""
        return {"best": self.best, "waited": self.waited}

    def load_state(self, state: dict[str, float | int | None]) -> None:
        """Put back what :meth:`state` gave."""
        self.best, self.waited = state["best"], int(state["waited"] or 0)
