"""Every random draw, from (seed, purpose, index): there is no generator state to save.

After EDM2's training loop (Karras 2024), which reseeds each step: what is drawn at step 700 does
not depend on how often the process was killed before.
"""

import hashlib

import torch


def derive(seed: int, purpose: str, index: int = 0) -> int:
    """Return a seed in [0, 2**63) for one purpose and index (a step, an epoch, a batch)."""
    digest = hashlib.sha256(f"{seed}:{purpose}:{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str, index: int = 0, device: str = "cpu") -> torch.Generator:
    """Return a fresh torch.Generator on ``device``, seeded by ``derive``."""
    return torch.Generator(device).manual_seed(derive(seed, purpose, index))
