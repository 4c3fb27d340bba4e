"""Where things rest on disk."""
