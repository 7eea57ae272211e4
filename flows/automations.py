"""Prefect automations: runs whose process is gone are called Crashed; failed gates and runs notify.

`python -m flows.automations --notify ADDRESS` has a server post each failed gate and run to a webhook.
"""

from argparse import Namespace
from datetime import timedelta
from urllib.parse import urlsplit

from prefect.automations import Automation
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import CallWebhook, ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture

from flows.front_door import command_table
from flows.front_door.flow_options import LEAST_SILENT, SILENT
from flows.orchestration.server import configured
from flows.system.exit_status import ending
from gan.errors import UserError
from gan.urls import redacted

BEAT = "prefect.flow-run.heartbeat"
ENDS = [f"prefect.flow-run.{name}" for name in ("Completed", "Skipped", "Failed", "Cancelled", "Crashed")]
BLOCK = "ganflow-notify"
NOTIFIED = {"ganflow.gate.refused": "a refused model", "ganflow.run.failed": "a failed run"}
BODY = '{"text": {{ event.payload.message | tojson }}, "event": {{ event.event | tojson }}}'


def crash_silent_runs(seconds: float = SILENT) -> None:
    """Have the server call a run Crashed when its heartbeat stops: its process was killed, or its machine.

    Raises UserError for too few seconds.
    """
    if not seconds >= LEAST_SILENT:
        raise UserError(
            f"--silent {seconds:g}: at least {LEAST_SILENT}: a run tells every 30 s that it lives"
        )
    trigger = EventTrigger(
        after={BEAT},
        expect={BEAT, *ENDS},
        match={"prefect.resource.id": "prefect.flow-run.*"},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=seconds),
    )
    message = f"no sign of life for {seconds:g} s: its process was killed, or its machine"
    action = ChangeFlowRunState(state=StateType.CRASHED, message=message)
    _ensure(Automation(name="ganflow: silent runs are crashed", trigger=trigger, actions=[action]))


def notify(address: str) -> None:
    """Have the server post to a webhook what failed, and why. Raises UserError for a bad address."""
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
        raise UserError(f"--notify {redacted(address)}: not an address (https://…)")
    block = Webhook(method="POST", url=address)
    saved = block.save(BLOCK, overwrite=True)
    for event, what in NOTIFIED.items():
        trigger = EventTrigger(
            expect={event},
            match={"prefect.resource.id": "ganflow.model.*"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        )
        action = CallWebhook(block_document_id=saved, payload=BODY)
        _ensure(Automation(name=f"ganflow: {what} notifies", trigger=trigger, actions=[action]))


def _ensure(wanted: Automation) -> None:
    """Create an automation, or bring the one of this name up to date."""
    with get_client(sync_client=True) as client:
        existing = client.read_automations_by_name(name=wanted.name)
    if not existing:
        wanted.create()
        return
    if existing[0].model_dump(exclude={"id"}) != wanted.model_dump(exclude={"id"}):
        wanted.id = existing[0].id
        wanted.update()


def main(arguments: Namespace | None = None) -> None:
    """Set up the automations from the command line."""
    asked = arguments or command_table.arguments("automations")
    with ending():
        configured()
        crash_silent_runs(asked.silent)
        if asked.notify:
            notify(asked.notify)
    print("the server knows them; `prefect automation ls` lists them")


if __name__ == "__main__":
    main()
