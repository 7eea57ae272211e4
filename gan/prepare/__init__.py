"""From data/raw to packed arrays and the manifest: layout, splits, near duplicates, packing."""
