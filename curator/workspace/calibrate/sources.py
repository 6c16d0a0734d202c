"""Sources of reference images: those that are no reference any more, and those that lie in the lake as well."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from curator.errors import UsageError
from curator.lake import GoneSource
from curator.policy import Rule
from curator.store import Database, Ledger
from curator.workspace.logs import log
from curator.workspace.scan.listing import list_source
from curator.workspace.scan.request import ScanRequest

IN_LAKE = (
    "%d of %d reference images are images of the lake: a cut that keeps %.4g %% of them flags %.4g %% of them, "
    "whatever they show; name images that are known to be ID"
)


def gone_sources(addresses: Sequence[str], kept: Collection[str]) -> list[GoneSource]:
    """Sources to forget. Raises UsageError for one that is to be a reference at the same time."""
    found = list({source.name: source for source in map(GoneSource.find, addresses)}.values())
    if both := {source.name for source in found} & set(kept):
        raise UsageError(f"{min(both)} is to be a reference and forgotten", hint="name it once")
    return found


def forget(ledger: Ledger, sources: Sequence[GoneSource]) -> None:
    """Take what lies there out of the reference. Raises UsageError where nothing does, before any is taken out."""
    request = ScanRequest((), role="reference")
    listed = [list_source(ledger.database, source, request, encoder_id="") for source in sources]
    for item in listed:
        if not item.gone:
            raise UsageError(f"{item.source.name}: nothing of it is a reference", hint="name it as it was given")
    for item in listed:
        ledger.record_listing(item.counts, role="reference", prefix=item.source.prefix, gone=item.gone, rejects=[])


def warn_of_lake(database: Database, calibration_id: str, rule: Rule) -> int:
    """How many reference images are images of the lake; a warning where some are: they are whatever was found there."""
    found = database.row("count_reference_in_lake", calibration_id=calibration_id) or {}
    if shared := int(found.get("in_lake", 0)):
        log.warning(IN_LAKE, shared, found["images"], 100 * (1 - rule.tail), 100 * rule.tail)
    return shared
