"""pytorch/examples' DCGAN in this project's params: what every trick and every speed is measured against.

It names whatever changes results or costs time, so that an edited params.yaml is no other benchmark.
"""

from typing import Any

PLAIN: dict[str, dict[str, Any]] = {
    "network": {
        "architecture": "dcgan",
        "conditional": False,
        "spectral_norm": False,
        "latent_dim": 100,
        "latent_distribution": "normal",
        "base_channels": 64,
        "kernel_size": 4,
        "depth": "auto",
        "dense_units": 0,
        "generator_activation": "relu",
    },
    "train": {
        "batch_size": 64,
        "objective": "non_saturating",
        "d_steps": 1,
        "learning_rate": 2e-4,
        "learning_rate_d": None,
        "beta1": 0.5,
        "beta2": 0.999,
        "lr_decay_factor": 1.0,
        "r1_gamma": 0.0,
        "r2_gamma": 0.0,
        "gradient_penalty": 0.0,
        "penalty_every": 1,
        "label_smoothing": 0.0,
        "instance_noise": 0.0,
        "augment_shift": 0,
        "augment_color": 0.0,
        "augment_cutout": 0.0,
        "augment_target": None,
        "ema_decay": 0.0,
    },
}
