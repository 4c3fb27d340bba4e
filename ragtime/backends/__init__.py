"""What reaches a model: encoders, generators, and where models are found."""
