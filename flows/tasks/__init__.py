"""Stages, trials and rebuilds as units of work."""
