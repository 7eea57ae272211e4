"""A revision's data, checked out or not, from cache to remote: `python -m flows.push REVISION`.


With --git-remote its branch is pushed after that, never before.
"""

from argparse import Namespace

from flows.front_door import command_table
from flows.repo import checkout, dvc_graph, model_versions
from flows.repo.git import Git, Revision
from flows.repo.lock_file import dvc_outputs, few
from flows.repo.model_versions import Version
from flows.system import logs
from flows.system.exit_status import ending
from flows.tasks.rebuild import recorded
from flows.verify import verify
from gan.errors import UserError


def push_data(git: Git, revision: Revision, remote: str | None = None) -> int:
    """Bring what DVC keeps of a revision into its remote; return how many objects were moved.

    Raises UserError.
    """
    by_stage = dvc_outputs(git, revision.commit, recorded(git, revision))
    stages = [name for name, outs in by_stage.items() if outs]
    count, message = dvc_graph.push(git.root, revision.commit, stages, remote)
    if message:
        raise UserError(f"{revision.name}: its data could not be pushed: {message}")
    return count


def check_remotes(git: Git, git_remote: str | None) -> None:
    """Raise UserError where a version could not be published: no such git remote, or nowhere for its data."""
    if git_remote is None:
        return
    if git.ask("remote", "get-url", "--", git_remote) is None:
        raise UserError(f"--git-remote {git_remote}: no such remote; `git remote --verbose` lists them")
    if not dvc_graph.has_remote(git.root):
        raise UserError(
            f"--git-remote {git_remote}: a version is pushed after its data, and no default DVC remote is "
            "configured for these: `dvc remote add -d NAME URL`"
        )


def fetch_versions(git: Git, git_remote: str | None) -> None:
    """Learn which versions others have promoted or rolled back since; warn where the remote is away."""
    if git_remote is not None:
        names = f"refs/tags/{model_versions.tag_prefix(git)}*"
        status, _, message = git.run("fetch", "--quiet", "--no-tags", git_remote, f"{names}:{names}")
        if status:
            logs.logger().warning("%s could not be asked for versions of others: %s", git_remote, message)


def unpublished(git: Git, git_remote: str) -> list[Version]:
    """Return the versions that a git remote lacks, the highest first. Raises UserError."""
    status, output, message = git.run("ls-remote", "--tags", "--", git_remote)
    if status:
        raise UserError(f"git ls-remote {git_remote}: {message}")
    known = {line.split("\trefs/tags/")[-1] for line in output.decode(errors="replace").splitlines()}
    return [version for version in reversed(model_versions.versions(git)) if version.tag not in known]


def half_published(git: Git, commit: str, git_remote: str) -> bool:
    """Say whether a commit is the champion, of which the git remote has not heard. Raises UserError."""
    champion = model_versions.champion(git)
    return champion is not None and champion.commit == commit and champion in unpublished(git, git_remote)


def publish(git: Git, git_remote: str) -> None:
    """Push the champion's tag, and those of earlier versions that the remote lacks, each after its data.

    The data are read back from the DVC remote before the tag goes. Raises UserError that says which
    command finishes it; what was not pushed is left as it is.
    """
    champion = model_versions.champion(git)
    if champion is None:
        return
    try:
        for version in unpublished(git, git_remote):
            try:
                _publish(git, version, git_remote)
            except UserError as error:
                if version == champion:
                    raise
                logs.logger().warning("%s is not published: %s", version.name, error)
    except UserError as error:
        raise UserError(
            f"{champion.name} is the champion here, but is not published: {error}; "
            f"`python -m flows.promote {champion.name} --git-remote {git_remote}` finishes it"
        ) from None


def _publish(git: Git, version: Version, git_remote: str) -> None:
    push_data(git, Revision(version.commit, version.name))
    _, faults = verify(git.root, version.commit, None, True)
    if faults:
        names = few([f"{fault.output} ({fault.what})" for fault in faults], 3)
        raise UserError(
            f"the DVC remote does not give back {names}: delete what is corrupt there, then push again"
        )
    at = git.ask("for-each-ref", f"--points-at={version.commit}", "--format=%(refname)", "refs/heads/retrain")
    git.push(git_remote, f"refs/tags/{version.tag}", *(at or "").splitlines())
    logs.logger().info("%s is published: %s in %s", version.name, version.tag, git_remote)


def main(arguments: Namespace | None = None) -> None:
    """Push a revision's outs from the command line."""
    asked = arguments or command_table.arguments("push")
    with ending():
        git = Git(checkout.project("."))
        count = push_data(git, model_versions.resolve(git, asked.revision), asked.remote)
        print(f"{count} objects pushed" if count else "the remote has all of it", flush=True)
        if asked.git_remote is not None:
            branch = f"refs/heads/{asked.revision}"
            if git.ask("show-ref", "--verify", "--quiet", "--", branch) is None:
                raise UserError(f"{asked.revision}: no branch of this name, so git pushes nothing")
            git.push(asked.git_remote, branch)
            print(f"{asked.revision} pushed to {asked.git_remote}")


if __name__ == "__main__":
    main()
