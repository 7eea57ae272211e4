"""The commands: all listed, --help quick, typing mistakes answered in a line."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.front_door.command_table import COMMANDS
from tests.conftest import ROOT

HEAVY = {"prefect", "dvc", "torch", "numpy", "pandas", "pydantic"}
PROGRAM = f"""\
import runpy, sys
try:
    runpy.run_module("flows", run_name="__main__", alter_sys=True)
finally:
    print("heavy:", *sorted({HEAVY} & set(sys.modules)), file=sys.stderr)
"""


def front_door(*arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Run `python -m flows`; its last line on standard error is what heavy packages it imported."""
    program = f"import sys; sys.argv[1:] = {list(arguments)}\n{PROGRAM}"
    return subprocess.run([sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True)


def test_every_command_is_listed_with_a_line() -> None:
    done = front_door()
    listed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  "))
    assert list(listed) == list(COMMANDS)
    wanted = "run retrain promote sweep serve history reproduce verify push page automations"
    assert {*wanted.split(), "sample", "export", "provenance"} <= set(listed)
    assert all(text == COMMANDS[name].summary() for name, text in listed.items())
    assert done.returncode == 0 and done.stderr == "heavy:\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_answers_at_once(name: str) -> None:
    done = front_door(name, "--help")
    assert done.returncode == 0 and COMMANDS[name].summary() in done.stdout
    assert done.stderr == "heavy:\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_option_is_one_line_and_quick(name: str) -> None:
    done = front_door(name, "--no-such-option")
    assert done.returncode == 2 and done.stdout == ""
    message, heavy = done.stderr.splitlines()
    assert message.startswith("error: ") and f"`python -m flows {name}" in message and heavy == "heavy:"


@pytest.mark.parametrize(
    ("typed", "meant"), [("retrian", "retrain"), ("histroy", "history"), ("Sample", "sample"), ("qqq", None)]
)
def test_a_typo_proposes_the_nearest_command(typed: str, meant: str | None) -> None:
    done = front_door(typed)
    assert done.returncode == 2 and done.stdout == ""
    message = done.stderr.splitlines()[0]
    assert message.startswith(f"error: {typed}: ")
    advice = message.rpartition("`python -m flows")[2].partition("`")[0].split()
    assert advice == ([meant] if meant else [])


@pytest.mark.parametrize("name", COMMANDS)
def test_each_module_is_a_command_by_itself(name: str) -> None:
    module = COMMANDS[name].module
    path = ROOT / f"{module.replace('.', '/')}.py"
    text = path.read_text()
    assert "def main(arguments: Namespace | None = None)" in text.replace("argparse.", "")
    assert text.endswith('if __name__ == "__main__":\n    main()\n')
