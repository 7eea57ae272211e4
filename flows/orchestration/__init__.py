"""The Prefect side: server, deployments, artifacts, the context of a run."""
