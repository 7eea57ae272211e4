"""Generators, discriminators and DINOv2 as plain torch modules, and their model files."""
