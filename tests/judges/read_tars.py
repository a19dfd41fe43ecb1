"""Reads tars as Python's tarfile does: one JSON document per tar, bytes as hexadecimal.

Usage: read_tars.py TAR...

Each is {"entries": [...], "error": null or text}; reading goes on until the end or the first error, or
until tarfile goes in circles, an error too: a damaged header's size can take it back, and a sparse map
that does not end it asks for more of, for ever.
"""

import hashlib
import json
import os
import signal
import sys
import tarfile

KINDS = {
    tarfile.REGTYPE: "Regular",
    tarfile.AREGTYPE: "Regular",
    tarfile.CONTTYPE: "Regular",
    tarfile.GNUTYPE_SPARSE: "Regular",
    tarfile.LNKTYPE: "HardLink",
    tarfile.SYMTYPE: "Symlink",
    tarfile.CHRTYPE: "CharDevice",
    tarfile.BLKTYPE: "BlockDevice",
    tarfile.DIRTYPE: "Directory",
    tarfile.FIFOTYPE: "Fifo",
}
XATTR = "SCHILY.xattr."
# A damaged header can claim any size, and tarfile would fill a sparse file's with zeros.
LARGEST = 1 << 24
# Of the processor's time, for one tar. A thousand are read in a few.
SECONDS = 20


def raw(text):
    return text.encode("utf-8", "surrogateescape").hex()


def facts(archive, entry):
    kind = KINDS.get(entry.type, "Other")
    if kind == "Regular" and entry.size > LARGEST:
        raise ValueError(f"{entry.size} bytes are too many to read")
    content = archive.extractfile(entry).read() if kind == "Regular" else b""
    is_device = entry.ischr() or entry.isblk()
    return {
        "name": raw(entry.name),
        "kind": kind,
        "link": raw(entry.linkname) if kind in ("HardLink", "Symlink") else "",
        "mode": entry.mode & 0o7777,
        "uid": entry.uid,
        "gid": entry.gid,
        "mtime": entry.mtime,
        "device": [entry.devmajor, entry.devminor] if is_device else [0, 0],
        "size": entry.size if kind == "Regular" else 0,
        "sha256": hashlib.sha256(content).hexdigest(),
        "xattrs": {
            raw(key[len(XATTR) :]): raw(value)
            for key, value in entry.pax_headers.items()
            if key.startswith(XATTR)
        },
    }


def out_of_time(*_):
    raise TimeoutError(f"no end after {SECONDS} s of the processor's time")


def read(path):
    entries = []
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as archive:
            for entry in archive:
                entries.append(facts(archive, entry))
                if len(entries) > os.path.getsize(path) // tarfile.BLOCKSIZE:
                    raise ValueError("more entries than blocks")
    except Exception as error:  # tarfile raises errors of all kinds on what it does not expect
        return {"entries": entries, "error": repr(error)}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return {"entries": entries, "error": None}


signal.signal(signal.SIGPROF, out_of_time)
for path in sys.argv[1:]:
    print(json.dumps(read(path)))
