"""The packages that a stage computes with, held to the pins of packages.yaml: another version, other bits.

Which packages a stage has is read off its sources: what they import, wherever in them. dvc.yaml names
the same ones, so that another pin makes the stage run again. Standard library only: flows and tests ask
this module too.
"""

import ast
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gan.errors import UserError
from gan.paths import PINS

UNPINNED = "GANFLOW_UNPINNED"  # set to 1: go on with other versions than those pinned
ROOT = Path(__file__).resolve().parents[2]
# Packages that are not called as they are imported; otherwise `_` becomes `-`.
NAMES = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}
# What computes below a package that sources import. Not torch's CUDA libraries, which it pins itself, nor
# what fsspec and torchvision fetch with: that carries bytes.
BELOW = {
    "jinja2": ("markupsafe",),  # escapes
    "matplotlib": ("numpy",),
    "pandas": ("numpy", "pyarrow"),  # text columns and parquet
    "scipy": ("numpy",),
}
# DVC tracks params by value (pydantic and pyyaml give these, or an error, whatever their version), and what
# a stage reads and writes stands in dvc.yaml itself.
NOT_FOLLOWED = {"params", "paths", "yaml12"}

Differing = dict[str, tuple[str, str]]  # by package: the pin, and what is installed
RAN: dict[str, dict[str, str]] = {}  # this stage's packages that are not as pinned, as `hold` found them


def hold(stage: str) -> str:
    """Hold the packages that this program's sources import to their pins.

    Raises UserError naming each that is another one. With GANFLOW_UNPINNED=1 returns that line instead, and
    remembers it for the outs to say. A package that is not installed is left to the import that needs it.
    """
    RAN.clear()
    program = Path(getattr(sys.modules["__main__"], "__file__", None) or "").resolve()
    ours = program.is_relative_to(ROOT / "gan") and PINS.is_file()
    other = differing() if ours else {}
    if other:  # only then is it worth a tenth of a second to see which ones are this stage's
        required = needed(program)
        other = {name: pair for name, pair in other.items() if name in required}
    if not other:
        return ""
    if os.environ.get(UNPINNED) != "1":
        raise UserError(
            f"{describe(other)}; `make setup` installs what is pinned, or {UNPINNED}=1 goes on with these, "
            "and the outs say so"
        )
    RAN[stage] = {name: here for name, (_, here) in other.items()}
    return f"unpinned: {describe(other)}"


def describe(other: Differing) -> str:
    """Name packages that are not as pinned, with both versions."""
    return "; ".join(f"{name}: {pin} pinned, {here} installed" for name, (pin, here) in other.items())


def differing(path: Path = PINS) -> Differing:
    """Return the installed packages that are not as a file of pins says. Raises UserError.

    The build's label (`+cu130`) does not count: it names the same sources.
    """
    from importlib import metadata  # costs a worker process of prepare more than all else here

    different = {}
    for name, pin in read(path).items():
        try:
            here = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if here.partition("+")[0] != pin.partition("+")[0]:
            different[name] = (pin, here)
    return different


def read(path: Path) -> dict[str, str]:
    """Return the pins of a file: version by package. Raises UserError where it holds something else."""
    from gan.yaml12 import parse_yaml  # costs as well

    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except Exception as error:  # whatever a YAML parser says of text that is none
        raise UserError(
            f"{path}: not a file of pins ({error}); `make pins` writes it from the requirements"
        ) from None
    pins = content if isinstance(content, dict) else {}
    wrong = [name for name, version in pins.items() if not isinstance(version, str)]
    if wrong or not pins:
        what = f"{wrong[0]}: {pins[wrong[0]]!r}: not a version in quotes" if wrong else "holds no pins"
        raise UserError(f"{path}: {what}; `make pins` writes it from the requirements")
    return pins


def needed(path: Path, root: Path = ROOT) -> set[str]:
    """Return the packages that a source file imports, and the files of `gan` that it imports, and so on."""
    packages = {
        NAMES.get(name, name.replace("_", "-"))
        for file in sources(path, root)
        for name in (full.partition(".")[0] for full in imported(file, root))
        if name not in sys.stdlib_module_names and name != "gan"
    }
    return packages | {below for name in packages for below in BELOW.get(name, ())}


def sources(path: Path, root: Path = ROOT, package: str = "gan") -> set[Path]:
    """Return the source files of the package that ``path`` needs, itself included."""
    files: set[Path] = set()
    waiting = [path, *module_files(".".join(path.relative_to(root).with_suffix("").parts), root)]
    while waiting:
        file = waiting.pop()
        if file in files or file.relative_to(root / package).parts[0].removesuffix(".py") in NOT_FOLLOWED:
            continue
        files.add(file)
        names = {name for name in imported(file, root) if name.partition(".")[0] == package}
        waiting += [other for name in names for other in module_files(name, root)]
    return files


def imported(path: Path, root: Path) -> set[str]:
    """Return every dotted name the file imports, wherever in it; `from a import b` gives a and a.b.

    A module that is only looked for counts too: `find_spec("sklearn")` is where the digits come from.
    """
    parents = path.relative_to(root).parent.parts
    names: set[str] = set()
    for node in _executed(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(parents[: len(parents) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if called in ("find_spec", "import_module") and node.args:
                names.update(_text(node.args[0]))
    return names


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those that only a type checker reads."""
    yield node
    for child in ast.iter_child_nodes(node):
        checked = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        for statement in child.orelse if checked and isinstance(child, ast.If) else [child]:
            yield from _executed(statement)


def _text(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def module_files(name: str, root: Path) -> Iterator[Path]:
    """Yield the file of a module, and the `__init__.py` of each package on the way to it."""
    names = name.split(".")
    for end in range(1, len(names) + 1):
        base = root.joinpath(*names[:end])
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                yield path


def unpinned_packages(earlier: Iterable[Mapping[str, Mapping[str, str]]] = ()) -> dict[str, dict[str, str]]:
    """Return which packages were not as pinned, by stage: in this one, and in what it read."""
    by_stage = {stage: dict(other) for record in (*earlier, RAN) for stage, other in record.items()}
    return dict(sorted(by_stage.items()))
