"""Publish the model: `python -m flows.models.publish --to FOLDER`, or `--to hf://USER/NAME`.

Writes what the Hugging Face Hub wants: the weights, their config, the card with its figures, pictures, and
Croissant metadata of the data. The Hub's own library checks and uploads it. Nothing is sent without `hf://`.
"""

import logging
import os
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the library is imported

from flows.front_door import command_table
from flows.models import hub_folder
from flows.models.hub_folder import package
from flows.repo import checkout
from flows.repo.git import Git
from flows.system.exit_status import ending
from gan.errors import UserError
from gan.files import empty_folder, fresh_folder
from gan.urls import redacted

HUB = "hf://"


def main(arguments: Namespace | None = None) -> None:
    """Write, check, and upload what is asked for."""
    asked = arguments or command_table.arguments("publish")
    with ending():
        folder = checkout.project(".")
        repo = _repo(asked.to)
        out = None if repo or asked.dry_run else empty_folder(Path(asked.to).expanduser(), "--to")
        with fresh_folder(out) if out else TemporaryDirectory(prefix="ganflow-publish-") as target:
            made = Path(target)
            hub_folder.write(folder, made, _revision(folder), asked.license)
            checked(made)
            for path in sorted(made.iterdir()):
                print(f"  {path.stat().st_size:>10,}  {path.name}")
            if asked.dry_run:
                print(f"nothing was sent or written; without --dry-run these files go to {asked.to}")
            elif repo:
                print(f"published  {upload(made, repo, asked.private)}")
        if out:
            print(f"published  {asked.to}")


def _repo(to: str) -> str | None:
    """Return the repository's id where the target is the Hub. Raises UserError for one that it refuses."""
    if not to.startswith(HUB):
        if "://" in to:
            raise UserError(f"--to {redacted(to)}: give a folder, or {HUB}USER/NAME")
        return None
    repo = to.removeprefix(HUB).strip("/")
    try:
        package("huggingface_hub.utils").validate_repo_id(repo)
    except ValueError as error:
        raise UserError(f"--to {to}: {' '.join(str(error).split())}") from None
    if repo.count("/") != 1:
        raise UserError(f"--to {to}: give {HUB}USER/NAME")
    return repo


def _revision(folder: Path) -> str | None:
    """Return the commit that is checked out; None where git does not know."""
    try:
        return Git(folder).ask("rev-parse", "HEAD")
    except (UserError, OSError):
        return None


def checked(made: Path) -> None:
    """Read everything back by the libraries that it is for. Raises UserError for what they refuse."""
    card = package("huggingface_hub").ModelCard((made / hub_folder.CARD).read_text(encoding="utf-8"))
    if not card.data.eval_results:
        raise UserError(f"{hub_folder.CARD}: has no evaluation that the Hub can read; `dvc repro report`")
    data = package("mlcroissant")
    logging.getLogger("absl").setLevel(logging.ERROR)  # its warnings are about what is only recommended
    try:
        data.Dataset(jsonld=made / hub_folder.DATA)
    except data.ValidationError as error:
        raise UserError(f"{hub_folder.DATA}: {' '.join(str(error).split())}") from None


def upload(made: Path, repo: str, private: bool) -> str:
    """Upload the folder as one commit; return its address. Raises UserError without a token, or refused."""
    hub = package("huggingface_hub")
    if not hub.get_token():
        raise UserError(
            f"--to {HUB}{repo}: no token; `hf auth login` stores one, or set HF_TOKEN. "
            "--to FOLDER writes the same files here"
        )
    try:
        api = hub.HfApi()
        api.create_repo(repo, private=private, exist_ok=True)
        done: Any = api.upload_folder(repo_id=repo, folder_path=made, commit_message="ganflow publish")
    except Exception as error:  # the libraries below raise whatever they like
        raise UserError(f"--to {HUB}{repo}: {' '.join(redacted(str(error)).split())[:300]}") from None
    return str(done)


if __name__ == "__main__":
    main()
