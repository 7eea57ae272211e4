"""What `ganflow history` takes for 1,000 experiments, cold and warm: `python -m benchmarks.long_history`."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conftest import ROOT
from tests.flows.experiment import git

COUNT = 1000


def long_history(folder: Path, count: int) -> None:
    """Make a repository in which each commit recorded another dvc.lock like ours, half of them branches."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=folder, check=True)
    (folder / "dvc.yaml").write_text("stages: {}\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "empty")
    lock = (ROOT / "dvc.lock").read_text(encoding="utf-8")
    metrics = (ROOT / "reports" / "evaluation.json").read_text(encoding="utf-8")
    grid = (ROOT / "samples" / "grid.png").read_bytes()
    pins = (ROOT / "requirements.txt").read_bytes()
    stream, before = bytearray(), b"refs/heads/main^0"
    for number in range(1, count + 1):
        files = {
            "dvc.lock": lock.replace("seed: 0", f"seed: {number}").encode(),
            "reports/evaluation.json": metrics.encode(),
            "samples/grid.png": grid + number.to_bytes(4, "big"),
            "requirements.txt": pins,
        }
        ref = b"refs/heads/main" if number % 2 else b"refs/heads/retrain/%d" % number
        stream += b"commit %s\nmark :%d\ncommitter t <t@example.com> %d +0000\n" % (
            ref,
            number,
            1_700_000_000 + number,
        )
        stream += b"data 9\nrun %05d\nfrom %s\n" % (number, before)
        for name, content in files.items():
            stream += b"M 644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content)
        before = b":%d" % number if number % 2 else before
    given = subprocess.run(["git", "fast-import", "--quiet"], cwd=folder, input=bytes(stream), check=False)
    assert given.returncode == 0


def history(folder: Path, *arguments: str) -> tuple[str, float]:
    """Run the command; return what it printed and its seconds of CPU, those of git included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "flows.history", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Read a thousand experiments, read them again, and print what each took."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "long"
        long_history(folder, COUNT)
        first, cold = history(folder, "--json")
        second, warm = history(folder, "--json")
        if second != first or len(json.loads(first)) != COUNT:
            sys.exit("error: the second reading is not the first")
        page = folder / ".runs" / "history" / "index.html"
        size = page.stat().st_size / 1e6
        print(f"{COUNT} experiments: {cold:.1f} s of CPU, then {warm:.1f} s; a page of {size:.1f} MB")


if __name__ == "__main__":
    main()
