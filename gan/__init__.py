"""What is computed: files and params in, files out. Knows neither Prefect nor DVC."""
