"""Stage extractor: train the feature extractor that select and evaluate look through."""

from functools import partial

import torch

from gan import devices, files, paths
from gan import params as parameters
from gan.data.arrays import read_arrays
from gan.extractor.classifier import Extractor
from gan.extractor.classifier_training import ROTATIONS, accuracy, train_extractor
from gan.networks.footprint import of_classifier, refuse_what_cannot_fit
from gan.networks.model_file import save
from gan.networks.model_record import record
from gan.runtime import machine
from gan.runtime.forecast import Forecast
from gan.stage import Progress, run, say


def main() -> None:
    """Train on the training half, state the accuracy on the held-out half, write the model."""
    params = parameters.load()
    device = devices.prepare(params.train.device, params.train.threads)
    train, test = (read_arrays(path) for path in (paths.TRAIN_SET, paths.TEST_SET))
    classes = train.classes or ROTATIONS
    labels = None if train.labels is None else torch.from_numpy(train.labels)
    held_out = None if labels is None or test.labels is None else torch.from_numpy(test.labels)
    channels, size = train.images.shape[1:3]
    least = partial(of_classifier, partial(Extractor, channels, len(classes), 0.0, 1.0), size, channels)
    batch = min(params.extractor.batch_size, len(train.images))
    refuse_what_cannot_fit("extractor.batch_size", batch, least, devices.free_bytes(device))
    forecast = Forecast("extractor", *devices.meters(device))
    progress = Progress("extractor", params.extractor.steps, "step", forecast=forecast)
    model = train_extractor(
        torch.from_numpy(train.images), labels, len(classes), params.extractor, device, progress.update
    )
    share = accuracy(model, torch.from_numpy(test.images), held_out, device)
    task = "rotation" if labels is None else "labels"
    peculiar = machine.peculiar(devices.accelerator(device), "float32", {"unpinned": train.unpinned})
    config = {
        **record(params.data.of_images, peculiar),
        "extractor": params.extractor.model_dump(),
        "task": task,
        "classes": list(classes),
        "channels": train.images.shape[1],
    }
    save(paths.EXTRACTOR, model.state_dict(), config)
    files.write_json(paths.EXTRACTOR_RESULT, {"task": task, "accuracy": round(share, 4)})
    say("extractor", f"{share:.1%} of held-out images right ({task})")


if __name__ == "__main__":
    run("extractor", main)
