"""Stage extractor: train the feature extractor that select and evaluate look through."""

from pathlib import Path
from typing import Any

import torch

from gan import devices, files
from gan import params as parameters
from gan.data.arrays import read_arrays
from gan.networks.files import save
from gan.networks.record import record
from gan.params import Params
from gan.stage import Progress, run, say
from gan.training.extractor import ROTATIONS, accuracy, train_extractor


def main() -> None:
    """Train on the training half, state the accuracy on the held-out half, write the model."""
    params = parameters.load()
    device = devices.prepare(params.train.device, params.train.threads)
    train, test = (read_arrays(Path(f"data/prepared/{half}.safetensors")) for half in ("train", "test"))
    classes = train.classes or ROTATIONS
    labels = None if train.labels is None else torch.from_numpy(train.labels)
    held_out = None if labels is None or test.labels is None else torch.from_numpy(test.labels)
    progress = Progress("extractor", params.extractor.steps, "step")
    model = train_extractor(
        torch.from_numpy(train.images), labels, len(classes), params.extractor, device, progress.update
    )
    share = accuracy(model, torch.from_numpy(test.images), held_out, device)
    task = "rotation" if labels is None else "labels"
    config = {
        **record(prepared(params)),
        "extractor": params.extractor.model_dump(),
        "task": task,
        "classes": list(classes),
        "channels": train.images.shape[1],
    }
    save(Path("models/extractor.safetensors"), model.state_dict(), config)
    files.write_json(Path("reports/extractor.json"), {"task": task, "accuracy": round(share, 4)})
    say("extractor", f"{share:.1%} of held-out images right ({task})")


def prepared(params: Params) -> dict[str, Any]:
    """Return the params that made the images what they are; limits and mirrors do not."""
    return {
        "image_size": params.data.image_size,
        "channels": params.data.channels,
        "fit": params.data.fit,
        "test_fraction": params.data.test_fraction,
        "seed": params.data.seed,
        "near_duplicates": params.data.near_duplicates,
    }


if __name__ == "__main__":
    run("extractor", main)
