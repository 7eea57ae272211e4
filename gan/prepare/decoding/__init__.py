"""Decoding image files to pixels of one shape, on all cores."""
