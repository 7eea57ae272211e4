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
from gan.params import parse

FILE = "prefect.yaml"
FLOWS = ("retrain", "reproduce", "sweep", "promote")  # modules that a deployment may name


class Schedule(BaseModel):
    """When: in cron's words, or every so many seconds."""

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
        """Return it as Prefect knows it."""
        if self.cron is not None:
            return schedules.Cron(self.cron, timezone=self.timezone, active=self.active)
        return schedules.Interval(self.interval or 0, timezone=self.timezone, active=self.active)


class Deployment(BaseModel):
    """One entry of prefect.yaml, as far as it is served."""

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
        """Return it as Prefect serves it. Raises UserError where there is no such flow."""
        module, _, function = self.entrypoint.removeprefix("flows/").partition(".py:")
        if module not in FLOWS:
            raise UserError(f"{FILE}: {self.entrypoint}: no flow; there are those of {', '.join(FLOWS)}")
        flow = getattr(import_module(f"flows.{module}"), function, None)
        if flow is None:
            raise UserError(f"{FILE}: {self.entrypoint}: there is no {function} in it")
        found: RunnerDeployment = flow.to_deployment(
            self.name,
            schedules=[item.prepare() for item in self.schedules],
            parameters=self.parameters,
            concurrency_limit=self.concurrency_limit,
            description=self.description,
            tags=self.tags,
        )
        return found


def read(folder: Path) -> list[RunnerDeployment]:
    """Read prefect.yaml. Raises UserError that names the entry and what is wrong with it."""
    try:
        content = parse((folder / FILE).read_text(encoding="utf-8"))
        entries = list(content["deployments"])
    except FileNotFoundError:
        raise UserError(f"{folder / FILE}: no such file; run from the root of the repository") from None
    except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{FILE}: not a list of deployments: {error}") from None
    found = []
    for number, entry in enumerate(entries, 1):
        try:
            found.append(Deployment.model_validate(entry).prepare())
        except (ValidationError, ValueError) as error:
            lines = str(error).splitlines()
            raise UserError(f"{FILE}: deployment {number}: {' '.join(lines[1:3] or lines)}") from None
    return found
