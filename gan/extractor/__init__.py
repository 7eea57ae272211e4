"""The feature extractor that select and evaluate use, and its training."""
