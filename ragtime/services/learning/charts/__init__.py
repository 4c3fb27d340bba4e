"""The drawings of a learning report: small SVG in the colours of the page, the same on every machine."""

from ragtime.services.learning.charts.curves import draw_losses, draw_validation
from ragtime.services.learning.charts.estimates import Estimate, draw_estimates, draw_questions, draw_share
from ragtime.services.learning.charts.flow import draw_flow, lanes_of

__all__ = [
    "Estimate",
    "draw_estimates",
    "draw_flow",
    "draw_losses",
    "draw_questions",
    "draw_share",
    "draw_validation",
    "lanes_of",
]
