"""dvc.yaml's graph as DVC reads it: the only place that imports dvc."""

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import DatabaseError
from typing import Any

from configobj import ConfigObj
from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.lock import make_lock
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import get_active_graph, plan_repro
from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK
from dvc.stage import PipelineStage
from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

from flows.system import disk_room, logs
from flows.system.variables import site_cache
from gan import paths
from gan.errors import UserError
from gan.files import naming, write_text

_one_look = threading.Lock()  # dvc.repo.Repo is not thread-safe


def plan(root: Path, targets: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return the stages to reproduce, in the order of `dvc repro`, each with its upstream stages.

    ``targets``: stages to reproduce, with their upstream stages; empty: all of dvc.yaml. Raises UserError
    for an unknown target, or if DVC cannot read the repository.
    """
    with _look(root) as repo:
        graph = get_active_graph(repo.index.graph)
        wanted = _collect(repo, targets)
        steps = plan_repro(graph, wanted) if wanted else []
        return {_name(repo, stage): [_name(repo, up) for up in graph.successors(stage)] for stage in steps}


def mend(root: Path) -> bool:
    """Remove DVC's record of who reads and writes what, if a killed process left it half-written.

    DVC writes the record in place, and refuses to run if it is broken. While this holds DVC's lock on the
    record, nobody writes it, so a broken one is not a write in progress.
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


def unchanged(root: Path, targets: Sequence[str] = ()) -> list[str]:
    """Return the stages of `plan` where `dvc repro` would run or restore none of them; else nothing."""
    names = list(plan(root, targets))
    with _look(root) as repo:
        stages = {_name(repo, stage): stage for stage in repo.index.stages}
        return [] if any(stages[name].changed() for name in names) else names


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


def figures(root: Path) -> list[str]:
    """Return the paths of figures: what dvc.yaml calls metrics, and the JSON files that it leaves to git."""
    metrics = [path for path, metric in outputs(root).items() if metric]
    return metrics + [path for path in left_to_git(root) if path.endswith(".json") and path not in metrics]


def cache_settings(root: Path) -> dict[str, str]:
    """Return the settings with which another checkout shares this one's cache."""
    with _look(root) as repo:
        settings = {"dir": os.fspath(Path(repo.cache.local_cache_dir).absolute())}
        for key in ("type", "shared"):
            if value := repo.config["cache"].get(key):
                settings[key] = ",".join(value) if isinstance(value, list) else value
        return settings


def configure(root: Path, settings: Mapping[str, Mapping[str, str]]) -> None:
    """Write settings to a checkout's .dvc/config.local by the library that DVC reads it with.

    A path may hold any character; `dvc config` itself writes ASCII alone.
    """
    path = root / ".dvc" / "config.local"
    content = ConfigObj(os.fspath(path), encoding="utf-8")
    for section, values in settings.items():
        content.setdefault(section, {}).update(values)
    with naming(path):
        content.write()


def cache_folder(root: Path) -> Path:
    """Return where DVC's cache is."""
    return Path(cache_settings(root)["dir"])


def fetch(
    root: Path, commit: str, stages: Sequence[str], cache: Path | None = None, remote: str | None = None
) -> str:
    """Fetch the stages' outs, as recorded at a commit, from the remote into the cache.

    Returns the error in one line, or an empty string. Objects in the cache are not requested again. A
    missing remote is no error, because the cache may have everything. ``cache``: a folder to use instead
    of the cache. ``remote``: instead of the default one.
    """
    with logs.overheard("dvc", "dvc_data", "dvc_objects") as messages:
        try:
            with _look(root, cache, any_revision=True) as repo:
                repo.fetch(targets=list(stages), revs=[commit], workspace=False, remote=remote)
                return "" if repo.config["remote"] else "no DVC remote is configured"
        except UserError as error:
            return "; ".join([str(error), *messages[:1]])
        except Exception as error:  # storage libraries raise whatever they like
            return " ".join(f"{type(error).__name__}: {error}".split())


def push(root: Path, commit: str, stages: Sequence[str], remote: str | None = None) -> tuple[int, str]:
    """Push the stages' outs, as recorded at a commit, from the cache to the remote.

    Returns the number of pushed objects, and the error in one line or an empty string.
    """
    with logs.overheard("dvc", "dvc_data", "dvc_objects") as messages:
        try:
            with _look(root, any_revision=True) as repo:
                if not repo.config["remote"]:
                    return 0, "no DVC remote is configured (`dvc remote add -d NAME URL`)"
                return repo.push(targets=list(stages), revs=[commit], workspace=False, remote=remote), ""
        except UserError as error:
            return 0, "; ".join([str(error), *messages[:1]])
        except Exception as error:  # storage libraries raise whatever they like
            return 0, " ".join(f"{type(error).__name__}: {error}".split())


def has_remote(root: Path) -> bool:
    """Say whether a DVC remote is configured to push to."""
    with _look(root) as repo:
        return bool(repo.config["remote"]) and bool(repo.config["core"].get("remote"))


def locked(root: Path) -> list[str]:
    """Return the stages in dvc.lock, in its order."""
    path = root / paths.LOCK
    if not path.exists():
        return []
    return list(_parse(path).get("stages", {}))


def order_lock(root: Path, before: Sequence[str], order: Sequence[str]) -> None:
    """Put the entries that are new in dvc.lock since ``before`` into ``order``.

    Stages that run in parallel add their entries as they end; `dvc repro` adds them in its own order.
    """
    current = locked(root)
    known = [name for name in before if name in current]
    new = [name for name in order if name in current and name not in known]
    wanted = [*known, *new, *(name for name in current if name not in known and name not in new)]
    if current == wanted:
        return
    path = root / paths.LOCK
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
def _look(root: Path, cache: Path | None = None, *, any_revision: bool = False) -> Iterator[Any]:
    """Open the repository and hold DVC's lock on it; ``cache`` replaces its cache.

    ``any_revision``: the checkout's remotes hold at other revisions, too. DVC reads the configuration of
    each, and an old one may know no remote, or one that moved.
    """
    site = cache / "site" if cache else site_cache(root)
    try:
        config: dict[str, Any] = {"core": {"site_cache_dir": str(site)} if site else {}}
        if cache:
            config["cache"] = {"dir": str(cache)}
        if any_revision:
            here = Config(str(root / ".dvc"))
            config["remote"] = here["remote"]
            config["core"] |= {key: value for key, value in here["core"].items() if key == "remote"}
        with _one_look, Repo(str(root), config=config, _wait_for_lock=True) as repo, lock_repo(repo):
            yield repo
    except DvcException as error:
        disk_room.refuse(root, f"{error} {error.__cause__}", "dvc")
        raise UserError(f"dvc: {error}") from error
    except (OSError, DatabaseError) as error:
        disk_room.refuse(root, error, "dvc")
        raise


def _name(repo: Any, stage: Any) -> str:
    """Return what `dvc repro` calls the stage in the root (`Stage.addressing` depends on the folder)."""
    path = os.path.relpath(stage.path, repo.root_dir)
    if not isinstance(stage, PipelineStage):
        return str(path)
    return str(stage.name) if path == str(paths.GRAPH) else f"{path}:{stage.name}"


def _collect(repo: Any, targets: Sequence[str]) -> list[Any]:
    stages = list(repo.index.stages)
    if not targets:
        return [stage for stage in stages if os.path.relpath(stage.path, repo.root_dir) == str(paths.GRAPH)]
    names = [_name(repo, stage) for stage in stages]
    if unknown := [target for target in targets if target not in names]:
        raise UserError(f"no stage {', '.join(unknown)} in dvc.yaml; there are {', '.join(names)}")
    return [stages[names.index(target)] for target in targets]
