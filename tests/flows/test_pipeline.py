"""The flow as its own process, over real DVC repositories and a real Prefect server."""

import json
import re
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.judge.stage_outcomes import RAN
from flows.orchestration.whole_pipeline import pipeline
from flows.system.processes import Commands
from flows.system.variables import environment
from flows.tasks.stage_tasks import reproduce_stage
from gan.errors import UserError
from tests.flows.harness import GRAPH, Server, Toy, outcomes, wait_for

Make = Callable[..., Toy]


def ask(server: Server, what: str, body: object) -> Any:
    """Ask the server's API."""
    request = urllib.request.Request(
        f"{server.url}/{what}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def run_named_in(output: str, server: Server) -> dict[str, Any]:
    match = re.search(r"Beginning flow run '(.+?)'", output)
    assert match
    runs = ask(server, "flow_runs/filter", {"flow_runs": {"name": {"any_": [match[1]]}}})
    assert len(runs) == 1
    return dict(runs[0])


def rows(run: dict[str, Any], server: Server) -> dict[str, str]:
    """Return the outcomes in the table artifact of a run."""
    of_run = {"flow_run_id": {"any_": [run["id"]]}, "key": {"any_": ["stages"]}}
    artifacts = ask(server, "artifacts/filter", {"artifacts": of_run})
    assert len(artifacts) == 1
    return {row["stage"]: row["outcome"] for row in json.loads(artifacts[0]["data"])}


def same(outcome: str) -> dict[str, str]:
    return dict.fromkeys(GRAPH, outcome)


def test_as_dvc_repro_and_cached(make: Make, server: Server) -> None:
    toy, other = make("flow"), make("dvc")
    other.dvc("repro")
    api = {"PREFECT_API_URL": server.url}
    # The branch that DVC takes first ends last.
    first = toy.flow(TOY_TRAIN="sleep 2.5", TOY_EXTRACTOR="sleep 2", **api)
    assert outcomes(first) == same("ran")
    assert "report   reports/index.html" in first
    assert "samples/grid.png" not in first
    assert toy.lock() == other.lock()
    (begin, end), (begin2, end2) = toy.times("train"), toy.times("extractor")
    assert max(begin, begin2) < min(end, end2), "the two branches did not overlap"

    started = time.monotonic()
    assert outcomes(toy.flow(**api)) == same("unchanged")
    assert time.monotonic() - started < 30
    toy.forget()
    assert outcomes(toy.flow(**api)) == same("restored")
    assert toy.lock() == other.lock()
    assert not (toy.root / "times").exists()  # no stage ran

    run = run_named_in(first, server)
    assert run["state_type"] == "COMPLETED"
    assert rows(run, server) == same("ran")

    def messages() -> list[str]:
        logs = ask(server, "logs/filter", {"logs": {"flow_run_id": {"any_": [run["id"]]}}, "limit": 200})
        return [entry["message"] for entry in logs]

    wait_for(lambda: {f"{stage}: at work" for stage in GRAPH} <= set(messages()), 20)


def test_a_failing_stage(make: Make, server: Server) -> None:
    toy = make()
    output = toy.flow(
        status=1, TOY_EXTRACTOR="fail extractor: no room; make some", PREFECT_API_URL=server.url
    )
    expected = same("ran") | {"extractor": "failed", "select": "not run", "report": "not run"}
    assert outcomes(output) == expected
    last = output.strip().splitlines()[-1]
    assert last == "error: stage extractor failed: extractor: no room; make some (so not run: select, report)"
    assert "Traceback" not in output
    run = run_named_in(output, server)
    assert run["state_type"] == "FAILED"
    assert rows(run, server) == expected


@pytest.mark.slow
def test_stage_and_force(make: Make, server: Server) -> None:
    toy, api = make(), {"PREFECT_API_URL": server.url}
    assert outcomes(toy.flow("--stage", "train", **api)) == {"prepare": "ran", "train": "ran"}
    assert outcomes(toy.flow("--stage", "train", "--force", **api)) == {"prepare": "ran", "train": "ran"}


def test_wrong_use_is_one_line(make: Make) -> None:
    toy = make()
    with pytest.raises(UserError, match=r"no stage nonesuch in dvc\.yaml; there are prepare"):
        pipeline.fn(str(toy.root), ["nonesuch"])
    (toy.root / "dvc.yaml").unlink()
    with pytest.raises(UserError, match=r"no dvc\.yaml here; run from the root"):
        pipeline.fn(str(toy.root))


@pytest.mark.slow
def test_second_flow_is_refused_and_sigterm_leaves_nothing(make: Make, server: Server) -> None:
    toy, api = make(), {"PREFECT_API_URL": server.url}
    toy.forks = False
    first = toy.start(TOY_EXTRACTOR="spawn", **api)
    toy.pid("extractor")
    second = toy.flow(status=1, **api)
    assert f"process {first.pid} is already at it here" in second.strip().splitlines()[-1]
    assert "Traceback" not in second

    recorded = ("prepare", "train", "aside")  # all that does not wait for the extractor
    wait_for(lambda: all(f"\n  {stage}:\n" in toy.lock().decode() for stage in recorded), 60)
    first.terminate()
    output, _ = first.communicate(timeout=40)
    assert first.returncode == 128 + signal.SIGTERM
    assert toy.processes() == []
    assert "flows/system/processes.py" not in output  # no traceback of ours
    run = run_named_in(output, server)
    assert run["state_type"] in ("CRASHED", "CANCELLED")

    done = outcomes(toy.flow(**api))
    assert done == same("unchanged") | {"extractor": "ran", "select": "ran", "report": "ran"}


AUDIT = """
import ipaddress, os, sys

def local(host):
    try:
        return ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host in ("localhost", None, "")

def hook(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]
    else:
        return
    with open(os.environ["AUDIT"], "a") as file:
        file.write(f"{'local' if local(host) else 'OUT'} {host} {sys.argv}\\n")

sys.addaudithook(hook)
"""


@pytest.fixture
def audited(make: Make, tmp_path: Path) -> tuple[Toy, dict[str, str], Path]:
    """A toy without a server, the environment that notes every connection, and where they are noted."""
    folder = tmp_path / "audit"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(AUDIT)
    toy = make()
    toy.forks = False
    return toy, {"PYTHONPATH": str(folder), "AUDIT": str(folder / "log")}, folder / "log"


@pytest.mark.slow
@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGKILL], []])
def test_a_temporary_server(audited: tuple[Toy, dict[str, str], Path], signals: list[signal.Signals]) -> None:
    """Nothing goes out, nothing is left whatever ends the flow, and the next flow completes."""
    toy, extra, log = audited
    for number in signals:
        end_by(number, toy, extra)
    output = toy.flow(**extra)
    assert outcomes(output)["report"] == "ran"
    calls = log.read_text().splitlines()
    assert any(call.startswith("local 127.0.0.1") for call in calls)
    assert not [call for call in calls if call.startswith("OUT")]
    assert (toy.home / "prefect.db").exists()  # what a server of one's own will show


def end_by(number: signal.Signals, toy: Toy, extra: dict[str, str]) -> None:
    """End a flow by a signal in the middle of a stage; see that nothing is left."""
    flow = toy.start(TOY_EXTRACTOR="spawn", **extra)
    toy.pid("extractor")
    assert any("uvicorn" in process.cmdline() for process in toy.processes())
    flow.send_signal(number)
    flow.communicate(timeout=40)
    assert flow.returncode == (-number if number is signal.SIGKILL else 128 + number)
    wait_for(lambda: not toy.processes(), 20)


def test_a_task_works_without_prefect(make: Make) -> None:
    toy = make()
    result = reproduce_stage.fn(Commands(toy.root, environment(toy.root)), toy.root, "prepare")
    assert (result.stage, result.outcome) == ("prepare", RAN)
    assert (toy.root / "out" / "prepare").exists()
