"""Sets that come packed: parquet, arrays, idx, CIFAR's batches, tables of pixels; never unpickled freely."""
