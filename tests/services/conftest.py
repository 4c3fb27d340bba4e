"""What the tests of all services share: the package's own fixtures."""

from ragtime.testing.fixtures import hash_encoder

__all__ = ["hash_encoder"]
