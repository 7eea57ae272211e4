"""Formats that stages share: archives, the inventory, packed arrays, the manifest, published data sets."""
