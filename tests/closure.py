"""What a source file of `gan/` imports, and what that imports: the files a stage depends on.

DVC does not follow imports, so each stage names its source files in dvc.yaml itself.
`python -m tests.closure` prints what it has to name.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import yaml

NOT_A_DEP = {"params.py"}  # DVC tracks its values as params


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` of an attribute chain, else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def imported(path: Path, root: Path) -> set[str]:
    """Return every dotted name the file imports, wherever in it; `from a import b` gives a and a.b."""
    package = path.relative_to(root).parent.parts
    names: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def _files(name: str, root: Path) -> Iterator[Path]:
    """Yield the file of a module, and the `__init__.py` of each package on the way to it."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:end])
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path.is_file():
                yield path


def _empty(path: Path) -> bool:
    """Say whether a file holds nothing but a docstring."""
    return all(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in parse(path).body
    )


def _named_data(path: Path, package: Path) -> Iterator[Path]:
    """Yield files of the package that are no source and whose name stands in the file (a template)."""
    texts = {
        node.value
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    yield from (data for data in data_files(package) if any(text.endswith(data.name) for text in texts))


def data_files(package: Path) -> list[Path]:
    """Return the files of a package that are no source."""
    kept = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return sorted(path for path in kept if path.suffix != ".py" and not path.name.startswith("."))


def closure(path: Path, root: Path, package: str = "gan") -> set[str]:
    """Return the files of the package that ``path`` needs, itself included, relative to the root."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        if file.suffix == ".py":
            names = {name for name in imported(file, root) if name.split(".")[0] == package}
            waiting += [other for name in names for other in _files(name, root)]
            waiting += _files(".".join(file.relative_to(root).with_suffix("").parts), root)
            waiting += _named_data(file, root / package)
    needed = (file for file in found if not (file.name == "__init__.py" and _empty(file)))
    skipped = {root / package / name for name in NOT_A_DEP}
    return {file.relative_to(root).as_posix() for file in needed if file not in skipped}


def _expanded(dep: str, root: Path) -> set[str]:
    """Return the files of a dep that is a folder of data files (templates), else the dep itself."""
    folder = root / dep
    if not folder.is_dir() or any(folder.rglob("*.py")):
        return {dep}
    return {path.relative_to(root).as_posix() for path in data_files(folder)}


def differences(root: Path, package: str = "gan") -> list[str]:
    """Compare each stage's deps in dvc.yaml with what it imports; one line for each fault."""
    faults = []
    for name, stage in yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items():
        path = root / package / "stages" / f"{name}.py"
        if not path.is_file():
            faults.append(f"stage {name}: there is no {path.relative_to(root)}")
            continue
        deps = [dep for dep in stage.get("deps", []) if dep.startswith(f"{package}/")]
        listed = {file for dep in deps for file in _expanded(dep, root)}
        needed = closure(path, root, package)
        faults += [f"stage {name}: deps lack {file}, which it imports" for file in sorted(needed - listed)]
        faults += [
            f"stage {name}: deps name {file}, which it does not import" for file in sorted(listed - needed)
        ]
    return faults


def main() -> None:
    """Print the source files of each stage as dvc.yaml has to name them."""
    root = Path(__file__).resolve().parent.parent
    for name in yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]:
        path = root / "gan" / "stages" / f"{name}.py"
        print(f"  {name}:")
        if path.is_file():
            print("".join(f"      - {file}\n" for file in sorted(closure(path, root))), end="")


if __name__ == "__main__":
    main()
