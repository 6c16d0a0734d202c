"""Files of Hugging Face repositories: from the cache, or downloaded when that is allowed. Never a silent look online.

The libraries that build models would fetch what they miss by themselves, file by file and with minutes of retries. So
everything is brought here first, and the models are then built under `no_network`, which no library gets around.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curator.errors import EncoderError, WeightsMissing
from curator.paths import expanded
from curator.printable import said_by

# For every `from_pretrained`: nothing is fetched, and code that lies beside the weights is neither run nor asked about.
ONLY_DATA: Mapping[str, Any] = {"local_files_only": True, "trust_remote_code": False}
CHECKPOINT_FILES = ("model*.safetensors", "pytorch_model*.bin")  # of transformers, the wanted ones first
TOKENIZER_FILES = ("tokenizer*", "vocab*", "merges.txt", "*.model", "special_tokens_map.json", "added_tokens.json")

VOCABULARIES = (("tokenizer.json",), ("*.model",), ("vocab.txt",), ("vocab.json", "merges.txt"))  # each suffices


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of the Hugging Face hub, at a revision (a branch, tag or commit; None is `main`)."""

    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Repository:
        """`org/repo` or `org/repo@revision`."""
        name, _, revision = text.partition("@")
        return cls(name, revision or None)

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}" if self.revision else self.name


def is_path(text: str) -> bool:
    """Whether it can only be a path, and no repository's name."""
    return text.startswith(("/", "./", "../", "~")) or text.count("/") > 1


def placed(path: Path, root: Path) -> str:
    """A path as a workspace at `root` keeps it: `./…` from there where it lies in it, as both move together then, else
    absolute, as commands are run from anywhere."""
    absolute = path.parent.resolve() / path.name  # a link such as `current` stays one
    return f"./{absolute.relative_to(root)}" if absolute.is_relative_to(root) else str(absolute)


@dataclass(frozen=True, slots=True)
class Access:
    """For which address files are sought, from where, and what of the network is allowed.

    renew: ask the hub even for what is in the cache, so that a broken download is completed.
    root: the folder from which a relative path is sought first.
    """

    address: str
    offline: bool = False
    renew: bool = False
    root: Path | None = None

    def local(self, text: str) -> Path:
        """A path of the address: from `root` where something is there, else from the current folder."""
        path = expanded(text)
        return self.root / path if self.root is not None and (self.root / path).exists() else path


def require_tokenizer(folder: Path, access: Access) -> None:
    """Raises WeightsMissing for a folder without a tokenizer: transformers would make an empty one, without a word."""
    if not any(all(any(folder.glob(name)) for name in files) for files in VOCABULARIES):
        raise WeightsMissing(
            f"{access.address}: there is no tokenizer in {folder.absolute()}",
            hint="put the model's tokenizer.json there, *.model, vocab.txt, or vocab.json and merges.txt; "
            "`curator models fetch` completes a repository",
        )


def snapshot(
    repository: Repository, access: Access, *, any_of: Sequence[str], also: Sequence[str] = ()
) -> tuple[Path, str]:
    """The folder of a repository's files, and which of the patterns `any_of` was found in it.

    any_of: file patterns from the most to the least wanted; only the first that the repository has is downloaded.
    also: patterns of files that come with it. Raises WeightsMissing.
    """
    if not access.renew:
        found = _in_cache(repository, access, any_of)
        if found:
            return found
    if access.offline:
        raise _missing(repository, access, "and offline mode forbids to download it")
    return _download(repository, access, any_of, also)


@contextmanager
def no_network() -> Iterator[None]:
    """Within it, huggingface_hub and all that stands on it refuse every request.

    Its switch HF_HUB_OFFLINE is read from the environment once, at import; what counts later is the constant.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _in_cache(repository: Repository, access: Access, any_of: Sequence[str]) -> tuple[Path, str] | None:
    for pattern in any_of:
        try:
            folder = _fetch(repository, access, [pattern], local_files_only=True)
        except OSError:  # huggingface_hub's errors for "not there" and "only in part"
            continue
        if any(folder.glob(pattern)):
            return folder, pattern
    return None


def _download(repository: Repository, access: Access, any_of: Sequence[str], also: Sequence[str]) -> tuple[Path, str]:
    for pattern in any_of:
        try:
            folder = _fetch(repository, access, [pattern, *also], local_files_only=False)
        except EncoderError:
            raise
        # Broad on purpose: connection, gate, quota and disk faults come as classes of three libraries; none is ours.
        except Exception as error:
            raise _missing(repository, access, f"and it cannot be downloaded: {_innermost(error)}") from error
        if any(folder.glob(pattern)):
            return folder, pattern
    raise _missing(repository, access, f"and it holds none of {', '.join(any_of)}")


def _fetch(repository: Repository, access: Access, patterns: list[str], *, local_files_only: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = snapshot_download(
            repository.name,
            revision=repository.revision,
            local_files_only=local_files_only,
            allow_patterns=patterns,
        )
    except HFValidationError as error:
        raise EncoderError(f"{access.address}: {repository.name!r} is no folder and no repository name") from error
    return Path(folder)


def _missing(repository: Repository, access: Access, why: str) -> WeightsMissing:
    from huggingface_hub import constants

    return WeightsMissing(
        f"{access.address}: the repository {repository} is not in the cache {constants.HF_HUB_CACHE}, {why}",
        hint=f"with network: curator models fetch {access.address}",
    )


def _innermost(error: BaseException) -> str:
    """The innermost cause in one line: libraries wrap the network's own words in paragraphs."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {said_by(error, whole=True)}"


@contextmanager
def without_progress(*loggings: Any) -> Iterator[None]:
    """Without the progress bars that these libraries (their `utils.logging`) show; afterwards they are as they were."""
    shown = [logging for logging in loggings if logging.is_progress_bar_enabled()]
    for logging in shown:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        for logging in shown:
            logging.enable_progress_bar()
