"""Generators, discriminators and the feature extractor: plain torch modules."""
