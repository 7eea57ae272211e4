"""Where flows write: the log of the Prefect run, or the standard library's where there is none."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import MissingContextError

from flows.commands import Stopped
from gan.errors import UserError


def logger() -> "logging.Logger | logging.LoggerAdapter[logging.Logger]":
    """Return the run's logger, or this package's outside of a run."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("flows")


def in_run() -> bool:
    """Say whether a Prefect flow or task run surrounds the caller."""
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


@contextmanager
def unharmed(what: str) -> Iterator[None]:
    """Log, and do not raise, what goes wrong in the block: showing something is no reason to fail.

    The server may be down or restarting, and the training goes on.
    """
    try:
        yield
    except Exception as error:  # whatever the client raises
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        logger().warning("%s could not be shown (%s)", what, said)


@contextmanager
def overheard(*names: str) -> Iterator[list[str]]:
    """Keep what these loggers and those below say of errors out of the log; yield it, a line each."""
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
    """Log what the user can mend, or has stopped, in one line, without Prefect's traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the record where it is about a UserError; always let it pass."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, OSError) and error.filename is not None:
            record.msg, record.args, record.exc_info = f"{error.filename}: {error.strerror}", (), None
        elif isinstance(error, (UserError, Stopped)):
            record.msg, record.args, record.exc_info = str(error), (), None
        return True


def shorten() -> None:
    """Have Prefect's run logs report a UserError in one line."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        found = logging.getLogger(name)
        if not any(isinstance(filter_, OneLine) for filter_ in found.filters):
            found.addFilter(OneLine())
    logging.getLogger("EventsWorker").setLevel(logging.ERROR)  # it warns of each item left at the exit
