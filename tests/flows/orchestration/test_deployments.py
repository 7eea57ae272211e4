"""prefect.yaml as it is served: what it says, and what is wrong with it in one line."""

from pathlib import Path

import pytest

from flows.orchestration import deployments
from gan.errors import UserError
from tests.conftest import ROOT


def test_ours() -> None:
    by_name = {f"{item.flow_name}/{item.name}": item for item in deployments.read(ROOT)}
    assert set(by_name) == {
        "retrain/weekly",
        "reproduce/monthly",
        "sweep/by-hand",
        "promote/by-hand",
        "rollback/by-hand",
    }
    weekly = by_name["retrain/weekly"]
    assert weekly.schedules is not None and weekly.schedules[0].schedule.timezone == "UTC"  # type: ignore[union-attr]
    assert weekly.parameters["refresh_data"] is True
    assert weekly.concurrency_limit == 1
    assert by_name["reproduce/monthly"].parameters["revision"] == "champion"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("deployments: [{name: a, entrypoint: flows/retrain.py:nonesuch}]", "there is no nonesuch in it"),
        (
            "deployments: [{name: a, entrypoint: flows/push.py:main}]",
            "no flow; there are those of retrain",
        ),
        ("deployments: [{name: a, entrypoint: /etc/x.py:y}]", "deployment 1: entrypoint"),
        ("deployments: [{name: a, entrypoint: flows/retrain.py:retrain, cron: x}]", "deployment 1: cron"),
        (
            "deployments: [{name: a, entrypoint: flows/retrain.py:retrain, schedules: [{timezone: UTC}]}]",
            "a schedule has a cron or an interval",
        ),
        (
            "deployments: [{name: a, entrypoint: flows/retrain.py:retrain, schedules: [{cron: every day}]}]",
            "deployment 1",
        ),
        ("deployments: 3", "not a list of deployments"),
        ("a: [", "not a list of deployments"),
    ],
)
def test_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "prefect.yaml").write_text(text)
    with pytest.raises(UserError, match=r"prefect\.yaml") as error:
        deployments.read(tmp_path)
    assert message in str(error.value)
    (tmp_path / "prefect.yaml").unlink()
    with pytest.raises(UserError, match="no such file"):
        deployments.read(tmp_path)
