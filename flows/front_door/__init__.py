"""What `ganflow` lists, and the options of each command; light, so that --help answers at once."""
