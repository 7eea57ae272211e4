"""params.yaml: what is accepted, what is refused, and that DVC reads the same."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gan import params
from gan.errors import UserError
from gan.yaml12 import parse_yaml
from tests.conftest import DEFAULTS

TEXT = DEFAULTS.read_text()


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text)
    return path


def changed(key: str, value: str) -> str:
    """The default file with one `section.key` set to another value."""
    section, name = key.split(".")
    text, count = re.subn(rf"(?ms)(^{section}:.*?^  {name}: )\S+", rf"\g<1>{value}", TEXT, count=1)
    assert count == 1
    return text


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("data.image_size", "33", ["data.image_size", "33", "32, 64 or 128"]),
        ("data.image_size", "'32'", ["data.image_size", "'32'"]),
        ("data.channels", "2", ["data.channels", "2"]),
        ("data.test_fraction", "1.0", ["data.test_fraction", "1.0"]),
        ("train.learning_rate", ".nan", ["train.learning_rate", "nan", "finite"]),
        ("train.learning_rate", ".inf", ["train.learning_rate", "inf"]),
        ("train.learning_rate", "-1", ["train.learning_rate", "-1", "greater than 0"]),
        ("train.learning_rate", "'2e-4'", ["train.learning_rate", "'2e-4'", "number"]),
        ("train.batch_size", "64.0", ["train.batch_size", "64.0", "integer"]),
        ("train.batch_size", "true", ["train.batch_size", "True"]),
        ("train.seed", "1_000", ["train.seed", "'1_000'"]),  # ruamel takes it, YAML 1.2 does not
        ("train.seed", "on", ["train.seed", "'on'"]),
        ("train.device", "tpu", ["train.device", "'tpu'"]),
        ("train.devices", "3", ["train.devices", "3", "batch_size 32"]),
        ("train.devices", "64", ["train.devices", "64", "2 or more"]),
        ("train.objective", "hing", ["train.objective", "'hing'", "'hinge'"]),
        ("train.objective", "wasserstein", ["train.objective", "wasserstein", "train.gradient_penalty"]),
        ("train.objective", "hinge\n  label_smoothing: 0.1 #", ["label_smoothing", "twice"]),
        ("train.precision", "fp16", ["train.precision", "'fp16'", "bf16"]),
        ("train.compile", "1", ["train.compile", "1", "auto"]),
        ("train.on_divergence", "ignore", ["train.on_divergence", "'ignore'", "rollback"]),
        ("train.on_collapse", "ignore", ["train.on_collapse", "'ignore'", "rollback"]),
        ("train.patience", "6", ["train.patience", "6", "train.snapshots"]),
        ("train.accumulate", "3", ["train.accumulate", "3", "batch_size 32"]),
        ("train.accumulate", "2", ["train.accumulate", "2", "dcgan", "residual"]),
        (
            "train.augment_share",
            "{from: 0, to: 2, over: 5}",
            ["train.augment_share", "2", "less than or equal to 1"],
        ),
        ("train.learning_rate", "{from: 0, to: 1, over: 5}", ["train.learning_rate", "0", "greater than 0"]),
        ("train.learning_rate", "{from: 1, to: 1}", ["train.learning_rate.over", "missing"]),
        ("train.learning_rate", "{from: 1, to: 1, over: 0}", ["train.learning_rate.over", "0"]),
        ("train.beta2", "{from: 0.9, to: 1.0, over: 5}", ["train.beta2", "1.0", "less than 1"]),
        ("train.augment_target", "1.5", ["train.augment_target", "1.5"]),
        ("network.conditional", "yes", ["network.conditional", "'yes'", "auto"]),
        ("sample.truncation", "0", ["sample.truncation", "0"]),
        ("network.depth", "5", ["network.depth", "5", "image_size 32", "at most 4"]),
        ("network.depth", "deep", ["network.depth", "'deep'", "auto"]),
        ("network.kernel_size", "3", ["network.kernel_size", "3"]),
        ("sample.grid_size", "32\n  x: 1", ["sample.x", "unknown key"]),
        ("sample.count", "50", ["sample.grid_size", "10 x 10", "50"]),
    ],
)
def test_a_bad_value_is_refused_by_name_in_one_line(
    tmp_path: Path, key: str, value: str, expected: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        params.load(written(tmp_path, changed(key, value)))
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in ["params.yaml", *expected]), message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TEXT.replace("beta1:", "beta_1:"), ["train.beta1: missing", "train.beta_1: unknown key"]),
        (TEXT.replace("\ntrain:", "\ntrian:"), ["train: missing", "trian: unknown key"]),
        (TEXT.replace("  beta1:", "  beta2: 0.9\n  beta1:"), ["beta2", "twice"]),
        (
            TEXT.replace("label_smoothing: 0.0", "label_smoothing: 0.1").replace(
                "objective: relativistic", "objective: hinge"
            ),
            ["train.label_smoothing: 0.1", "hinge", "non_saturating"],
        ),
        (
            TEXT.replace("r1_gamma: 0.0", "r1_gamma: 1.0").replace("compile: auto", "compile: true"),
            ["train.compile: True", "second derivatives"],
        ),
        ("", ["no sections"]),
        ("- 1\n", ["no sections"]),
        ("data: [1", ["not valid YAML"]),
        (
            TEXT.replace("  batch_size: 32 ", "  batch_size: !!python/object:os.system {} #"),
            ["not valid YAML"],
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, text: str, expected: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        params.load(written(tmp_path, text))
    assert all(word in str(caught.value) for word in expected), str(caught.value)


def test_an_absent_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        params.load(tmp_path / "params.yaml")


def test_numbers_are_numbers_and_sections_cannot_be_changed(tmp_path: Path) -> None:
    loaded = params.load(written(tmp_path, changed("train.learning_rate", "2e-4")))
    assert loaded.train.learning_rate == 0.0002
    with pytest.raises(ValueError, match="frozen"):
        loaded.train.learning_rate = 1.0  # type: ignore[misc]


SCALARS = """2e-4 010 on 12:30 0x1f 0o17 1. .5 1e5 +3 -0 ~ null true yes 2026-11-23 .inf -.inf '1'
1.5e+3 [1,2e-4,on]"""


@pytest.mark.parametrize("text", SCALARS.split())
def test_scalars_are_read_as_dvc_reads_them(text: str) -> None:
    ours = parse_yaml(f"a: {text}\n")["a"]
    theirs = YAML(typ="safe", pure=True).load(f"a: {text}\n")["a"]
    if text == "2026-11-23":  # ruamel adds dates, which YAML 1.2's core schema does not have
        assert ours == text
    else:
        assert (ours, type(ours)) == (theirs, type(theirs))


def test_features_with_weights_of_their_own_need_none(tmp_path: Path) -> None:
    loaded = params.load(written(tmp_path, changed("evaluate.features", "efficientnet")))
    assert (loaded.evaluate.features, loaded.evaluate.weights) == ("efficientnet", None)
    with pytest.raises(UserError, match=r"evaluate\.features: inception: needs its weights"):
        params.load(written(tmp_path, changed("evaluate.features", "inception")))


def test_the_classes_of_the_validation_are_written_as_labels_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, changed("validate.classes", '["cafe\u0301"]'))
    assert params.load(path).validation.classes == ("caf\u00e9",)
