"""When it runs: Prefect flows over DVC and git. Free of torch."""
