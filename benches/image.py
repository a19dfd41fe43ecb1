#!/usr/bin/env python3
"""A large docker archive, the same at every run: what `docker save` gives, with two layers of 25,000 files.

    benches/image.py FILE

Half of the files are like programs and half like texts, as in real images, so that the whole packs to about a half.
"""

import hashlib
import io
import json
import random
import sys
import tarfile

LAYERS = 2
FILES = 25_000
MEAN = 20_000
WORDS = "the layer of an image is a changeset whose entries are applied in their order\n".split(" ")


def content(chance):
    """Bytes of a file: mostly small ones, a few that are large."""
    size = min(int(chance.expovariate(1 / MEAN)), 40 * MEAN) + 1
    if chance.random() < 0.5:
        return chance.randbytes(size)
    line = " ".join(chance.choices(WORDS, k=200)).encode()
    return (line * (size // len(line) + 1))[:size]


def layer(number):
    chance = random.Random(number)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for file in range(FILES):
            directory = f"usr/share/package-{number}-{file // 50:03}"
            if file % 50 == 0:
                entry = tarfile.TarInfo(directory)
                entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, 1735689600
                tar.addfile(entry)
            data = content(chance)
            entry = tarfile.TarInfo(f"{directory}/file-{file:05}")
            entry.size, entry.mtime = len(data), 1735689600
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def write(path):
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]}, "rootfs": {"type": "layers"}}
    layers, diff_ids = [], []
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        def add(name, data):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
            return name

        for number in range(LAYERS):
            data = layer(number)
            digest = hashlib.sha256(data).hexdigest()
            diff_ids.append("sha256:" + digest)
            layers.append(add(digest + "/layer.tar", data))
        config["rootfs"]["diff_ids"] = diff_ids
        text = json.dumps(config).encode()
        name = add(hashlib.sha256(text).hexdigest() + ".json", text)
        add("manifest.json", json.dumps([{"Config": name, "RepoTags": ["bench:large"], "Layers": layers}]).encode())


if __name__ == "__main__":
    write(sys.argv[1])
