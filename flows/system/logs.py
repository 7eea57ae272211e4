"""The log of flows: that of the Prefect run, or the standard library's outside a run."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from flows.system import exit_status
from flows.system.processes import Stopped
from gan.errors import UserError
from gan.urls import redacted

_FAILED = "Finished in state Failed("
temporary_server = False  # it ends with the command, so nobody can open an address of it


def logger() -> "logging.Logger | logging.LoggerAdapter[logging.Logger]":
    """Return the run's logger, or this package's outside of a run."""
    if in_run():
        from prefect import get_run_logger

        return get_run_logger()
    return logging.getLogger("flows")


def in_run() -> bool:
    """Say whether a Prefect flow or task run surrounds the caller.

    Prefect, which takes seconds to import, is not imported for it: without it there is no run.
    """
    context = sys.modules.get("prefect.context")
    return context is not None and any(
        kind.get() is not None for kind in (context.FlowRunContext, context.TaskRunContext)
    )


@contextmanager
def unharmed(what: str) -> Iterator[None]:
    """Log errors in the block instead of raising them: a display problem must not fail a run.

    The server may be down or restarting while the training goes on.
    """
    try:
        yield
    except Exception as error:  # whatever the client raises
        message = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        logger().warning("%s could not be shown (%s)", what, message)


@contextmanager
def overheard(*names: str) -> Iterator[list[str]]:
    """Keep the errors of these loggers and their children out of the log; yield them, one line each."""
    loggers, handler = [logging.getLogger(name) for name in names], _Lines()
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
    try:
        yield handler.lines
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        self.lines.append(" ".join(f"{record.getMessage()}{f': {cause}' if cause else ''}".split()))


class OneLine(logging.Filter):
    """Log user errors and interruptions once, in one line, without Prefect's traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the record where it is about a UserError; drop what only repeats another one."""
        if "@" in (message := record.getMessage()) or "://" in message:
            record.msg, record.args = redacted(message), ()
        text = str(record.msg)
        if text.startswith(("Running hook %r", "Hook %r finished", "Running hook '", "Hook '")):
            return False
        if "View at" in text and temporary_server:
            return False
        if _FAILED in record.getMessage():  # the reason was logged just before
            record.msg, record.args = "Finished in state Failed", ()
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, OSError) and error.filename is not None:
            record.msg, record.args, record.exc_info = f"{error.filename}: {error.strerror}", (), None
        elif isinstance(error, (UserError, Stopped)):
            record.msg, record.args, record.exc_info = redacted(error), (), None
        else:
            return True
        record.logged_at_the_end = True
        return True


class NotTwice(logging.Filter):
    """Keep off a terminal what a command's last line says anyway; Prefect's log has it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let pass what is not logged at the end."""
        return not (exit_status.says_errors and getattr(record, "told_at_the_end", False))


def shorten() -> None:
    """Have Prefect's run logs report a UserError once, in one line."""
    _add(logging.getLogger("prefect.flow_runs"), OneLine)
    _add(logging.getLogger("prefect.task_runs"), OneLine)
    for handler in logging.getLogger("prefect").handlers:
        _add(handler, NotTwice)
    logging.getLogger("EventsWorker").setLevel(logging.ERROR)  # it warns of each item left at the exit
    # Prefect's own, about its own code.
    warnings.filterwarnings("ignore", category=FutureWarning, module="prefect")
    warnings.filterwarnings("ignore", message="coroutine .* was never awaited", category=RuntimeWarning)


def _add(to: logging.Filterer, kind: type[logging.Filter]) -> None:
    if not any(isinstance(known, kind) for known in to.filters):
        to.addFilter(kind())
