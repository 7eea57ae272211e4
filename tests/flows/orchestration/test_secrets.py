"""What may be secret in a param reaches the stages, and nothing that is stored or shown."""

import json
import logging

from fastapi.encoders import jsonable_encoder

from flows.orchestration.secrets import hidden, hidden_values, plain, plain_values
from flows.system.logs import OneLine
from flows.tasks import search_space
from gan.errors import UserError

ADDRESS = "https://user:s3cr3t@host/x?token=s3cr3t#sig=s3cr3t"


def test_prefect_stores_asterisks_and_the_stage_gets_the_value() -> None:
    values = {"data.source": ADDRESS, "train.seed": 1}
    stored = json.dumps(jsonable_encoder(hidden_values(values)))
    assert "s3cr3t" not in stored
    assert json.loads(stored)["train.seed"] == 1
    assert plain_values(hidden_values(values)) == values
    assert hidden("/photos") == "/photos"
    assert plain(hidden(ADDRESS)) == ADDRESS


def test_a_sweeps_plans() -> None:
    (plan,) = search_space.grid([f"data.source='{ADDRESS}'"], "sweep")
    assert "s3cr3t" not in plan.describe() + plan.name + json.dumps(jsonable_encoder([plan]))
    assert plain_values(plan.values) == {"data.source": ADDRESS}


def test_errors_and_logs() -> None:
    assert "s3cr3t" not in str(UserError(f"no answer from {ADDRESS}"))
    record = logging.LogRecord("flows", logging.INFO, __file__, 1, "from %s", (ADDRESS,), None)
    OneLine().filter(record)
    assert record.getMessage() == "from https://host/x"
