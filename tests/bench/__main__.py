"""`make bench`: speed on this machine, each claim as a ratio or a rate measured in this one run.

Prints the table of docs/performance.md and writes the figures to bench/latest.json. Nothing here is asserted: a busy
machine gives other figures, and a test that fails on a busy machine teaches nobody anything.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from curator.__main__ import yield_idle_cores

yield_idle_cores()  # as the command does, before torch is imported

from curator.engines.growth import WHY, Growth  # noqa: E402
from tests.bench.app import app_speed, large_workspace  # noqa: E402
from tests.bench.banks import imagenet_bank  # noqa: E402
from tests.bench.cluster import scan_times  # noqa: E402
from tests.bench.decoding import decode_speed  # noqa: E402
from tests.bench.growth import night_costs, table  # noqa: E402
from tests.bench.joins import join_speed  # noqa: E402
from tests.bench.learning import learning_cost  # noqa: E402
from tests.bench.map_libraries import library_figures  # noqa: E402
from tests.bench.measures import (  # noqa: E402  # after the line above
    faiss_rates,
    ledger_rows_per_second,
    listing_seconds,
    precision_rates,
    scan_share,
)
from tests.bench.mining import mining_speed  # noqa: E402
from tests.bench.projections import projection_figures  # noqa: E402
from tests.bench.scoring import scoring_speed  # noqa: E402
from tests.bench.starting import starting_seconds  # noqa: E402
from tests.bench.transport import busy_share, engine_rates, parent_cost  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def median_share(folder: Path, address: str, images: int) -> list[tuple[str, str]]:
    """Scan throughput against the ideal, the median of three rounds."""
    rounds = [scan_share(folder / f"{number}", address, images) for number in range(3)]
    chosen = sorted(rounds, key=lambda found: found.share)[1]
    value = (
        f"{chosen.share:.2f} of the ideal: {chosen.scanned:.0f} images/s; decode {chosen.decode_ms:.2f} ms a core, "
        f"encode {chosen.encode_ms:.2f} ms; {chosen.alone_ms:.2f} of {chosen.whole_ms:.2f} ms of processor time are "
        f"theirs; a scan of ten {chosen.few_seconds:.1f} s"
    )
    spread = f"{min(found.share for found in rounds):.2f} to {max(found.share for found in rounds):.2f}"
    return [(f"scan throughput, {address}, {images} JPEGs of 640 x 480", f"{value} (three rounds: {spread})")]


def decoding(folder: Path) -> list[tuple[str, str]]:
    return [
        (
            f"decode and resize a JPEG of {found.size} to 224, one core",
            f"{found.pillow / found.ours:.1f} times Pillow alone: {found.ours:.2f} against {found.pillow:.2f} ms, "
            f"{found.full:.2f} where it decodes in full; by simplejpeg and torch {found.torch:.2f} ms, "
            f"{found.pillow / found.torch:.1f} times; {found.decoder:.2f} ms of it the decoder's, "
            f"{found.measures:.2f} more for what is measured of the picture; "
            f"peak memory of a decode process {found.peak_bytes / 2**20:,.0f} MiB",
        )
        for found in decode_speed()
    ]


def precision(folder: Path) -> list[tuple[str, str]]:
    rates = precision_rates("open_clip:ViT-B-32/random", images=96)
    ratio = rates["bfloat16"] / rates["float32"]
    text = f"{ratio:.1f} times: {rates['bfloat16']:.0f} against {rates['float32']:.0f} images/s"
    return [("encode ViT-B-32 in bfloat16 against float32", text)]


def ledger(folder: Path) -> list[tuple[str, str]]:
    rate = statistics.median(ledger_rows_per_second(folder / f"{number}", rows=1_000_000) for number in range(3))
    return [("score rows written to the ledger", f"{rate:,.0f} rows/s")]


def listing(folder: Path) -> list[tuple[str, str]]:
    return [("scan of 100,000 unchanged files", f"{listing_seconds(folder, objects=100_000):.2f} s, none opened")]


def neighbours(folder: Path) -> list[tuple[str, str]]:
    return [
        (f"10 nearest of 100,000 x 256, {found.recipe}", f"{found.rate:,.0f} queries/s, recall {found.recall:.3f}")
        for found in faiss_rates(count=100_000, dimension=256, recipes=("flat", "ivf_flat"))
    ]


def near_duplicates(folder: Path) -> list[tuple[str, str]]:
    found = []
    for images in (100_000, 1_000_000):
        lake = folder / str(images)
        lake.mkdir()
        found.append(join_speed(lake, images, new=10_000, dimension=512))
    small, large = found
    value = (
        f"{large.join:.2f} s against {small.join:.2f} s: {large.join / small.join:.1f} times; comparing with all of "
        f"100,000: {small.exact or 0:.1f} s, the same pairs; partition of 1,000,000 made in {large.build:.0f} s; "
        f"peak memory {small.peak_bytes / 2**20:,.0f} and {large.peak_bytes / 2**20:,.0f} MiB"
    )
    return [("near-duplicates of 10,000 new images, 1,000,000 x 512 in the lake against 100,000", value)]


def growth(folder: Path) -> list[tuple[str, str]]:
    """What curator/engines/growth.py and docs/scaling-out.md hold is printed besides."""
    sizes, new = (100_000, 1_000_000), 10_000
    small, large = night_costs(folder, sizes=sizes, new=new, dimension=512)
    seconds = {name: (round(small.stages[name], 2), round(large.stages[name], 2)) for name in WHY}
    print(f"\nseconds={seconds}\n")
    print("\n".join(table(Growth(machine(), sizes, new, seconds))), flush=True)
    value = (
        f"{large.seconds:.1f} s against {small.seconds:.1f} s: {large.seconds / small.seconds:.2f} times; peak memory "
        f"{large.peak_bytes / 2**20:,.0f} and {small.peak_bytes / 2**20:,.0f} MiB"
    )
    return [("a night of 10,000 new images, 1,000,000 in the lake against 100,000, fake:512, end to end", value)]


def scoring(folder: Path) -> list[tuple[str, str]]:
    rows = []
    for precision, images in (("fast", 1_000_000), ("full", 200_000)):
        found = scoring_speed(images=images, precision=precision)
        value = (
            f"{found.seconds:.0f} s, {found.kernel:,.0f} images/s: {found.kernel / found.plain:.1f} times the plain "
            f"form ({found.plain:,.0f}); peak memory {found.peak_first / 2**20:,.0f} MiB after a tenth, "
            f"{found.peak_all / 2**20:,.0f} MiB at the end"
        )
        rows.append((f"score {images:,} x 512 against 11,000 labels, NegLabel, {precision}", value))
    return rows


def mining(folder: Path) -> list[tuple[str, str]]:
    found = mining_speed("texts")
    value = (
        f"{found.seconds:.2f} s: {found.plain_seconds / found.seconds:.1f} times the straightforward form "
        f"({found.plain_seconds:.2f} s); memory +{found.memory:.0f} against +{found.plain_memory:.0f} MiB"
    )
    return [("NegLabel mining, 70,000 candidates, 1,000 ID labels, 512 dimensions", value)]


def banks(folder: Path) -> list[tuple[str, str]]:
    found = imagenet_bank(folder)
    value = (
        f"{found.cold:.0f} s: {found.id_labels} ID labels, {found.candidates:,} candidates, {found.negatives:,} "
        f"negatives; {found.warm:.0f} s after a change of the spec"
    )
    return [("build the bank of ImageNet-1k with mini, offline, from nothing", value)]


def learning(folder: Path) -> list[tuple[str, str]]:
    found = learning_cost(folder / "workspace", images=1_000_000)
    value = (
        f"{found.seconds:.0f} s ({found.processor_seconds:.0f} s of processors), at most "
        f"{found.peak_bytes / 2**20:,.0f} MiB; {found.summary['negative_labels']:,} "
        "negatives learnt"
    )
    return [("`bank ants --describer vocabulary` on 1,000,000 stored vectors of 512 dimensions, fake encoder", value)]


def cluster(folder: Path) -> list[tuple[str, str]]:
    found = scan_times(folder, "mini", 8000)
    return [
        ("`curator plan` for 8,000 JPEGs, mini", f"{found.foretold:.0f} s foretold, {found.local:.0f} s taken"),
        ("the same scan by `--engine ray`, its workers' start included", f"{found.ray:.0f} s"),
    ]


def starting(folder: Path) -> list[tuple[str, str]]:
    found = starting_seconds(folder)
    return [("processor time of the smallest run", ", ".join(f"{name} {taken:.2f} s" for name, taken in found.items()))]


def parent(folder: Path) -> list[tuple[str, str]]:
    rows = []
    for address in ("free:16", "free:512"):
        found = parent_cost(folder / address, address, 12_000)
        stages = ", ".join(f"{name} {taken:.2f}" for name, taken in found.stages_ms.items() if taken >= 0.005)
        value = (
            f"{found.parent_ms:.2f} ms of processor time in the scan's own process ({stages}), "
            f"{found.whole_ms:.2f} ms in all; "
            f"{found.scanned:.0f} images/s, "
            f"{found.share:.2f} of decoding alone with all cores at once ({found.decode_ms:.2f} ms a core); "
            f"peak memory {found.peaks.parent / 2**20:.0f} MiB, of a worker {found.peaks.worker / 2**20:.0f} MiB"
        )
        dimensions = address.partition(":")[2]
        rows.append((f"an image of a scan with an encoder of no cost, 224 px, {dimensions} dimensions", value))
    return rows


def device(folder: Path) -> list[tuple[str, str]]:
    rows = []
    for rate in (2000, 6000):
        share, reached = busy_share(folder / str(rate), rate, 4 * rate)
        rows.append((f"busy share of a pretended device of {rate:,} images/s", f"{share:.2f}: {reached:,.0f} images/s"))
    return rows


def engines(folder: Path) -> list[tuple[str, str]]:
    rounds = sorted(engine_rates(folder, "mini", 3000), key=lambda rates: rates["ray"] / rates["local"])
    shares = [rates["ray"] / rates["local"] for rates in rounds]
    middle = rounds[len(rounds) // 2]
    value = (
        f"{statistics.median(shares):.2f}: {middle['ray']:.0f} against {middle['local']:.0f} images/s "
        f"(three rounds: {shares[0]:.2f} to {shares[-1]:.2f})"
    )
    return [("throughput by `--engine ray` against the local engine, mini, two decode workers, once started", value)]


def app(folder: Path) -> list[tuple[str, str]]:
    found = app_speed(large_workspace(folder, 100_000))
    what = f"curator app, {found.images:,} images, in Chromium"
    return [
        (
            f"{what}: from the page to all pictures of the first grid; with thumbnails kept",
            f"{found.grid_cold:.2f}; {found.grid:.2f} s",
        ),
        (f"{what}: scrolling", f"{found.frames_per_second:.0f} frames/s, 95 % within {found.slowest:.0f} ms"),
        (f"{what}: a drag over {found.selected:,} has selected them", f"{found.select_milliseconds:.0f} ms"),
        (f"{what}: the cut is moved, counts and grid follow", f"{found.cut_milliseconds:.0f} ms at most"),
        (f"{what}: the map is zoomed", f"{found.map_frames_per_second:.0f} frames/s"),
        (f"{what}: the cut is moved, the map follows too", f"{found.map_cut_milliseconds:.0f} ms at most"),
        (
            f"{what}: a lasso on the map over {found.lassoed:,} has selected them",
            f"{found.lasso_milliseconds:.0f} ms",
        ),
        (f"{what}: memory of the server; at most", f"{found.memory:,.0f}; {found.peak_memory:,.0f} MiB"),
    ]


def map_libraries(folder: Path) -> list[tuple[str, str]]:
    rows = []
    for found in library_figures():
        drawn = f"first frame {found.first:.0f} ms, moved {found.pan:.1f}, zoomed {found.zoom:.1f} frames/s"
        notes = [f"{found.size / 2**20:.2f} MiB, {found.licence}"] if found.licence else []
        notes += [drawn if found.first else "not drawn", *filter(None, [found.fault])]
        notes += [f"needs a build step: its modules import {', '.join(found.bare)}"] if found.bare else []
        rows.append((f"100,000 points, {found.name}", "; ".join(" ".join(note.split()) for note in notes)))
    return rows


def projections(folder: Path) -> list[tuple[str, str]]:
    rows = []
    for images in (10_000, 100_000):
        for found in projection_figures(images, twice=images <= 10_000):
            same = "" if found.same is None else f"; twice the same: {'yes' if found.same else 'no'}"
            value = f"{found.seconds:.0f} s, after {found.starting:.0f} s for 200 vectors{same}"
            rows.append((f"map of {images:,} x 512, {found.name}", value))
    return rows


def main(names: Sequence[str] = ()) -> None:
    """All measures, or those that are named."""
    measures: dict[str, Callable[[Path], list[tuple[str, str]]]] = {
        "scan": lambda folder: median_share(folder, "mini", 2000),
        "scan-vit": lambda folder: median_share(folder, "open_clip:ViT-B-32/random", 1500),
        "decode": decoding,
        "precision": precision,
        "scoring": scoring,
        "mining": mining,
        "banks": banks,
        "ledger": ledger,
        "listing": listing,
        "neighbours": neighbours,
        "near-duplicates": near_duplicates,
        "growth": growth,
        "learning": learning,
        "cluster": cluster,
        "parent": parent,
        "device": device,
        "engines": engines,
        "starting": starting,
        "app": app,
        "map-libraries": map_libraries,
        "projections": projections,
    }
    rows: list[tuple[str, str]] = []
    print(f"Measured {date.today()} on {machine()}.\n\n| what | figure |\n|---|---|", flush=True)
    for measure in [measures[name] for name in names or measures]:
        with tempfile.TemporaryDirectory(prefix="curator-bench-") as folder:
            for name, value in measure(Path(folder)):
                rows.append((name, value))
                print(f"| {name} | {value} |", flush=True)
    target = ROOT / "bench" / "latest.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"machine": machine(), "date": str(date.today()), "figures": dict(rows)}, indent=1))


def machine() -> str:
    """The processor, its cores, and what matters of it."""
    import torch

    from curator.encoders import torch_runtime

    native = " with native bfloat16" if torch_runtime.cpu_computes_bfloat16() else ""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else platform.machine()}{native}{gpu}"


if __name__ == "__main__":
    started = time.perf_counter()
    main(sys.argv[1:])
    print(f"\n{time.perf_counter() - started:.0f} s in all")
