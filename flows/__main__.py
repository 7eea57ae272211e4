"""The front door: `ganflow COMMAND`, or `python -m flows COMMAND`. Without a command, the list of them."""

import difflib
import sys
from importlib import import_module
from pathlib import Path

from flows.front_door.command_table import COMMANDS, arguments


def main() -> None:
    """List the commands, or run the one that was asked for."""
    program = "ganflow" if Path(sys.argv[0]).stem == "ganflow" else "python -m flows"
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help", "help"):
        print(listing(program))
        return
    name, *rest = sys.argv[1:]
    if name not in COMMANDS:
        print(unknown(name, program), file=sys.stderr)
        sys.exit(2)
    asked = arguments(name, rest, f"{program} {name}")
    import_module(COMMANDS[name].module).main(asked)


def listing(program: str) -> str:
    """Return every command with what it does."""
    wide = max(map(len, COMMANDS))
    lines = [f"  {name:<{wide}}  {command.summary()}" for name, command in COMMANDS.items()]
    return "\n".join(
        [f"usage: {program} COMMAND …", "", *lines, "", f"`{program} COMMAND --help` explains one"]
    )


def unknown(name: str, program: str) -> str:
    """Return what to say of a command that is not there: the nearest one, where one is near."""
    near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    advice = f"did you mean `{program} {near[0]}`?" if near else f"`{program}` lists them"
    return f"error: {name}: no such command; {advice}"


if __name__ == "__main__":
    main()
