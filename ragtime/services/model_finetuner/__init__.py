"""Fine-tuning: a retrieval model trained on what a system has learnt, by a run that can be stopped at any moment."""

__all__: list[str] = []
