"""What a source file of `gan/` imports, and what that imports: the files and packages a stage depends on.

DVC does not follow imports, so dvc.yaml names for each stage its folders, single source files and packages.
`python -m tests.closure` prints the files that they have to cover, and the packages.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from gan import paths
from gan.runtime.packages import imported, sources
from gan.runtime.packages import needed as packages_of

__all__ = ["closure", "data_files", "differences", "dotted", "imported", "listed_packages", "parse"]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` of an attribute chain, else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def _empty(path: Path) -> bool:
    """Say whether a file holds nothing but a docstring."""
    return all(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in parse(path).body
    )


def _named_data(path: Path, data: list[Path]) -> Iterator[Path]:
    """Yield those of the data files whose name stands in the source file (a template)."""
    texts = {
        node.value
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    yield from (each for each in data if any(text.endswith(each.name) for text in texts))


def data_files(package: Path) -> list[Path]:
    """Return the files of a package that are no source."""
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return sorted(path for path in files if path.suffix != ".py" and not path.name.startswith("."))


def closure(path: Path, root: Path, package: str = "gan") -> set[str]:
    """Return the files of the package that ``path`` needs, itself included, relative to the root."""
    files = sources(path, root, package)
    data = data_files(root / package)
    named = {each for file in files for each in _named_data(file, data)}
    needed = {file for file in files if not (file.name == "__init__.py" and _empty(file))}
    return {file.relative_to(root).as_posix() for file in needed | named}


def listed_packages(stage: Mapping[str, Any]) -> list[str]:
    """Return the packages that a stage of dvc.yaml names under `packages.yaml`."""
    params = [param for param in stage.get("params", []) if isinstance(param, dict)]
    return [name for param in params for name in param.get(str(paths.PINS), [])]


def _files_of(dep: str, root: Path) -> set[str]:
    """Return the files of a dep that is a folder, else the dep itself."""
    folder = root / dep
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(root).as_posix() for path in files} if folder.is_dir() else {dep}


def differences(root: Path, package: str = "gan") -> list[str]:
    """Compare each stage's deps in dvc.yaml with what it imports; one line for each fault.

    A folder may hold more than the stage imports, but not nothing of that.
    """
    faults = []
    for name, stage in yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items():
        path = root / package / "stages" / f"{name}.py"
        if not path.is_file():
            faults.append(f"stage {name}: there is no {path.relative_to(root)}")
            continue
        deps = {dep: _files_of(dep, root) for dep in stage.get("deps", []) if dep.startswith(f"{package}/")}
        needed = closure(path, root, package)
        lacking = needed.difference(*deps.values())
        faults += [f"stage {name}: deps lack {file}, which it imports" for file in sorted(lacking)]
        faults += [
            f"stage {name}: deps name {dep}, which it does not import"
            for dep, files in deps.items()
            if not files & needed
        ]
        faults += [
            f"stage {name}: deps name {dep} twice, in {folder} too"
            for dep in deps
            for folder in deps
            if dep.startswith(f"{folder}/")
        ]
        named, used = set(listed_packages(stage)), packages_of(path, root)
        faults += [f"stage {name}: packages lack {each}, which it imports" for each in sorted(used - named)]
        faults += [
            f"stage {name}: packages name {each}, which it does not import" for each in sorted(named - used)
        ]
    return faults


def main() -> None:
    """Print the source files of each stage, which its deps in dvc.yaml have to cover, and its packages."""
    root = Path(__file__).resolve().parent.parent
    for name in yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]:
        path = root / "gan" / "stages" / f"{name}.py"
        print(f"  {name}:")
        if path.is_file():
            print("".join(f"      - {file}\n" for file in sorted(closure(path, root))), end="")
            print(f"      {paths.PINS}: [{', '.join(sorted(packages_of(path, root)))}]")


if __name__ == "__main__":
    main()
