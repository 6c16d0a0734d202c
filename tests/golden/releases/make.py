"""Makes the small workspace of one release that `test_workspace_releases` opens with later code.

Run once for each format of the ledger, with the code that is about to be released:

    python tests/golden/releases/make.py tests/golden/releases/schema-0004.tar.xz

and never again: the archives are what was released. The lake is an object store, because its addresses and versions
(ETags) are the same wherever the test puts the pictures. Everything is done by the command line, so that the script
runs with old code as well; what a release cannot do yet is left out. A second argument names another encoder than
`fake`: mini-1.tar.xz was made by the code that had version 1 of the embedded one, with `mini`.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer
from PIL import Image

BANK = """\
name = "base"

[id]
labels = "labels.txt"

[negatives.wordnet]
include = ["noun.shape", "noun.motive"]

[mining]
method = "neglabel"
"""
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange")


def pictures() -> dict[str, bytes]:
    """Six pictures of one colour, one of them twice, and one that is broken."""
    made = {}
    for number, colour in enumerate(COLOURS):
        image = Image.new("RGB", (40, 30), colour)
        image.putpixel((number, 0), (1, 2, 3))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        made[f"{colour}.png"] = buffer.getvalue()
    return made | {"red-again.png": made["red.png"], "broken.png": made["red.png"][:40]}


def curator(workspace: Path, *arguments: str, may_fail: bool = False) -> None:
    done = subprocess.run([sys.executable, "-m", "curator", "-w", str(workspace), *arguments], check=not may_fail)
    print(" ".join(arguments), "→", done.returncode)


def make(folder: Path, encoder: str) -> None:
    """The workspace and its lake in `folder`: two scans with a calibration, and what newer formats have rows for."""
    workspace = folder / "workspace"
    labels = folder / "names.txt"
    labels.write_text("red\ngreen\n")
    curator(folder, "init", str(workspace), "--labels", str(labels), "--encoder", encoder)
    labels.unlink()
    (workspace / "banks" / "base.toml").write_text(BANK)
    curator(workspace, "scan", "s3://released/lake")
    curator(workspace, "calibrate", "--reference", "s3://released/known", "--keep", "0.9")
    curator(workspace, "scan", "s3://released/lake")
    if encoder != "fake":
        return
    evaluation = ("--id", "s3://released/known", "--ood", "other=s3://released/other", "--positive", "id")
    curator(workspace, "evaluate", *evaluation, may_fail=True)
    curator(workspace, "bank", "eoe", may_fail=True)
    curator(workspace, "score", "--bank", "eoe", "--method", "eoe", may_fail=True)
    curator(workspace, "doctor", "--check")


def pack(folder: Path, target: Path) -> None:
    """Everything but what can be made again: the snapshot is published anew, and caches are caches."""
    left_out = {"workspace/.lock", "workspace/index", "workspace/cache"}
    with tarfile.open(target, "w:xz", preset=9) as archive:
        archive.add(folder, arcname=".", filter=lambda item: None if item.name[2:] in left_out else anonymous(item))


def anonymous(item: tarfile.TarInfo) -> tarfile.TarInfo:
    item.uid = item.gid = 0
    item.uname = item.gname = ""
    return item


def main(target: Path, encoder: str) -> None:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    store = boto3.client("s3")
    store.create_bucket(Bucket="released")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, data in pictures().items():
            places = ["lake", "known" if file.startswith(("red", "green")) else "other"]
            for place in places:
                (folder / "lake" / place).mkdir(parents=True, exist_ok=True)
                (folder / "lake" / place / file).write_bytes(data)
                store.put_object(Bucket="released", Key=f"{place}/{file}", Body=data)
        make(folder, encoder)
        pack(folder, target)
    server.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2] if len(sys.argv) > 2 else "fake")
