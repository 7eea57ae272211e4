import signal
import subprocess
import sys

import pytest

from tests.stages.project import ENVIRONMENT

AS_STAGE = 'from gan.stage import run\nrun("prepare", body, lock=False, stage=False)\n'
AS_COMMAND = "from flows.system.exit_status import ending\nwith ending():\n    body()\n"


@pytest.mark.parametrize(
    ("caller", "number", "status"),
    [
        (AS_STAGE, signal.SIGINT, 130),
        (AS_STAGE, signal.SIGTERM, 130),
        (AS_COMMAND, signal.SIGINT, 130),
        (AS_COMMAND, signal.SIGTERM, 143),
    ],
)
def test_the_status_is_the_same_inside_code_compiled_from_text(tmp_path, caller, number, status):
    text = f"import os; os.kill(os.getpid(), {int(number)})\nwhile True:\n    pass"
    (tmp_path / "midway.py").write_text(f"def body():\n    exec({text!r})\n\n{caller}")
    ended = subprocess.run(
        [sys.executable, "-m", "midway"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == status and "Traceback" not in ended.stderr
