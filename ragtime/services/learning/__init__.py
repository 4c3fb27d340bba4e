"""The learning loop: from conversations, ratings and documents to a better retrieval model, and a report.

sources = LearningSources(documents="handbook", feedback="ratings.jsonl")
report = LearningLoop().run(sources, "support")
print(report.sentence)

Names are looked up when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ragtime.errors import did_you_mean

if TYPE_CHECKING:
    from ragtime.services.learning.demo import run_demo
    from ragtime.services.learning.forgetting import ForgettingPlan, plan_forgetting
    from ragtime.services.learning.lineage import ModelTrace, trace_model
    from ragtime.services.learning.loop import LearningLoop
    from ragtime.services.learning.planning import LearningPlan
    from ragtime.services.learning.rendering import read_report, write_report
    from ragtime.services.learning.report import LearningReport
    from ragtime.services.learning.sources import LearningSources

__all__ = [
    "ForgettingPlan",
    "LearningLoop",
    "LearningPlan",
    "LearningReport",
    "LearningSources",
    "ModelTrace",
    "plan_forgetting",
    "read_report",
    "run_demo",
    "trace_model",
    "write_report",
]

_HOMES = {
    "ForgettingPlan": "forgetting",
    "LearningLoop": "loop",
    "LearningPlan": "planning",
    "LearningReport": "report",
    "LearningSources": "sources",
    "ModelTrace": "lineage",
    "plan_forgetting": "forgetting",
    "read_report": "rendering",
    "run_demo": "demo",
    "trace_model": "lineage",
    "write_report": "rendering",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{did_you_mean(name, __all__)}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
