"""Duplicates: exact ones, near ones by MinHash, and those that mean the same by embeddings."""

from ragtime.services.training_data_gen.dedup.groups import group_near_duplicates
from ragtime.services.training_data_gen.dedup.index import DedupIndex
from ragtime.services.training_data_gen.dedup.matches import Duplicate, Kept, Rung

__all__ = ["DedupIndex", "Duplicate", "Kept", "Rung", "group_near_duplicates"]
