"""Lists tars as Python's tarfile reads them: one JSON object per entry, bytes as hexadecimal.

Usage: list_tars.py TAR...
"""

import hashlib
import json
import sys
import tarfile

KINDS = {
    tarfile.REGTYPE: "Regular",
    tarfile.AREGTYPE: "Regular",
    tarfile.LNKTYPE: "HardLink",
    tarfile.SYMTYPE: "Symlink",
    tarfile.CHRTYPE: "CharDevice",
    tarfile.BLKTYPE: "BlockDevice",
    tarfile.DIRTYPE: "Directory",
    tarfile.FIFOTYPE: "Fifo",
}
XATTR = "SCHILY.xattr."


def raw(text):
    return text.encode("utf-8", "surrogateescape")


def facts(archive, entry):
    pax = entry.pax_headers
    content = archive.extractfile(entry).read() if entry.isreg() else b""
    is_device = entry.ischr() or entry.isblk()
    return {
        "name": raw(entry.name).hex(),
        "kind": KINDS[entry.type],
        "link": raw(entry.linkname).hex(),
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "mtime": str(pax.get("mtime", entry.mtime)),
        "device": [entry.devmajor, entry.devminor] if is_device else [0, 0],
        "size": entry.size,
        "sha256": hashlib.sha256(content).hexdigest(),
        "xattrs": {
            raw(key[len(XATTR) :]).hex(): raw(value).hex()
            for key, value in pax.items()
            if key.startswith(XATTR)
        },
    }


for path in sys.argv[1:]:
    with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as archive:
        for entry in archive:
            print(json.dumps(facts(archive, entry)))
