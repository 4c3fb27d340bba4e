"""What reaches a model: encoders, generators, token counters, and the resolution of model names."""
