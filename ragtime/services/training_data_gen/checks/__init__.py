"""Checks: which candidates become examples, and why the others do not."""

from __future__ import annotations

from ragtime.services.training_data_gen.checks.duplicates import DuplicateCheck, ExactCheck
from ragtime.services.training_data_gen.checks.purpose import PurposeCheck
from ragtime.services.training_data_gen.checks.round_trip import RoundTripCheck
from ragtime.services.training_data_gen.quality import QualityCheck, RedactionCheck
from ragtime.services.training_data_gen.staging import Staging
from ragtime.services.training_data_gen.tools import Tools
from ragtime.services.training_data_gen.verdict import Check, Verdict

__all__ = ["Check", "PurposeCheck", "Verdict", "all_checks", "least_checks"]


def all_checks(tools: Tools, staging: Staging) -> list[Check]:
    """Return the checks of a run, in their order: cheap ones first, and duplicates last, so that good ones are kept."""
    return [QualityCheck(tools), RoundTripCheck(tools), DuplicateCheck(tools, staging)]


def least_checks(tools: Tools, staging: Staging) -> list[Check]:
    """Return the checks that are always made: personal data are blacked out, and no example is there twice."""
    return [RedactionCheck(tools), ExactCheck(staging)]
