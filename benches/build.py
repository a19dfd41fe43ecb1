#!/usr/bin/env python3
"""What `handroll build` takes on a real directory, beside GNU tar, gzip and sha256sum on the same files.

    cargo build --release --features native && benches/build.py DIR [RUNS]

Both sides run in turn in this one run. Prints minimum, median and maximum of the wall time, the least time of
the processors, and the peak memory of the largest process of each side; fails if the two disagree on the DiffID.
"""

import json
import os
import subprocess
import sys
import tempfile

from measure import run, show

HANDROLL = os.path.join(os.path.dirname(__file__), "../target/release/handroll")
TAR = ("tar -C \"$0\" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu "
       "-cf - . 2>/dev/null")


def main():
    directory, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    files = sum(len(names) for _, _, names in os.walk(directory))
    size = int(subprocess.run(["du", "-sb", directory], capture_output=True).stdout.split()[0])
    print(f"{directory}: {files} files, {size / 1e6:.0f} MB, {os.cpu_count()} processors, {runs} runs each")
    ours, theirs, none = [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        out = os.path.join(scratch, "image.tar")
        build = [HANDROLL, "build", "--layer", directory, "--name", "bench", "--json", "-o", out]
        for _ in range(runs):
            theirs.append(run(["sh", "-c", TAR + " | gzip -n | sha256sum", directory]))
            ours.append(run(build))
            none.append(run(build + ["--compression", "none"]))
    diff_id = subprocess.run(["sh", "-c", TAR + " | sha256sum", directory], stdout=subprocess.PIPE, check=True)
    expected = "sha256:" + diff_id.stdout.decode().split()[0]
    found = json.loads(ours[0][3])["layers"][0]["diff_id"]
    show("tar | gzip | sha256sum", theirs)
    show("handroll build", ours)
    show("handroll build, no gzip", none)
    print(f"DiffID {found}" + ("" if found == expected else f", but GNU tar has {expected}"))
    sys.exit(found != expected)


main()
