"""`make evaluation DATA=…`: every method with the embedded encoder on the development data; prints the README's table.

ID: 100 of the 200 classes of the small web photographs (`tiny64-wds-0001.tar`). OOD, near: its other 100 classes. OOD,
far: scenes, clothing, cartoons, brain scans, pictures of a terminal. kNN and fusion get the ID classes of the other
archive (`tiny64-wds-0000.tar`) as reference images. Figures of `mini` on such data say how methods compare on an easy
task for a small encoder; they say nothing about published benchmarks.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
import time
from pathlib import Path

from curator.workspace import EvaluationSummary, Workspace

# What is measured on which bank.
BANKS: dict[str, tuple[str, ...]] = {
    "base": (
        "mcm:scale=1",
        "mcm",
        "max_logit",
        "energy",
        "eoe",
        "eoe:variant=energy",
        "neglabel:group_count=1",
        "neglabel",
        "knn",
        "fusion",
    ),
    "csp": ("csp",),
    "adaneg": ("adaneg", "adaneg:mode=sample"),
    "tanl": ("tanl",),
    "ants": ("ants", "ants:variant=ens", "ants:variant=vsnl"),
    "eoe": ("eoe",),
    "mmood": ("mmood",),
    "synood": (
        "synood",
        "synood:labels=fixed",
        "synood:projection=off",
        "synood:projection=off,labels=fixed",
    ),
}
LEARNED = ("adaneg", "tanl", "ants", "eoe", "mmood", "synood")
FAR = {
    "scenes": "scenes.parquet",
    "clothing": "clothing.parquet",
    "cartoons": "cartoons",
    "brain scans": "brain-mri",
    "terminal": "terminal-near-duplicates",
}
IDS, REFERENCE = "tiny64-wds-0001.tar", "tiny64-wds-0000.tar"
CSP_SPEC = """\
name = "csp"
[id]
labels = "labels.txt"
[mining]
method = "csp"
"""


def classes_of(archive: Path) -> list[str]:
    """The labels of a WebDataset archive."""
    with tarfile.open(archive) as members:
        labels = (members.extractfile(member) for member in members if member.name.endswith(".cls.txt"))
        return sorted({label.read().decode() for label in labels if label is not None})


def evaluate(data: Path, folder: Path) -> list[EvaluationSummary]:
    """Every bank with the methods that it is for, all on the same vectors. Banks that learn do so from the very images
    that are measured, without their labels: that is how the published systems that adapt at test time work."""
    workspace = Workspace.create(folder / "workspace", labels=classes_of(data / IDS)[:100])
    (workspace.layout.root / "banks" / "csp.toml").write_text(CSP_SPEC, encoding="utf-8")
    workspace.scan(data / IDS, *(data / path for path in FAR.values()))
    workspace.calibrate(data / REFERENCE)
    for system in LEARNED:
        summary = workspace.learn_bank(system, system)
        print(f"{summary.bank}: {summary.sent} calls, {summary.seconds:.0f} s", file=sys.stderr)
    return [measured(data, workspace, bank) for bank in BANKS]


def measured(data: Path, workspace: Workspace, bank: str) -> EvaluationSummary:
    return workspace.evaluate(
        id_sources=[data / IDS],
        ood_sources={name: [data / path] for name, path in FAR.items()},
        id_labels=workspace.layout.labels,
        ood_rest="other classes",
        near=("other classes",),
        banks=(bank,),
        methods=BANKS.get(bank, ()),
        reference=[data / REFERENCE],
        positive="id",
        replicates=0,  # the table shows no intervals
    )


def main() -> None:
    data = Path(sys.argv[1]).resolve()
    if not (data / "tiny64-wds-0001.tar").is_file():
        sys.exit(f"{data}: the development data are not there; name their folder: make evaluation DATA=…")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="curator-evaluation-") as folder:
        summaries = evaluate(data, Path(folder))
    print_table(summaries)
    print(f"\n{time.perf_counter() - started:.0f} s in all, banks built from nothing", file=sys.stderr)


def print_table(summaries: list[EvaluationSummary]) -> None:
    """AUROC and both FPR95 in percent, a row for each bank and method."""
    sets = [item for item in summaries[0].sets if item.side == "ood"]
    near = next(item.name for item in sets if item.near_far == "near")
    ids = next(item for item in summaries[0].sets if item.side == "id")
    accuracy = summaries[0].measured[0].id_label_accuracy or 0.0
    print(f"{ids.images} ID images of 100 classes; OOD: " + ", ".join(f"{item.images} {item.name}" for item in sets))
    print(f"Nearest ID label is the right one: {accuracy:.1%} (bank base)\n")
    heads = [f"{name} {group}" for name in ("AUROC", "FPR95 ID+", "FPR95 OOD+") for group in ("near", "far")]
    print(f"| method | bank | {' | '.join(heads)} |\n|---|---|{'---|' * len(heads)}")
    for summary in summaries:
        figures = {(row["bank"], row["method"], row["ood"]): row for row in summary.rows()}
        for item in summary.measured:
            rows = figures[item.bank, item.method, near], figures[item.bank, item.method, "far"]
            names = ("auroc", "fpr95_id_positive", "fpr95_ood_positive")
            cells = [f"{100 * row[name]:.1f}" for name in names for row in rows]
            print(f"| `{item.method}` | {item.bank.partition('@')[0]} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
