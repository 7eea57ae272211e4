"""A generator for programs without PyTorch."""
