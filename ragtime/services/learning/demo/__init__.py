"""The learning loop shown on real text that every machine has, with simulated users."""

from ragtime.services.learning.demo.corpus import HelpDesk, HelpDeskQuestion, build_help_desk
from ragtime.services.learning.demo.demo import DemoResult, DemoSources, run_demo
from ragtime.services.learning.demo.users import SimulatedRating, simulate_ratings

__all__ = [
    "DemoResult",
    "DemoSources",
    "HelpDesk",
    "HelpDeskQuestion",
    "SimulatedRating",
    "build_help_desk",
    "run_demo",
    "simulate_ratings",
]
