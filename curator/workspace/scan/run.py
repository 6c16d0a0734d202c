"""A scan, from the listing to the flags; and how any operation takes images in."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial

from curator.engines.known import KnownContents
from curator.errors import UsageError
from curator.lake import GoneSource, Source
from curator.store import Database, Ledger, ListingCounts
from curator.store.shards import known_images
from curator.types import Bank
from curator.vectors.recipes import load_recipe
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce, put_in_force
from curator.workspace.judge.naming import Namer, name_stored
from curator.workspace.judge.night_cuts import judge_nights
from curator.workspace.judge.policies import policy_in_force, scored_by
from curator.workspace.judge.scoring import Scorer, score_stored
from curator.workspace.logs import log, log_event, stage, stage_seconds
from curator.workspace.names import check_option
from curator.workspace.outputs import check_destination, configured_destination, metrics_path
from curator.workspace.published import reading_or_empty
from curator.workspace.scan.commit import ShardCommitter, commit_shards
from curator.workspace.scan.duplicates import find_near_duplicates
from curator.workspace.scan.engine import check_engine, open_engine
from curator.workspace.scan.listing import ListedSource, finished_shards, list_source, open_sources, pending_shards
from curator.workspace.scan.request import ScanRequest, ScanSummary, ScanWatcher
from curator.workspace.session import writing
from curator.workspace.stored.repair import forget_lost_vectors


def preview_scan(context: Context, request: ScanRequest) -> list[ListingCounts]:
    """What a scan would read, without reading or writing anything."""
    sources = _open_sources(context, request)
    check_surroundings(context)
    with reading_or_empty(context.layout) as database:
        encoder_id = context.known_encoder_id(database) or ""
        return [item.counts for item in _list_sources(context, database, sources, request, encoder_id)]


def _list_sources(
    context: Context, database: Database, sources: Sequence[Source], request: ScanRequest, encoder_id: str
) -> list[ListedSource]:
    change_times = context.config.scan.change_times
    return [
        list_source(database, source, request, encoder_id=encoder_id, change_times=change_times) for source in sources
    ]


def check_surroundings(context: Context) -> None:
    """Raises UsageError or MissingExtra for what a scan would find missing only after hours of work, or at its end: a
    recipe of the user's own, the folder of the metrics, the package of an engine. A query needs none of it."""
    config = context.config
    check_engine(config.scan)
    metrics_path(context.layout, config.scan.metrics_file)
    for key in ("images", "labels"):
        check_option(f"index.{key}", partial(load_recipe, getattr(config.index, key)))
    if destination := configured_destination(context.layout, config):
        check_option("publish.to", partial(check_destination, destination))


def _open_sources(context: Context, request: ScanRequest) -> list[Source]:
    found = open_sources(request.sources, context.config.scan, exclude=request.exclude, include=request.include)
    gone = {source.name: source for source in map(GoneSource.find, map(str, request.gone))}
    if both := gone.keys() & {source.name for source in found}:
        raise UsageError(f"{min(both)} is to be scanned and gone", hint="name it once")
    return [*found, *gone.values()]


def _patterns(context: Context, request: ScanRequest) -> dict[str, list[str]]:
    """Those in force, where there are any: a run records them."""
    config = context.config.scan
    found = {"exclude": [*config.exclude, *request.exclude], "include": [*config.include, *request.include]}
    return {name: patterns for name, patterns in found.items() if patterns}


EMPTIED = (
    "%s: all %d objects that were there are gone; if they should not be, see that it is mounted, and scan it again: "
    "what is known of them is kept"
)


