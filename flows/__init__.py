"""When it runs: Prefect flows over DVC and git. Free of torch."""

import os

# Nothing phones home: neither this process (Prefect reads these when it is imported) nor what it starts.
QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
os.environ.update(QUIET)
# As [tool.prefect] in pyproject.toml has it: how often a run tells that it lives (see flows.automations),
# and how often a question to a server that is away is asked again.
os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "30")
os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "8")
