"""fsspec, behind one door: file systems, versions of remote objects, globs, and reading bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import fsspec
from fsspec.utils import glob_translate

from curator.errors import MissingExtra, SourceError

EXTRAS = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gcs"), "gcs": ("gcsfs", "gcs"),
          "http": ("aiohttp", "http"), "https": ("aiohttp", "http")}  # fmt: skip
VERSION_KEYS = ("ETag", "etag", "checksum", "md5Hash", "LastModified", "last_modified", "mtime", "updated", "created")
MAGIC = re.compile(r"[*?\[]")


def has_magic(path: str) -> bool:
    """Whether a path has wildcards."""
    return MAGIC.search(path) is not None


def glob_pattern(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression: `*` within a folder, `**` over folders."""
    return re.compile(glob_translate(pattern))


def file_system(address: str, options: Mapping[str, Any] | None = None) -> tuple[Any, str]:
    """The file system of a URL and the path in it. Raises MissingExtra or SourceError for one that is not known."""
    scheme = address.partition("://")[0] if "://" in address else "file"
    try:
        filesystem, path = fsspec.core.url_to_fs(address, **dict(options or {}))
    except ImportError as fault:
        package, extra = EXTRAS.get(scheme, (scheme, scheme))
        raise MissingExtra(package, extra=extra, needed_for=f"a {scheme}:// source") from fault
    except ValueError as fault:
        raise SourceError(f"{address}: {str(fault).splitlines()[0]}", hint="local paths, s3://, gs://, http:// …") from fault
    return filesystem, str(path)


def remote_version(info: Mapping[str, Any]) -> str:
    """What tells one state of a remote object from another: its size, and the first of ETag, checksum, times."""
    tag = next((str(info[key]).strip('"') for key in VERSION_KEYS if info.get(key)), "unversioned")
    return f"{info.get('size')}-{tag}"
