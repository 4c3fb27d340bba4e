"""What ragtime does: conversations, training data, fine-tuning and the loop of all three."""
