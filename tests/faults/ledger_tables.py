"""What two workspaces must agree in to count as equal, whatever was done to one of them on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curator.errors import CuratorError
from curator.store import Database, run_checks
from curator.vectors import read_shard
from curator.workspace.layout import slug

# Columns that may differ are left out: who ran, when, how long it took. Rows that a run adds each time are told once.
TABLES = {
    "source_object": "object_uri, role, kind, byte_size, version, encoder_id, data_count, gone_run_id is null",
    "location": "uri, role, object_uri, object_version, member, byte_offset, byte_size, source_label, image_id, "
    "shard_id",
    "image": "image_id, byte_size, width, height, format, mode, animated, remark",
    "reject": "uri, role, object_uri, object_version, member, stage, reason, detail, image_id",
    "passed_member": "object_uri, role, heading, files",
    "vector": "image_id, encoder_id, vector_file, row_index",
    "shard": "shard_id, encoder_id, role, kind, data_count, image_count, duplicate_count, reject_count, byte_count",
    "near_duplicate": "image_id, neighbour_id, encoder_id, cosine",
    "group_member": "image_id, group_id, encoder_id, cosine",
    "compared_file": "vector_file, encoder_id",
    "score": "image_id, encoder_id, bank_digest, method_id, id_score, log_odds, id_label, id_cosine, negative_label, "
    "negative_cosine",
    "image_name": "* exclude (run_id)",
    "bank": "bank_digest, name, version, encoder_id, id_count, negative_count, spec",
    "label": "*",
    "policy": "distinct name, encoder_id, bank_digest, method_id, min_log_odds, min_id_score, rule, level, by_class, "
    "calibration_id",
    "policy_class": "distinct id_label, image_count, min_log_odds, min_id_score",
    "policy_night": "distinct id_label, image_count, min_log_odds, min_id_score",
    "calibration": "calibration_id, encoder_id, bank_digest, method_id, reference_digest, image_count",
    "calibration_score": "* exclude (run_id)",
    "baseline": "encoder_id",
    "baseline_image": "baseline_number, image_id",
    "evaluation": "distinct encoder_id, protocol, positive, replicates, seed",
    "evaluation_set": "distinct * exclude (run_id)",
    "evaluation_metric": "distinct * exclude (run_id)",
    "generator_call": "* exclude (run_id, seconds, finished_at, attempts)",
    "label_evidence": "*",
    "bank_picture": "*",
    "review": "image_id, group_id, decision, wrong_label, note, reviewer, origin",
    "report.selection": "bank_digest, method_id, policy_name, min_log_odds",
    "report.accounting": "*",
    "report.scores": "image_id, uri, id_score, log_odds, flagged, name, top_id, top_negative",
}
Tables = dict[str, list[dict[str, Any]]]


def tables_of(snapshot: Path) -> Tables:
    with Database.open_reader(snapshot) as database:
        return {
            name: database.arrow(f"select {columns} from {name} order by all").to_pylist()
            for name, columns in TABLES.items()
        }


def differences(found: Tables, expected: Tables, *, without: tuple[str, ...] = ()) -> list[str]:
    """The tables in which two workspaces differ, with the first row that only one of them has."""
    told = []
    for name, rows in expected.items():
        if name not in without and (others := found[name]) != rows:
            missing = next((row for row in rows if row not in others), None)
            added = next((row for row in others if row not in rows), None)
            told.append(f"{name}: {len(others)} rows instead of {len(rows)}; missing {missing}, added {added}")
    return told


def faults_in(workspace: Path) -> list[str]:
    """What is wrong in a workspace: broken rules, rows that refer to files that are missing or damaged."""
    snapshot = workspace / "published" / "curator.duckdb"
    with Database.open_reader(snapshot) as database:
        told = [
            f"check {result.name}: {result.violators.to_pylist()[0]}"
            for result in run_checks(database)
            if not result.healthy
        ]
        rows = database.arrow("select distinct encoder_id, vector_file from vector").to_pylist()
        banks = database.arrow("select name, bank_digest from bank").to_pylist()
        artefacts = database.arrow(
            "select distinct artefact from generator_call where artefact is not null"
        ).to_pylist()
    for row in rows:
        try:
            read_shard(workspace / "vectors" / slug(row["encoder_id"]) / f"{row['vector_file']}.safetensors")
        except CuratorError as fault:
            told.append(str(fault))
    files = [workspace / "banks" / row["name"] / row["bank_digest"] / "bank.json" for row in banks]
    files += [workspace / "generated" / row["artefact"] for row in artefacts]
    return told + [f"{path} is referred to and missing" for path in files if not path.is_file()]


def half_files(workspace: Path) -> list[Path]:
    """Vector files that are not whole, referred to or not."""
    found = []
    for path in (workspace / "vectors").rglob("*.safetensors"):
        try:
            read_shard(path)
        except CuratorError:
            found.append(path)
    return found
