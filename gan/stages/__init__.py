"""One file per stage of dvc.yaml, of the same name: read files, call the library, write files."""
