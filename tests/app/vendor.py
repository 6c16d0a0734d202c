"""The library that the app ships for its map, as `curator/app/vendor/pinned.toml` pins it. `make vendor` fetches it by
name and version from the npm registry, and places what has the pinned checksum; nothing else may change the folder."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

FOLDER = Path(__file__).parents[2] / "curator" / "app" / "vendor"
MOST_BYTES = 3 << 20  # of all that is shipped


def pinned() -> Mapping[str, Any]:
    """By package: its version, its licence, and its files: by name their path in the package and their SHA-256."""
    return tomllib.loads((FOLDER / "pinned.toml").read_text(encoding="utf-8"))


def fetched(package: str, folder: Path) -> Path:
    """Where NAME@VERSION lies, unpacked below a folder, as npm has it."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), package]
    name = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout.split()[-1]
    with tarfile.open(folder / name) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def faults(folder: Path = FOLDER) -> list[str]:
    """What in a folder is not as it is pinned, one line each."""
    found = []
    known = {"pinned.toml"}
    for package, facts in pinned().items():
        for name, file in facts["files"].items():
            known.add(name)
            data = (folder / name).read_bytes() if (folder / name).is_file() else b""
            if (sum_of := hashlib.sha256(data).hexdigest()) != file["sha256"]:
                found.append(f"{name} of {package} {facts['version']}: {sum_of} is not the pinned {file['sha256']}")
    found += [f"{path.name} is not pinned" for path in sorted(folder.iterdir()) if path.name not in known]
    return found


def place() -> None:
    """Fetch what is pinned, and put it in place if all of it has its checksum. Raises SystemExit."""
    with TemporaryDirectory(prefix="curator-vendor-") as made:
        target = Path(made) / "vendor"
        target.mkdir()
        for package, facts in pinned().items():
            unpacked = fetched(f"{package}@{facts['version']}", Path(made) / "fetched")
            for name, file in facts["files"].items():
                (target / name).write_bytes((unpacked / file["path"]).read_bytes())
        if wrong := faults(target):
            raise SystemExit("\n".join(["nothing was placed:", *wrong]))
        for path in target.iterdir():
            (FOLDER / path.name).write_bytes(path.read_bytes())
            print(f"{FOLDER / path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(place())
