"""The same bits on any x86-64 processor with AVX2 and in any number of threads (docs/reproducing.md).

Other processors are emulated by qemu-user. Every run is a process of its own: what a library settles
when it is first used, by processor or by number of threads, stays hidden in one that has computed.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.data.image_files import encoded
from tests.missing_programs import skip_without
from tests.portable_steps import CASES, STAGES, TINY, outs
from tests.prepare.decoding.test_colour import PROFILES, cmyk_profile, grey_profile
from tests.stages.project import ENVIRONMENT, Project

pytestmark = pytest.mark.timeout(3600)
PROCESSORS = ("Haswell", "EPYC", "Skylake-Client")
THREADS = (1, 2, 3, 8)
AT_ONCE = 2  # each with one thread: as many as CI has cores
LIMIT = 1500  # seconds of one emulated run

Hashes = dict[str, dict[str, str]]


def run_on(processor: str | None, folder: Path, *arguments: str) -> str:
    """Run tests.portable_steps natively or emulated; return its stdout."""
    emulator = [] if processor is None else ["qemu-x86_64", "-cpu", processor]
    command = [*emulator, sys.executable, "-m", "tests.portable_steps", *arguments]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT)
    messages = [line for line in done.stderr.splitlines() if "TCG doesn't support" not in line]
    assert done.returncode == 0, "\n".join(messages)
    return done.stdout


def trained(threads: int, processor: str | None = None) -> Hashes:
    lines = run_on(processor, ROOT, "steps", str(threads), *CASES).splitlines()
    return {name: checksums for line in lines for name, checksums in json.loads(line).items()}


def made(folder: Path, processor: str | None = None) -> dict[str, str]:
    """Run every stage in a new folder; return the sha256 of each file in their outs."""
    project = Project(folder, train__threads=1 if processor else 3, **TINY)
    if processor is None:  # as users do
        project.run(*STAGES, env=ENVIRONMENT)
    else:
        run_on(processor, folder, "stages", *STAGES)
    return outs(folder)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future]]:
    """The emulated runs, begun: a pipeline by processor, and the steps of training as `steps`."""
    if os.uname().machine != "x86_64" or shutil.which("qemu-x86_64") is None:
        skip_without("qemu-user")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs: dict[str, Future] = {"steps": pool.submit(trained, 1, "Haswell")}
        for name in PROCESSORS:
            runs[name] = pool.submit(made, tmp_path_factory.mktemp(name), name)
        yield runs
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def native_steps() -> Hashes:
    return trained(THREADS[0])


@pytest.fixture(scope="module")
def native_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return made(tmp_path_factory.mktemp("native"))


@pytest.mark.slow
@pytest.mark.parametrize("threads", THREADS[1:])
def test_training_has_the_same_bits_in_any_number_of_threads(threads: int, native_steps: Hashes) -> None:
    assert trained(threads) == native_steps


@pytest.mark.slow
@pytest.mark.parametrize("processor", PROCESSORS)
def test_colours_have_the_same_bits_on(processor: str, tmp_path: Path) -> None:
    if os.uname().machine != "x86_64" or shutil.which("qemu-x86_64") is None:
        skip_without("qemu-user")
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    image = Image.fromarray(noise).resize((64, 64))  # resized again when it is prepared
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "HEIF", "AVIF"):
        for name, profile in PROFILES.items():
            (tmp_path / f"{name}.{kind}").write_bytes(encoded(image, kind, icc_profile=profile))
    press = encoded(image.convert("CMYK"), "JPEG", icc_profile=cmyk_profile())
    (tmp_path / "press.JPEG").write_bytes(press)
    (tmp_path / "grey.PNG").write_bytes(encoded(image.convert("L"), icc_profile=grey_profile(1.8)))
    native = run_on(None, ROOT, "colours", str(tmp_path))
    assert native.count(" to sRGB") == 26
    assert run_on(processor, ROOT, "colours", str(tmp_path)) == native


@pytest.mark.emulated
@pytest.mark.parametrize("processor", PROCESSORS)
def test_every_out_is_the_same_on(
    processor: str, native_files: dict[str, str], emulated: dict[str, Future]
) -> None:
    assert {Path(name).parts[0] for name in native_files} == {"data", "models", "reports", "samples"}
    assert emulated[processor].result() == native_files


@pytest.mark.emulated
def test_training_has_the_same_bits_as_on_a_haswell(
    native_steps: Hashes, emulated: dict[str, Future]
) -> None:
    assert emulated["steps"].result() == native_steps
