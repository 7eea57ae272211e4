"""The one exception that users are meant to see."""


class UserError(Exception):
    """Something the user can mend; its text is one line: what, where, which value, what to do.

    Stages print it after ``error:`` and exit with status 1; nothing else about it is shown.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class Unreachable(UserError):
    """A server did not answer, or not to the end: the same again may go well later."""
