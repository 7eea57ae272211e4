"""Every command of `ganflow`: its module, and the function that adds its options."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flows.front_door import flow_options, record_options
from gan import command_options
from gan.command_options import Check, Parser, parse


@dataclass(frozen=True)
class Command:
    """A module whose `main` takes the parsed arguments, and what adds its options to a parser."""

    module: str
    options: Callable[[Parser], Check | None]

    def summary(self) -> str:
        """Return what it does, in one line."""
        return (self.options.__doc__ or "").splitlines()[0]


COMMANDS = {
    "run": Command("flows.pipeline", flow_options.run),
    "retrain": Command("flows.retrain", flow_options.retrain),
    "promote": Command("flows.promote", flow_options.promote),
    "sweep": Command("flows.sweep", flow_options.sweep),
    "serve": Command("flows.serve", flow_options.serve),
    "history": Command("flows.history", record_options.history),
    "reproduce": Command("flows.reproduce", record_options.reproduce),
    "verify": Command("flows.verify", record_options.verify),
    "evaluate": Command("flows.models.evaluate", record_options.evaluate),
    "publish": Command("flows.models.publish", record_options.publish),
    "push": Command("flows.push", record_options.push),
    "watch": Command("flows.pages.watch", record_options.watch),
    "page": Command("flows.page", record_options.page),
    "clean": Command("flows.clean", record_options.clean),
    "automations": Command("flows.automations", flow_options.automations),
    "sample": Command("gan.sample", command_options.sample),
    "export": Command("gan.export.__main__", command_options.export),
    "provenance": Command("gan.provenance.__main__", command_options.provenance),
}


def arguments(name: str, argv: Sequence[str] | None = None, program: str | None = None) -> Namespace:
    """Parse the arguments of a command, those of this process by default.

    ``program``: what was typed to call the command; by default `python -m` and its module.
    """
    command = COMMANDS[name]
    return parse(command.options, program or f"python -m {command.module}", argv)
