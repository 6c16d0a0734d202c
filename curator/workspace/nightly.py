"""The operations that write: scan, calibrate, rescore. Each is one run with one summary."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from curator.errors import UsageError
from curator.lake import Source
from curator.methods.maths import sigmoid
from curator.policy import Policy, calibrate, calibrated_policy, default_policy
from curator.store import Database, Ledger, ListingCounts
from curator.store.ledger import object_table, utc_now
from curator.types import Bank
from curator.workspace.context import Context
from curator.workspace.duplicates import find_near_duplicates
from curator.workspace.logs import log
from curator.workspace.scan import (
    ListedSource,
    ScanRequest,
    ScanSummary,
    ScanWatcher,
    ShardCommitter,
    list_source,
    open_sources,
    pending_shards,
    run_shards,
)
from curator.workspace.scoring import Scorer, score_stored
from curator.workspace.session import reading_or_empty, writing


@dataclass(frozen=True, slots=True)
class CalibrationSummary:
    """A threshold and where it comes from."""

    run_id: str
    policy_id: str
    policy: str
    keep: float
    kept_share: float
    reference_images: int
    min_id_score: float
    min_log_odds: float
    warning: str | None
    flagged: int
    scored: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """What a rescoring did."""

    run_id: str
    bank: str
    bank_digest: str
    method_id: str
    rescored: int
    scored: int
    flagged: int
    policy: str
    policy_note: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def preview_scan(context: Context, request: ScanRequest) -> list[ListingCounts]:
    """What a scan would read, without reading or writing anything."""
    sources = open_sources(request.sources)
    with reading_or_empty(context.layout) as database:
        known = database.row("find_encoder", address=context.config.encoder.address)
        encoder_id = str(known["encoder_id"]) if known else ""
        return [list_source(database, source, request, encoder_id=encoder_id).counts for source in sources]


def run_scan(context: Context, request: ScanRequest, watcher: ScanWatcher) -> ScanSummary:
    """Scan the sources into the lake, score, and flag under the policy in force."""
    started = time.perf_counter()
    sources = open_sources(request.sources)
    with writing(context.layout, "scan", {"sources": [source.name for source in sources]}) as ledger:
        scorer, listed = _take_in(context, ledger, sources, request, watcher)
        policy, note = _policy_in_force(ledger, scorer)
        rescored = score_stored(ledger, scorer, context.layout.vectors(scorer.bank.encoder_id))
        _select(ledger, scorer, policy)
        pairs = find_near_duplicates(context, ledger, scorer.bank.encoder_id)
        summary = _summarise(ledger, scorer, listed)
        counts = ledger.database.row("count_flags") or {}
    return replace(
        summary,
        rescored=rescored,
        near_duplicates=pairs,
        scored=int(counts["scored"]),
        flagged=int(counts["flagged"]),
        policy=policy.name if policy else "none",
        policy_note=note,
        seconds=round(time.perf_counter() - started, 3),
    )


def run_calibration(
    context: Context, sources: Sequence[str], watcher: ScanWatcher, *, keep: float, name: str | None
) -> CalibrationSummary:
    """Score reference ID images and store the threshold that keeps the wanted share of them."""
    request = ScanRequest(tuple(sources), role="reference")
    opened = open_sources(sources)
    with writing(context.layout, "calibrate", {"sources": [item.name for item in opened], "keep": keep}) as ledger:
        scorer, listed = _take_in(context, ledger, opened, request, watcher)
        score_stored(ledger, scorer, context.layout.vectors(scorer.bank.encoder_id))
        objects = object_table([item for source in listed for item in source.objects])
        with ledger.database.incoming(object=objects):
            scores = ledger.database.table("list_reference_scores", **_scored_by(scorer))
        calibration = calibrate(scores["log_odds"].to_numpy(), keep=keep)
        reference = {"sources": [item.name for item in opened], "images": calibration.n, "run_id": ledger.run_id}
        policy = calibrated_policy(
            scorer.bank, scorer.method, calibration, name=name or f"keep-{keep:g}", reference=reference
        )
        record_policy(ledger, policy)
        _select(ledger, scorer, policy)
        counts = ledger.database.row("count_flags") or {}
        found = ledger.database.row("find_policy", **_scored_by(scorer)) or {}
    return CalibrationSummary(
        run_id=ledger.run_id,
        policy_id=policy.policy_id,
        policy=policy.name,
        keep=calibration.keep,
        kept_share=calibration.kept_share,
        reference_images=calibration.n,
        min_id_score=float(found["min_id_score"]),
        min_log_odds=policy.min_log_odds,
        warning=calibration.warning,
        flagged=int(counts["flagged"]),
        scored=int(counts["scored"]),
    )


def run_scoring(context: Context, *, bank: str | None, method: str | None) -> ScoreSummary:
    """Score all stored vectors under a bank and method and show them in the report views. Embeds no image."""
    with writing(context.layout, "score", {"bank": bank, "method": method}) as ledger:
        encoder_id = context.encoder_id(ledger.database)
        chosen = context.bank_for(ledger, bank or context.config.scan.bank, encoder_id=encoder_id)
        scorer = context.scorer(chosen, method)
        rescored = score_stored(ledger, scorer, context.layout.vectors(chosen.encoder_id))
        policy, note = _policy_in_force(ledger, scorer)
        _select(ledger, scorer, policy)
        counts = ledger.database.row("count_flags") or {}
        label = _bank_label(ledger.database, chosen)
    return ScoreSummary(
        run_id=ledger.run_id,
        bank=label,
        bank_digest=chosen.digest,
        method_id=scorer.method.method_id,
        rescored=rescored,
        scored=int(counts["scored"]),
        flagged=int(counts["flagged"]),
        policy=policy.name if policy else "none",
        policy_note=note,
    )


def record_policy(ledger: Ledger, policy: Policy) -> None:
    """Store a policy as a row."""
    ledger.database.run(
        "insert_policy",
        policy_id=policy.policy_id,
        name=policy.name,
        encoder_id=policy.encoder_id,
        bank_digest=policy.bank_digest,
        method_id=policy.method_id,
        min_log_odds=policy.min_log_odds,
        provenance=json.dumps(dict(policy.provenance), sort_keys=True),
        created_at=utc_now(),
        run_id=ledger.run_id,
    )


def _take_in(
    context: Context, ledger: Ledger, sources: Sequence[Source], request: ScanRequest, watcher: ScanWatcher
) -> tuple[Scorer, list[ListedSource]]:
    """List the sources and read, embed, score and commit what is new in them."""
    encoder_id = context.encoder_id(ledger.database)
    listed = [list_source(ledger.database, source, request, encoder_id=encoder_id) for source in sources]
    if any(source.to_read for source in listed) and context.encoder.encoder_id != encoder_id:
        log.warning("the weights behind %s have changed: every image is embedded again", context.config.encoder.address)
        encoder_id = context.encoder.encoder_id
        listed = [list_source(ledger.database, source, request, encoder_id=encoder_id) for source in sources]
    scorer = context.scorer(context.bank_for(ledger, context.config.scan.bank, encoder_id=encoder_id))
    for source in listed:
        ledger.record_listing(
            source.counts, role=request.role, prefix=source.source.prefix, gone=source.gone, rejects=source.rejects
        )
    if any(source.to_read for source in listed):
        _read_all(context, ledger, scorer, listed, request, watcher)
    return scorer, listed


def _read_all(
    context: Context,
    ledger: Ledger,
    scorer: Scorer,
    listed: Sequence[ListedSource],
    request: ScanRequest,
    watcher: ScanWatcher,
) -> None:
    encoder = context.encoder
    ledger.record_encoder(encoder, context.config.encoder.address)
    committer = ShardCommitter(
        ledger,
        scorer,
        context.layout.vectors(encoder.encoder_id),
        request.role,
        frozenset().union(*(source.known for source in listed)),
        encoder.encoder_id,
    )
    finished = ledger.finished_shards(encoder_id=encoder.encoder_id, role=request.role)
    force = request.rehash or request.retry_rejects
    shards = pending_shards(
        listed, files_per_shard=context.config.scan.files_per_shard, finished=set() if force else finished
    )
    watcher.begin(
        objects=sum(len(source.to_read) for source in listed),
        byte_size=sum(source.counts.bytes_to_read for source in listed),
    )
    run_shards(
        shards,
        committer,
        encoder=encoder,
        known=ledger.known_images(encoder.encoder_id),
        decode=context.decode_options,
        read=context.read_options,
        workers=decode_workers(context.config.scan.decode_workers),
        memory_limit_bytes=context.config.decode.memory_limit_bytes,
        watcher=watcher,
    )


def decode_workers(wanted: int) -> int:
    """The number of decode processes: as wanted, or one for each core this process may use."""
    return len(os.sched_getaffinity(0)) if wanted < 0 else wanted


def _scored_by(scorer: Scorer) -> dict[str, str]:
    return {
        "encoder_id": scorer.bank.encoder_id,
        "bank_digest": scorer.bank.digest,
        "method_id": scorer.method.method_id,
    }


def _policy_in_force(ledger: Ledger, scorer: Scorer) -> tuple[Policy | None, str]:
    """The newest calibrated policy for this bank and method, else the stated default; and a note that says which."""
    found = ledger.database.row("find_policy", **_scored_by(scorer))
    if found and found["name"] != "default":
        policy = Policy(
            found["name"],
            **_scored_by(scorer),
            min_log_odds=found["min_log_odds"],
            provenance=json.loads(found["provenance"]),
        )
        return policy, f"flagged below id_score {found['min_id_score']:.4g} (policy {policy.name})"
    try:
        policy = default_policy(scorer.bank, scorer.method, rule="label_for_label")
    except UsageError as fault:
        return None, f"nothing is flagged: {fault}"
    record_policy(ledger, policy)
    cut = float(sigmoid(np.array([policy.min_log_odds]))[0])
    return policy, f"flagged below id_score {cut:.4g}, a default ({policy.provenance['rule']}); see `curator calibrate`"


def _select(ledger: Ledger, scorer: Scorer, policy: Policy | None) -> None:
    ledger.select(**_scored_by(scorer), policy_id=policy.policy_id if policy else None)


def _bank_label(database: Database, bank: Bank) -> str:
    row = database.row("find_bank", name=bank.name, digest_prefix=bank.digest, encoder_id=None) or {}
    return f"{bank.name} v{row.get('version', '?')}"


def _summarise(ledger: Ledger, scorer: Scorer, listed: Sequence[ListedSource]) -> ScanSummary:
    totals = ledger.database.row("summarise_run", run_id=ledger.run_id) or {}
    reasons = ledger.database.rows("count_rejects_of_run", run_id=ledger.run_id)
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
        encoder_id=scorer.bank.encoder_id,
        bank=_bank_label(ledger.database, scorer.bank),
        method_id=scorer.method.method_id,
    )