def run_scan(context: Context, request: ScanRequest, watcher: ScanWatcher) -> ScanSummary:
    """Scan the sources into the lake, score, and flag by the configured bank and method and their policy in force."""
    started = time.perf_counter()
    sources = _open_sources(context, request)
    check_surroundings(context)
    arguments = {"sources": [source.name for source in sources]} | _patterns(context, request)
    with writing(
        context,
        "scan",
        arguments,
        wait_seconds=request.wait_seconds,
        needs_vectors=not request.rehash,
    ) as ledger:
        log_event("scan_begin", "the scan begins", **arguments)
        bank, listed = take_in(context, ledger, sources, request, watcher, score=True)
        with stage("score") as done:
            scorer = context.scorer(bank, database=ledger.database)
            policy, note = policy_in_force(ledger, scorer.bank, scorer.method)
            folder = context.layout.vectors(scorer.bank.encoder_id)
            rescored = sum(score_stored(ledger, scorer, folder).values())
            done["named"] = name_stored(ledger, context.namer(scorer.bank), folder)
            judge_nights(ledger, policy, scorer.method)
            ruled_by, ruled_before = put_in_force(
                ledger, scored_by(scorer.bank, scorer.method), policy, before=InForce.of(ledger.database)
            )
            done["rescored"] = rescored
        with stage("near_duplicates") as done:
            done["pairs"] = pairs = find_near_duplicates(context, ledger, scorer.bank.encoder_id)
        with stage("count"):
            summary = _summarise(ledger, ruled_by, listed)
            _warn_of_failing(ledger, listed)
            counts = ruled_by.count_flags(ledger.database, run_id=ledger.run_id)
        stages = stage_seconds()
        ledger.add(run_stage=[{"stage": name, "seconds": spent} for name, spent in stages.items()])
    return replace(
        summary,
        rescored=rescored,
        near_duplicates=pairs,
        **counts,
        stage_seconds=stages,
        policy=policy.name if policy else "none",
        policy_note=note,
        ruled_by=ruled_by,
        ruled_before=ruled_before,
        seconds=round(time.perf_counter() - started, 3),
    )


def take_in(
    context: Context,
    ledger: Ledger,
    sources: Sequence[Source],
    request: ScanRequest,
    watcher: ScanWatcher,
    *,
    bank: str | None = None,
    score: bool = False,
) -> tuple[Bank, list[ListedSource]]:
    """List the sources and read, embed and commit what is new in them; `score`: each shard with its scores and names.

    `bank`: instead of the configured one. Reference images are not scored here: methods that measure images against
    them must know them all first.
    """
    check_engine(context.config.scan)
    encoder_id = context.encoder_id(ledger.database)
    if request.rehash:
        forget_lost_vectors(ledger, context.layout, encoder_id)
    with stage("list") as found:
        listed = _list_sources(context, ledger.database, sources, request, encoder_id)
        found["sources"] = [asdict(source.counts) for source in listed]
    if any(source.to_read for source in listed) and context.encoder.encoder_id != encoder_id:
        encoder_id = context.encoder.encoder_id
        listed = _list_sources(context, ledger.database, sources, request, encoder_id)
    if request.role == "lake":
        _say_of_another_encoder(context, ledger, [source.name for source in sources], encoder_id)
    address = bank or context.config.scan.bank
    chosen = context.bank_for(ledger, address, encoder_id=encoder_id)
    if request.role == "lake" and (behind := context.behind(address, chosen)):
        log.warning("%s: %s", *behind)
    scorer = context.scorer(chosen, database=ledger.database) if score else None
    namer = context.namer(chosen) if score else None
    for source in listed:
        prefix = source.source.prefix
        if isinstance(source.source, GoneSource):
            prefix = source.source.folder_prefix  # a neighbour whose name goes on has its own rejects
            if not source.gone:
                log.warning("%s: nothing of it is in the lake", source.source.name)
        elif request.role == "lake" and source.is_emptied:
            log.warning(EMPTIED, source.source.name, len(source.gone))
        ledger.record_listing(source.counts, role=request.role, prefix=prefix, gone=source.gone, rejects=source.rejects)
    if any(source.to_read for source in listed):
        with stage("known") as found:
            known = KnownContents(known_images(ledger.database, encoder_id))
            found["images"] = len(known.before)
        with stage("read") as done:
            _read_all(context, ledger, scorer, namer, listed, request, watcher, known)
            done.update(ledger.database.row("summarise_run", run_id=ledger.run_id) or {})
    return chosen, listed


