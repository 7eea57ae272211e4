"""dvc.yaml's graph as DVC reads it: the only place that imports dvc."""

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.lock import make_lock
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import get_active_graph, plan_repro
from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK
from dvc.stage import PipelineStage
from dvc.utils.serialize import dumps_yaml, modify_yaml, parse_yaml_for_update

from flows import logs
from flows.environment import site_cache
from gan.errors import UserError
from gan.files import write_text

_one_look = threading.Lock()  # dvc.repo.Repo is not thread-safe


def plan(root: Path, targets: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return the stages to reproduce, in the order `dvc repro` takes, each with its upstream ones.

    ``targets`` are stages to reproduce with all they need; empty: the whole of dvc.yaml.
    Raises UserError for an unknown target and for what DVC says against the repository.
    """
    with _look(root) as repo:
        graph = get_active_graph(repo.index.graph)
        wanted = _collect(repo, targets)
        steps = plan_repro(graph, wanted) if wanted else []
        return {_name(repo, stage): [_name(repo, up) for up in graph.successors(stage)] for stage in steps}


def mend(root: Path) -> bool:
    """Remove DVC's record of who reads and writes what, if a killed process left it half-written.

    DVC writes it in place and refuses to run beside a broken one. Under DVC's own lock on the
    record nobody is writing it, so what is broken then will stay so.
    """
    with _look(root) as repo:
        path = Path(repo.tmp_dir, RWLOCK_FILE)
        hardlink = repo.config["core"].get("hardlink_lock", False)
        with make_lock(str(path.with_name(RWLOCK_LOCK)), tmp_dir=repo.tmp_dir, hardlink_lock=hardlink):
            try:
                json.loads(path.read_bytes())
            except FileNotFoundError:
                return False
            except ValueError:
                path.unlink()
                return True
    return False


def changed(root: Path, name: str) -> bool:
    """Say whether `dvc repro` would run (or restore) the stage: some 0.1 s, against 1 s of a process."""
    with _look(root) as repo:
        return any(stage.changed() for stage in repo.index.stages if _name(repo, stage) == name)


def outputs(root: Path) -> dict[str, bool]:
    """Return the outs of all stages, relative to the root, and whether each is a metric."""
    with _look(root) as repo:
        outs = [out for stage in repo.index.stages for out in stage.outs]
        return {os.path.relpath(out.fs_path, repo.root_dir): bool(out.metric) for out in outs}


def left_to_git(root: Path) -> list[str]:
    """Return the outs that dvc.yaml leaves to git (`cache: false`)."""
    with _look(root) as repo:
        outs = [out for stage in repo.index.stages for out in stage.outs]
        return [os.path.relpath(out.fs_path, repo.root_dir) for out in outs if not out.use_cache]


def metrics(root: Path) -> list[str]:
    """Return the paths that dvc.yaml calls metrics."""
    return [path for path, metric in outputs(root).items() if metric]


def cache_settings(root: Path) -> dict[str, str]:
    """Return the settings by which another checkout shares this one's cache."""
    with _look(root) as repo:
        found = {"dir": os.fspath(Path(repo.cache.local_cache_dir).absolute())}
        for key in ("type", "shared"):
            if value := repo.config["cache"].get(key):
                found[key] = ",".join(value) if isinstance(value, list) else value
        return found


def cache_folder(root: Path) -> Path:
    """Return where DVC's cache is."""
    return Path(cache_settings(root)["dir"])


def fetch(
    root: Path, commit: str, stages: Sequence[str], cache: Path | None = None, remote: str | None = None
) -> str:
    """Bring what the remote has of the stages' outs, as recorded at a commit, into the cache.

    Returns what stood in the way, in one line; empty where nothing did. What the cache has already is
    not asked for. No remote is not an error: the cache may have all. ``cache``: a folder to use in place
    of the cache; ``remote``: another than the default one.
    """
    with logs.overheard("dvc", "dvc_data", "dvc_objects") as said:
        try:
            with _look(root, cache) as repo:
                repo.fetch(targets=list(stages), revs=[commit], workspace=False, remote=remote)
                return "" if repo.config["remote"] else "no DVC remote is configured"
        except UserError as error:
            return "; ".join([str(error), *said[:1]])
        except Exception as error:  # storage libraries raise whatever they like
            return " ".join(f"{type(error).__name__}: {error}".split())


def push(root: Path, commit: str, stages: Sequence[str], remote: str | None = None) -> tuple[int, str]:
    """Bring the stages' outs, as recorded at a commit, from the cache into the remote.

    Returns how many objects were moved, and what stood in the way, in one line.
    """
    with logs.overheard("dvc", "dvc_data", "dvc_objects") as said:
        try:
            with _look(root) as repo:
                if not repo.config["remote"]:
                    return 0, "no DVC remote is configured (`dvc remote add -d NAME URL`)"
                return repo.push(targets=list(stages), revs=[commit], workspace=False, remote=remote), ""
        except UserError as error:
            return 0, "; ".join([str(error), *said[:1]])
        except Exception as error:  # storage libraries raise whatever they like
            return 0, " ".join(f"{type(error).__name__}: {error}".split())


def has_remote(root: Path) -> bool:
    """Say whether a DVC remote is configured to push to."""
    with _look(root) as repo:
        return bool(repo.config["remote"]) and bool(repo.config["core"].get("remote"))


def set_params(path: Path, values: Mapping[str, Any]) -> None:
    """Change values of a params file by their full names (`train.seed`); comments stay.

    Raises UserError where the file has no such key.
    """
    with modify_yaml(str(path)) as content:
        for name, value in values.items():
            *sections, key = name.split(".")
            found = content
            for section in sections:
                found = found.get(section) if isinstance(found, dict) else None
            if not isinstance(found, dict) or key not in found:
                raise UserError(f"{path.name}: {name}: unknown key; correct its name")
            found[key] = value


def locked(root: Path) -> list[str]:
    """Return the stages that stand in dvc.lock, in its order."""
    path = root / "dvc.lock"
    if not path.exists():
        return []
    return list(_parse(path).get("stages", {}))


def order_lock(root: Path, before: Sequence[str], order: Sequence[str]) -> None:
    """Bring the entries of dvc.lock that are new since ``before`` into ``order``.

    Stages that run side by side add theirs as they end, `dvc repro` adds them in its own order.
    """
    found = locked(root)
    known = [name for name in before if name in found]
    new = [name for name in order if name in found and name not in known]
    wanted = [*known, *new, *(name for name in found if name not in known and name not in new)]
    if found == wanted:
        return
    path = root / "dvc.lock"
    with _look(root):
        content = _parse(path)
        stages = content["stages"]
        for name in wanted:
            stages[name] = stages.pop(name)
        write_text(path, dumps_yaml(content))


def _parse(path: Path) -> Any:
    try:
        return parse_yaml_for_update(path.read_text(encoding="utf-8"), str(path)) or {}
    except DvcException as error:
        raise UserError(f"{path}: {error}; mend it, or `git checkout dvc.lock`") from None


@contextmanager
def _look(root: Path, cache: Path | None = None) -> Iterator[Any]:
    """Open the repository and hold DVC's lock on it; with another cache, where one is named."""
    site = cache / "site" if cache else site_cache(root)
    config: dict[str, dict[str, str]] = {"core": {"site_cache_dir": str(site)}} if site else {}
    if cache:
        config["cache"] = {"dir": str(cache)}
    try:
        with _one_look, Repo(str(root), config=config, _wait_for_lock=True) as repo, lock_repo(repo):
            yield repo
    except DvcException as error:
        raise UserError(f"dvc: {error}") from error


def _name(repo: Any, stage: Any) -> str:
    """Return what `dvc repro` calls the stage in the root (`Stage.addressing` depends on the folder)."""
    path = os.path.relpath(stage.path, repo.root_dir)
    if not isinstance(stage, PipelineStage):
        return str(path)
    return str(stage.name) if path == "dvc.yaml" else f"{path}:{stage.name}"


def _collect(repo: Any, targets: Sequence[str]) -> list[Any]:
    stages = list(repo.index.stages)
    if not targets:
        return [stage for stage in stages if os.path.relpath(stage.path, repo.root_dir) == "dvc.yaml"]
    names = [_name(repo, stage) for stage in stages]
    if unknown := [target for target in targets if target not in names]:
        raise UserError(f"no stage {', '.join(unknown)} in dvc.yaml; there are {', '.join(names)}")
    return [stages[names.index(target)] for target in targets]
