"""Encoders: texts in, unit vectors out."""

from ragtime.backends.encoders.cached import CachedEncoder
from ragtime.backends.encoders.factory import create_encoder
from ragtime.backends.encoders.openai import OpenAIEncoder
from ragtime.backends.encoders.sentence_transformer import SentenceTransformerEncoder

__all__ = ["CachedEncoder", "OpenAIEncoder", "SentenceTransformerEncoder", "create_encoder"]
