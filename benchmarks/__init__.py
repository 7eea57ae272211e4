"""Measurements of the training engine: beside others, and beside what the machine can do."""
