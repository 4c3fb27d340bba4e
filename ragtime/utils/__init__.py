"""Small parts that every service shares: files, hashing, tokens, progress, workers, extras."""
