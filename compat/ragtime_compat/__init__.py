"""Parts of the wrappers that are too long for one module each; nothing here is public."""
