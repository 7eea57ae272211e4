"""Tests. A package of its own, since torch-fidelity installs one of that name beside itself."""
