"""Time to quality: train for so many seconds, score the samples, add a row for each seed to a CSV file.

    python -m benchmarks.speedrun --seconds 300 --seeds 3

Run it after `dvc repro extractor`: it reads data/prepared and models/extractor.safetensors. A trial
of some steps says how many fit into the time. Training does so many, whatever they then take, so that
`--steps` repeats a row. A page with the table and the pictures stands beside the CSV file.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import machine, options
from benchmarks.quality import FIGURES, Reference, Scorer, append, spread
from benchmarks.trainings import advance, changed, revision, training
from gan import devices, files
from gan import params as parameters
from gan.evaluation.published_features import load_reference
from gan.params import Evaluate, Params
from gan.stage import run, say

TRIAL = 30  # steps
HEAD = """# Time to quality

How good are the samples after so many seconds of training? To add a row for your machine, run

```
make repro RECIPE=speedrun
python -m benchmarks.speedrun --seconds 300 --seeds 3
```

It trains `recipes/speedrun.yaml` (another one by `--recipe`, other settings by `--set`) with three
seeds, for so many seconds each, and scores as many samples as there are held-out images. On a CPU
the seconds are the processor's, of one thread: other programs change them little. On a GPU they are
the clock's. Reading data, compilation and scoring do not count. Distances are in the features of
the pipeline's extractor, which `dvc repro extractor` makes, so compare rows of one extractor only;
lower is better. With Inception's weights (`--weights`), FID is a column too.

± is the standard deviation over seeds. `speedrun.csv` has a row for each seed, with its steps, the
settings changed and the revision; `--steps` at that revision repeats a row.

"""


def main() -> None:
    """Train with each seed, add the rows, write the table."""
    asked = _options()
    recipe = changed(parameters.load(asked.recipe), asked.set)
    device = devices.prepare(asked.device, 1 if asked.device == "cpu" else "auto", recipe.train.precision)
    scorer = Scorer(asked.prepared, asked.extractor, device, recipe)
    say("speedrun", f"real images in the samples' place: {scorer.floor}")
    inception = _inception(scorer, asked, device)
    for number in range(asked.seeds):
        row = measure(scorer, recipe, number, asked, device, inception)
        append(asked.out, row)
        say("speedrun", "  ".join(f"{key} {value}" for key, value in row.items()))
    files.write_text(asked.out.with_suffix(".md"), page(pd.read_csv(asked.out), asked.out))


def measure(
    scorer: Scorer,
    recipe: Params,
    number: int,
    asked: argparse.Namespace,
    device: str,
    inception: Reference | None,
) -> dict[str, Any]:
    """Train once and return its row."""
    with tempfile.TemporaryDirectory() as folder:
        steps = asked.steps
        if steps is None:
            trial = training(recipe, scorer.data, Path(folder) / "trial", device, number)
            advance(trial, TRIAL)  # caches, and on a GPU the graph
            steps = max(int(asked.seconds / advance(trial, TRIAL) * TRIAL), 1)
        loop = training(recipe, scorer.data, Path(folder) / "run", device, number, steps)
        seconds = advance(loop, steps)
        picture(asked.out, asked.name).parent.mkdir(parents=True, exist_ok=True)
        scores = scorer.judge(loop, picture(asked.out, asked.name), inception)
    return {
        "name": asked.name,
        "seed": number,
        "device": machine.describe(device) + (", one thread" if device == "cpu" else ""),
        "seconds": round(seconds, 1),
        "steps": steps,
        "images": loop.step * loop.per_step,
        "parameters": sum(p.numel() for p in loop.trainer.generator.parameters()),
        **{key: value for key, value in scores.items() if key != "images"},
        "revision": revision(),
        "changes": " ".join(asked.set),
    }


def picture(out: Path, name: str) -> Path:
    """Return the file of seed 0's samples, in a folder named like the CSV file ``out``."""
    return out.with_suffix("") / f"{name}.png"


def page(rows: pd.DataFrame, out: Path) -> str:
    """Return the page of ``out``: a table of means ± standard deviations over seeds, then the pictures."""
    pictures = [
        f"{name}, seed 0:\n\n![{name}]({picture(out, name).relative_to(out.parent).as_posix()})\n"
        for name in rows["name"].drop_duplicates()
        if picture(out, name).is_file()
    ]
    return HEAD + "\n".join([table(rows), *pictures])


def table(rows: pd.DataFrame) -> str:
    """Return a Markdown table: a row for each name and device."""
    figures = [name for name in (*FIGURES, "fid") if name in rows]
    lines = [f"| name | device | seconds | images | parameters | {' | '.join(figures)} | n |"]
    lines += ["|---" * (len(figures) + 6) + "|"]
    for (name, device), group in rows.groupby(["name", "device"], sort=False):
        cells = [str(name), str(device), f"{group['seconds'].mean():.0f}", f"{group['images'].mean():,.0f}"]
        cells += [f"{group['parameters'].iloc[0]:,}"]
        cells += [spread(group[figure]) for figure in figures]
        lines.append(f"| {' | '.join(cells)} | {len(group)} |")
    return "\n".join(lines) + "\n"


def _inception(scorer: Scorer, asked: argparse.Namespace, device: str) -> Reference | None:
    """Return Inception, where its weights are given, and the held-out images as it sees them."""
    if asked.weights is None:
        return None
    chosen = {"features": "inception", "weights": asked.weights, "weights_sha256": asked.weights_sha256}
    evaluate = {"max_images": 10_000, "nearest_k": 3, "seed": 0}
    network = load_reference(Evaluate.model_validate({**chosen, **evaluate}), device)
    return Reference(network, scorer.held_out_images, device)


def _options() -> argparse.Namespace:
    parser = options.Parser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/speedrun.yaml"))
    parser.add_argument("--name", help="of the row; default: the recipe's")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--seconds", type=options.seconds, default=300.0, help="of training")
    parser.add_argument("--steps", type=options.count, help="so many steps in place of --seconds")
    parser.add_argument("--seeds", type=options.count, default=3)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--prepared", type=Path, default=Path("data/prepared"))
    parser.add_argument("--extractor", type=Path, default=Path("models/extractor.safetensors"))
    parser.add_argument("--weights", help="of Inception, a path or an address: FID, too")
    parser.add_argument("--weights-sha256")
    parser.add_argument("--out", type=Path, default=Path("docs/speedrun.csv"), help="written or added to")
    asked = parser.parse_args()
    asked.name = asked.name or asked.recipe.stem
    return asked


if __name__ == "__main__":
    run("speedrun", main, lock=False, stage=False)
