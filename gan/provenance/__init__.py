"""Which model made an image: claims in its metadata, signed credentials, and a mark in its pixels."""
