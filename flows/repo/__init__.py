"""What git and DVC hold: revisions, worktrees, the graph, dvc.lock, the cache, model versions."""
