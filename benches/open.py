#!/usr/bin/env python3
"""Opens a docker archive of 1 GB with 50,000 files, plain and gzip, beside tar(1), sha256sum(1) and gzip(1) on the
same bytes.

    cargo build --release --features native && benches/open.py [RUNS]

All run in turn in this one run. `inspect` reads the documents and verifies the digest of every layer; `ls` reads the
layers and prints every path; `tar -t` of the archive itself prints the few that are in that, so it is asked for those of
the layers too. Prints minimum, median and maximum of the wall time, the least time of the processors, and the peak
memory of the largest process; fails if tar and handroll disagree on how many files there are.
"""

import os
import subprocess
import sys
import tempfile

import image
from measure import run, show

HANDROLL = os.path.join(os.path.dirname(__file__), "../target/release/handroll")
LAYERS = "for layer in 1 2; do tar -xf \"$0\" --wildcards --occurrence=$layer -O '*/layer.tar' | tar -t; done"


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as scratch:
        plain = os.path.join(scratch, "image.tar")
        image.write(plain)
        packed = plain + ".gz"
        subprocess.run(["gzip", "-kn", plain], check=True)
        sizes = " and ".join(f"{os.path.getsize(path) / 1e6:.0f} MB" for path in (plain, packed))
        print(f"{sizes}, {image.LAYERS * image.FILES} files, {os.cpu_count()} processors, {runs} runs each")
        commands = {
            "tar -t": ["tar", "-tf", plain],
            "tar -t, of the layers": ["sh", "-c", LAYERS, plain],
            "sha256sum": ["sha256sum", plain],
            "handroll inspect": [HANDROLL, "inspect", plain],
            "handroll ls": [HANDROLL, "ls", plain],
            "gzip -t": ["gzip", "-t", packed],
            "tar -tz": ["tar", "-tzf", packed],
            "handroll inspect, gzip": [HANDROLL, "inspect", packed],
            "handroll ls, gzip": [HANDROLL, "ls", packed],
        }
        measured = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                measured[name].append(run(command))
    for name, done in measured.items():
        show(name, done)
    files = [measured[name][0][3].count("/file-") for name in ("tar -t, of the layers", "handroll ls")]
    sys.exit(files != [image.LAYERS * image.FILES] * 2)


main()
