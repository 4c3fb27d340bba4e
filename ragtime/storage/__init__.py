"""Where things rest: conversations, vectors, embeddings, models."""
