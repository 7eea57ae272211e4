"""What is computed: files and params in, files out. Knows neither Prefect nor DVC."""

import os

# Threads that wait sleep instead of spinning. Where two trainings share the cores, as train and
# extractor do, spinning made a step 2.5 to 3 times slower. Read when torch is loaded, hence here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
