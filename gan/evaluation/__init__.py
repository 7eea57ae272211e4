"""Pieces of evaluation: metrics as pure functions on feature arrays, features, selection."""
