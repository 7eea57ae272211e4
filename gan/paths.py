"""Files and folders that stages, flows or tests share, each named once, from the root of a checkout.

dvc.yaml has those that a stage reads and writes: another path here is another dep or out there.
"""

from pathlib import Path

PARAMS = Path("params.yaml")
GRAPH = Path("dvc.yaml")
LOCK = Path("dvc.lock")
REQUIREMENTS = Path("requirements.txt")
PINS = Path("packages.yaml")

SOURCE_STATE = Path("data/source.json")  # git tracks it: which images dvc.lock was made of
RAW = Path("data/raw")
INVENTORY = Path("data/raw/inventory.json")
PREPARED = Path("data/prepared")
TRAIN_SET = Path("data/prepared/train.safetensors")
TEST_SET = Path("data/prepared/test.safetensors")
MANIFEST = Path("data/prepared/manifest.parquet")

FINAL = Path("models/final.safetensors")
SNAPSHOTS = Path("models/snapshots")
EXTRACTOR = Path("models/extractor.safetensors")
GENERATOR = Path("models/generator.safetensors")

SAMPLES = Path("samples/samples.safetensors")
PNGS = Path("samples/png")
GRID = Path("samples/grid.png")
INTERPOLATION = Path("samples/interpolation.png")
ANIMATION = Path("samples/interpolation.webp")

VALIDATION = Path("reports/validation")
VALIDATION_PAGE = Path("reports/validation/index.html")
VALIDATION_RESULT = Path("reports/validation/result.json")
VALIDATION_METRICS = Path("reports/validation/metrics.json")
VALIDATION_PASSED = Path("reports/validation/passed")
TRAINING = Path("reports/training.csv")
FIXED_LATENTS = Path("reports/fixed_latents")
EXTRACTOR_RESULT = Path("reports/extractor.json")
SELECTION = Path("reports/selection.csv")
METRICS = Path("reports/metrics.json")  # the figures that one decides by, for DVC
EVALUATION = Path("reports/evaluation.json")  # all of them, with intervals and floors
CLASSES = Path("reports/classes.csv")
NEIGHBOURS = Path("reports/neighbours")
REPORT = Path("reports/index.html")
MODEL_CARD = Path("reports/model_card.md")
