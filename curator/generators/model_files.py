"""Which model exactly stands behind `<kind>:<id or folder>`, told from its files before any weight is loaded.

What a generator answered is stored under its revision, so the revision must be known before the first request, and it
must not change while the model does not: a commit for a repository of the Hugging Face hub, a digest of the contents
for a folder. Only the small file that every model of a kind has (`marker`) is fetched for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from curator.encoders.hub import Access, Repository, is_path, snapshot
from curator.errors import EncoderError, GeneratorError
from curator.paths import expanded

PIPELINE_MARKER = "model_index.json"  # of a diffusers pipeline
MODEL_MARKER = "config.json"  # of a transformers model
WEIGHTLESS = (".md", ".gitattributes", ".png", ".jpg", ".jpeg", ".webp", ".gif")  # beside a model, no part of it


def revision_of(rest: str, *, address: str, marker: str, offline: bool) -> str:
    """The commit of a repository (40 hexadecimal digits) or the digest of a folder (16); nothing is loaded.

    rest: `org/repo`, `org/repo@revision`, or a folder; a folder that is there goes before a repository of that name.
    A repository in the cache is not asked for again. Raises GeneratorError when there is no such model, or when it is
    not in the cache and offline mode or the network forbids to look for it.
    """
    folder = config_folder(rest, address=address, marker=marker, offline=offline)
    if local_folder(rest, address=address) is not None:
        return folder_digest(folder, address=address, marker=marker)
    return folder.name  # a folder per commit


def config_folder(rest: str, *, address: str, marker: str, offline: bool) -> Path:
    """The folder with the small file that every model of a kind has, and maybe no weights. Raises as above."""
    folder = local_folder(rest, address=address)
    return folder or _snapshot(Repository.parse(rest), Access(address, offline=offline), [marker])


def model_folder(
    rest: str, *, address: str, marker: str, offline: bool, any_of: Sequence[str], also: Sequence[str] = ()
) -> Path:
    """The folder of all files that match, downloaded if they are not in the cache; of the commit of `revision_of`.

    any_of: patterns of weights, from the most to the least wanted; also: of what comes with them. Raises as above.
    """
    folder = local_folder(rest, address=address)
    if folder is not None:
        return folder
    commit = revision_of(rest, address=address, marker=marker, offline=offline)
    pinned = Repository(Repository.parse(rest).name, commit)
    return _snapshot(pinned, Access(address, offline=offline), any_of, also)


def local_folder(rest: str, *, address: str) -> Path | None:
    """The folder that `rest` names, or None for a repository. Raises GeneratorError for a folder that is not there."""
    folder = expanded(rest)
    if folder.is_dir():
        return folder
    if is_path(rest):
        raise GeneratorError(f"{address}: there is no folder {folder.absolute()}")
    return None


def folder_digest(folder: Path, *, address: str, marker: str) -> str:
    """16 hexadecimal digits of the SHA-256 of the files' names and contents, whatever the folder is called.

    Reads all of them once, a second or less for a gigabyte. Hidden files, texts and pictures beside a model do not
    count: a note added to the README must not make paid work void. Raises GeneratorError for a folder without `marker`.
    """
    if not (folder / marker).is_file():
        raise GeneratorError(
            f"{address}: there is no {marker} in {folder.absolute()}", hint="give a folder that save_pretrained wrote"
        )
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if _counts(path.relative_to(folder)) and path.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()[:16]


def _snapshot(repository: Repository, access: Access, any_of: Sequence[str], also: Sequence[str] = ()) -> Path:
    try:
        return snapshot(repository, access, any_of=any_of, also=also)[0]
    except EncoderError as error:  # the hub's faults are told in the words of encoders
        raise GeneratorError(error.message, hint="check the name, or give a folder that holds the model") from error


def _counts(path: Path) -> bool:
    return not any(part.startswith(".") for part in path.parts) and path.suffix.lower() not in WEIGHTLESS