def _say_of_another_encoder(context: Context, ledger: Ledger, named: Sequence[str], encoder_id: str) -> None:
    """A scan by another encoder than the lake was embedded by embeds all of it again; sources that it does not name
    are seen by nobody until they are scanned as well."""
    if (stored := context.stored_encoder_id(ledger.database)) == encoder_id:
        return
    address = context.config.encoder.address
    log.warning("encoder %s is %s now, and was %s: every image is embedded again, once", address, encoder_id, stored)
    others = set(ledger.database.column("list_sources")) - set(named)
    if others:
        log.warning("scan these again, too, or their images stay out of sight: %s", " ".join(sorted(others)))


def _read_all(
    context: Context,
    ledger: Ledger,
    scorer: Scorer | None,
    namer: Namer | None,
    listed: Sequence[ListedSource],
    request: ScanRequest,
    watcher: ScanWatcher,
    known: KnownContents,
) -> None:
    encoder = context.encoder
    ledger.record_encoder(encoder, context.config.encoder.address)
    committer = ShardCommitter(
        ledger,
        scorer,
        namer,
        context.layout.vectors(encoder.encoder_id),
        request.role,
        frozenset().union(*(source.known for source in listed)),
        encoder.encoder_id,
    )
    finished: set[str] = set()
    if not (request.rehash or request.retry_rejects):
        finished = finished_shards(ledger.database, listed, encoder_id=encoder.encoder_id, role=request.role)
    shards = pending_shards(listed, files_per_shard=context.config.scan.files_per_shard, finished=finished)
    watcher.begin(
        objects=sum(len(source.to_read) for source in listed),
        byte_size=sum(source.counts.bytes_to_read for source in listed),
    )
    if namer is not None:
        _ = namer.vocabulary  # encoded before images are: the writing thread must not ask the encoder meanwhile
    with rest_left_alone(), open_engine(context, scorer, run_id=ledger.run_id) as engine:
        outcomes = engine.run(
            shards,
            known=known,
            progress=lambda data, byte_size: watcher.advance(data=data, byte_size=byte_size),
        )
        commit_shards(outcomes, committer, watcher)


@contextmanager
def rest_left_alone() -> Iterator[None]:
    """The collector of garbage looks at objects that are made within it only: at those of all modules, a third of a
    million, one look takes as long as a thousand images."""
    if gc.get_freeze_count():  # the caller's own choice
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _warn_of_failing(ledger: Ledger, listed: Sequence[ListedSource]) -> None:
    """A source of which nothing came in: beside others it hardly shows in the rate of rejects. One bad file is none."""
    for source in listed if len(listed) > 1 else ():
        found = ledger.database.row("count_outcomes_under", run_id=ledger.run_id, prefix=source.source.prefix) or {}
        if found["rejects"] > 1 and not found["taken"]:
            log.warning(
                "%s: all %d data read of it are rejects: see curator query rejects",
                source.source.name,
                found["rejects"],
            )


def _summarise(ledger: Ledger, ruled_by: InForce, listed: Sequence[ListedSource]) -> ScanSummary:
    totals = ledger.database.row("summarise_run", run_id=ledger.run_id) or {}
    reasons = ledger.database.rows("count_rejects_of_run", run_id=ledger.run_id)
    passed = ledger.database.rows("count_passed_members", run_id=ledger.run_id)
    return ScanSummary(
        run_id=ledger.run_id,
        listings=tuple(source.counts for source in listed),
        data_read=totals["data_read"],
        images=totals["images"],
        duplicates=totals["duplicates"],
        rejects=totals["rejects"],
        decoded=totals["decoded"],
        bytes_read=totals["bytes_read"],
        reject_reasons={f"{row['stage']}/{row['reason']}": row["rejects"] for row in reasons},
        passed_over={row["heading"]: row["files"] for row in passed},
        encoder_id=ruled_by.encoder_id,
        bank=ruled_by.bank,
        method_id=ruled_by.method_id,
    )
