"""Decisions: the gate, the verdict on a rebuild, differences, outcomes of stages."""
