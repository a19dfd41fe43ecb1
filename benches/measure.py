"""Runs commands and tells what they took, by GNU time (Debian: `time`)."""

import statistics
import subprocess
import tempfile


def run(command):
    """Runs a command to its end: (seconds, seconds of processors, peak KiB of its largest process, what it printed).

    Peak memory is counted from the fork on, so whoever forks must be small: Python is not, GNU time is.
    """
    with tempfile.NamedTemporaryFile("r") as told:
        timed = ["/usr/bin/time", "-o", told.name, "-f", "%e %U %S %M"] + command
        printed = subprocess.run(timed, stdout=subprocess.PIPE, check=True).stdout
        wall, user, system, peak = told.read().split()
    return float(wall), float(user) + float(system), int(peak), printed.decode()


def show(what, runs):
    """Prints minimum, median and maximum of the wall time, the least of the processors' time, and the peak."""
    seconds = sorted(run[0] for run in runs)
    busy = min(run[1] for run in runs)
    peak = max(run[2] for run in runs)
    print(f"{what:<28} {seconds[0]:6.2f} {statistics.median(seconds):6.2f} {seconds[-1]:6.2f} s"
          f"   {busy:6.2f} s   {peak / 1024:7.1f} MiB")
