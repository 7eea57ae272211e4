"""Bringing a source to data/raw: from a package, a published set, an address or a path."""
