"""The Python API: `gan.load(file)` and what can be done with a trained model. Stages do not use it."""
