"""Images in: sources, safe unpacking, decoding, the manifest, expectations, packed arrays."""
