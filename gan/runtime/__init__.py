"""What a process runs on: the machine, the installed packages, the locale, and the energy it takes."""
