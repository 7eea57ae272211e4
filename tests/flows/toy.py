"""A stage of the throwaway pipelines of these tests: reads its inputs, writes its output.

What an environment variable TOY_NAME says it does besides: fail, sleep, spawn a deaf grandchild.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

stage, output, *inputs = sys.argv[1:]
Path("times").mkdir(exist_ok=True)
started = time.time()
print(f"{stage}: at work")
Path("times", f"{stage}.pid").write_text(str(os.getpid()))
what, _, value = os.environ.get(f"TOY_{stage.upper()}", "").partition(" ")
if what == "fail":
    print(f"error: {stage}: {value}", file=sys.stderr)
    sys.exit(1)
if what == "spawn":
    ignore = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]"
    deaf = f"{ignore}; print('deaf'); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", deaf])
    time.sleep(600)
if what == "sleep":
    time.sleep(float(value))
target = Path(output)
target.parent.mkdir(exist_ok=True)
target.write_text(stage + "".join(Path(name).read_text() for name in inputs))
Path("times", stage).write_text(f"{started} {time.time()}")
