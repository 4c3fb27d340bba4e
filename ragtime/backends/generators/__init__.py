"""Text generators: OpenAI-compatible servers and local causal models.

>>> from ragtime.backends.generators import OpenAIGenerator
>>> from ragtime.testing import LocalModelServer
>>> with LocalModelServer(answer="Hold the button for five seconds.") as server:
...     generator = OpenAIGenerator(base_url=server.base_url, model_name="any")
...     generator.generate([{"role": "user", "content": "How do I reset it?"}])
'Hold the button for five seconds.'
"""

from ragtime.backends.generators.base import BaseGenerator
from ragtime.backends.generators.factory import create_generator
from ragtime.backends.generators.openai_generator import OpenAIGenerator
from ragtime.backends.generators.transformers_generator import TransformersGenerator

__all__ = ["BaseGenerator", "OpenAIGenerator", "TransformersGenerator", "create_generator"]
