"""prefect.yaml's deployments for `flows.serve`; for workers `prefect deploy --all` reads the file itself."""

from importlib import import_module
from pathlib import Path
from typing import Any, Self

import yaml
from prefect import schedules
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gan.errors import UserError
from gan.yaml12 import parse_yaml

FILE = "prefect.yaml"
FLOWS = ("retrain", "reproduce", "sweep", "promote")  # modules that a deployment may name


class Schedule(BaseModel):
    """A schedule: a cron line, or an interval in seconds."""

    model_config = ConfigDict(extra="forbid")

    cron: str | None = None
    interval: float | None = Field(default=None, gt=0)
    timezone: str = "UTC"
    active: bool = True

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.cron is None) == (self.interval is None):
            raise ValueError("a schedule has a cron or an interval")
        return self

    def prepare(self) -> schedules.Schedule:
        """Return it as a Prefect schedule."""
        if self.cron is not None:
            return schedules.Cron(self.cron, timezone=self.timezone, active=self.active)
        return schedules.Interval(self.interval or 0, timezone=self.timezone, active=self.active)


class Deployment(BaseModel):
    """One deployment in prefect.yaml, with the fields that `serve` uses."""

    model_config = ConfigDict(extra="forbid")

    name: str
    entrypoint: str = Field(pattern=r"^flows/\w+\.py:\w+$")
    description: str | None = None
    parameters: dict[str, Any] = {}
    schedules: list[Schedule] = []
    concurrency_limit: ConcurrencyLimitConfig | None = None
    tags: list[str] = []
    work_pool: dict[str, Any] | None = None  # for workers

    def prepare(self) -> RunnerDeployment:
        """Return it as a Prefect deployment. Raises UserError if there is no such flow."""
        module, _, function = self.entrypoint.removeprefix("flows/").partition(".py:")
        if module not in FLOWS:
            raise UserError(f"{FILE}: {self.entrypoint}: no flow; there are those of {', '.join(FLOWS)}")
        flow = getattr(import_module(f"flows.{module}"), function, None)
        if flow is None:
            raise UserError(f"{FILE}: {self.entrypoint}: there is no {function} in it")
        deployment: RunnerDeployment = flow.to_deployment(
            self.name,
            schedules=[item.prepare() for item in self.schedules],
            parameters=self.parameters,
            concurrency_limit=self.concurrency_limit,
            description=self.description,
            tags=self.tags,
        )
        return deployment


def read(folder: Path) -> list[RunnerDeployment]:
    """Read prefect.yaml. Raises UserError that names the entry and what is wrong with it."""
    try:
        content = parse_yaml((folder / FILE).read_text(encoding="utf-8"))
        entries = list(content["deployments"])
    except FileNotFoundError:
        raise UserError(f"{folder / FILE}: no such file; run from the root of the repository") from None
    except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{FILE}: not a list of deployments: {error}") from None
    deployments = []
    for number, entry in enumerate(entries, 1):
        try:
            deployments.append(Deployment.model_validate(entry).prepare())
        except (ValidationError, ValueError) as error:
            lines = str(error).splitlines()
            raise UserError(f"{FILE}: deployment {number}: {' '.join(lines[1:3] or lines)}") from None
    return deployments
