"""The data of a night, key by key: what `curator report --json` prints, and what the page is made of.

Times are ISO 8601 in UTC; a figure of nothing is None. Rows are those of the named queries of sql/queries/nights.sql.
"""

from __future__ import annotations

from typing import TypedDict

from curator.report.words import Row


class NightFacts(TypedDict):
    """The scan that the night was. seconds: wall time."""

    night: str
    run_id: str
    status: str
    started_at: str
    finished_at: str | None
    seconds: float | None
    version: str
    error: str | None


class DecidedBy(TypedDict):
    """What decides about flags: encoder, bank, method and policy, with the common cut."""

    encoder_id: str | None
    bank_name: str | None
    bank_version: int | None
    bank_digest: str | None
    method_id: str | None
    policy_name: str | None
    policy_rule: str | None
    min_id_score: float | None
    min_log_odds: float | None
    policy_warning: str | None


class Accounting(TypedDict):
    """What was read: data_read = images + duplicates + rejects, and objects of the listings by state."""

    data_read: int
    images: int
    duplicates: int
    rejects: int
    decoded: int
    objects_listed: int
    objects_new: int
    objects_changed: int
    objects_unchanged: int
    objects_gone: int


class FlagRate(TypedDict):
    """The share of scored images that are flagged, 0–1, with its 95 % interval."""

    scored: int
    flagged: int
    flag_rate: float | None
    low: float | None
    high: float | None


class NightRate(FlagRate):
    """One of the last nights. name: its date, with as much of the time as tells it from the others."""

    night: str
    run_id: str
    started_at: str
    images: int
    rejects: int
    name: str


class RejectCount(TypedDict):
    """Rejects of one stage and reason, with an example."""

    stage: str
    reason: str
    rejects: int
    example: str
    detail: str


class PassedFiles(TypedDict):
    """Files that were not read, of a listing or an archive, under one heading."""

    place: str
    heading: str
    files: int
    example: str


class StageTime(TypedDict):
    """A stage of the scan. seconds: wall time; share: of the whole scan."""

    stage: str
    seconds: float
    share: float


class ScoreShares(TypedDict):
    """Histograms of log-odds over common edges, as shares of each side, with how many images it has."""

    edges: list[float]
    shares: dict[str, list[float]]
    counts: dict[str, int]


class PinnedNight(TypedDict):
    """The baseline: the night that others are compared with."""

    baseline_number: int
    night: str
    night_run_id: str
    images: int
    encoder_id: str
    pinned_at: str
    ruling: bool


class NightDrift(TypedDict):
    """How the night differs from the baseline. mmd_images: of both sides, how many were compared."""

    baseline: PinnedNight | None
    images: int
    psi: float | None
    psi_by_chance: float | None
    ks: float | None
    ks_p: float | None
    mmd: float | None
    mmd_p: float | None
    mmd_images: list[int]


class MapCounts(TypedDict):
    """Images of the night and on the map; the share of the variance that its two axes explain."""

    images: int
    shown: int
    explained: list[float]


class Reason(TypedDict):
    """Why an image is flagged: the one `deciding` label of those `tried`, or a `note` why that cannot be told; `label`:
    the deciding one, else the nearest negative, with the fields of an `ExplainedLabel` as JSON has them."""

    deciding: str | None
    tried: int
    note: str | None
    label: Row | None


class ArrivedImage(TypedDict):
    """An image that arrived. margin: log-odds above the cut, None without one."""

    image_id: str
    uri: str
    id_score: float
    log_odds: float
    cut: float | None
    name: str
    name_margin: float | None
    top_id: str
    top_id_cosine: float | None
    top_negative: str | None
    top_negative_cosine: float | None
    source_label: str | None
    group_id: str
    present: bool
    margin: float | None


class GalleryImage(ArrivedImage):
    """One of a gallery. alike: flagged images of its group; cluster: its number on the map."""

    alike: int
    cluster: int | None
    reason: Reason | None


class ClusterData(TypedDict):
    """Flagged images that lie together. name: of most of them. before: how many flagged earlier lie there too."""

    name: str
    images: int
    new: bool
    before: int
    examples: list[ArrivedImage]


class NightData(TypedDict):
    """All of a night."""

    night: NightFacts
    ruled_by: dict[str, str | None] | None
    decided_by: DecidedBy
    accounting: Accounting
    lake: dict[str, int]  # what is there now: objects, data = images + duplicates + rejects
    flags: FlagRate
    nights: list[NightRate]
    rejects: list[RejectCount]
    passed_over: list[PassedFiles]
    stages: list[StageTime]
    shards: list[dict[str, object]]
    scores: ScoreShares
    drift: NightDrift
    map: MapCounts
    clusters: list[ClusterData]
    certain: list[GalleryImage]
    doubtful: list[GalleryImage]
    figures: dict[str, float | None]
    broken_limits: list[str]
