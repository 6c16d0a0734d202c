"""`make evaluation DATA=…`: how well the embedded encoder's banks and methods tell ID from OOD, with what holds it up.

Three questions, each answered on images as they are and on the same images saved alike, since archives differ in size
and compression, and an encoder sees that:

1. Methods that need no learning, with 3, 10, 50, 200 and 1,000 ID labels.
2. Every method with 100 ID labels. Banks that learn do so from the images of a night, and are measured on others.
3. Banks that learn, from nights in which 0, 2, 10 and 50 % of the images are OOD, against the bank they began with.

Prints the tables of docs/evaluation.md; with WRITE=1 puts them there too. With FOLDER=… it works there, and one
that was cut off goes on where it was.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

from curator.__main__ import yield_idle_cores

yield_idle_cores()  # as the command does, before torch is imported

from curator.banks import DEFAULT_SPEC, TextCache  # noqa: E402
from curator.errors import BankError  # noqa: E402
from curator.workspace import EvaluationSummary, Workspace  # noqa: E402
from curator.workspace.context import Context  # noqa: E402
from tests.bench import label_counts  # noqa: E402
from tests.bench.evaluation_images import OOD_SETS, images_of, unpack  # noqa: E402
from tests.bench.label_counts import ID_SET  # noqa: E402
from tests.bench.nights import learnt_nights, night_table  # noqa: E402  # after the line above

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "evaluation.md"
BEGIN, END = "<!-- evaluation: what `make evaluation` printed -->", "<!-- /evaluation -->"

FORMAT = "64,70"  # what every set can give
OTHERS = "other thumbnails"
NEAR = (OTHERS, "objects", "imagenette")
# What is measured on which bank.
BANKS: dict[str, tuple[str, ...]] = {
    "base": (
        "mcm:scale=1",
        "mcm",
        "max_logit",
        "energy",
        "eoe",
        "neglabel:group_count=1",
        "neglabel",
        "interneg",
        "knn",
        "fusion",
        "mahalanobis",
        "mahalanobis:shrinkage=0.1",
        "mahalanobis:variant=relative,shrinkage=0.1",
        "residual",
        "vim",
    ),
    "csp": ("csp",),
    "adaneg": ("adaneg", "adaneg:mode=sample"),
    "tanl": ("tanl",),
    "oodd": ("oodd", "oodd:base=mcm"),
    "interneg": ("interneg",),
    "negrefine": ("negrefine",),
    "ants": ("ants", "ants:variant=ens", "ants:variant=vsnl"),
    "eoe": ("eoe",),
    "mmood": ("mmood",),
    "synood": ("synood", "synood:projection=off,labels=fixed"),
}
LEARNED = ("adaneg", "tanl", "oodd", "interneg", "negrefine", "ants", "eoe", "mmood", "synood")
FORCED = "-forced"  # behind the name of a bank that was refused
COUNTED = (
    *("mcm:scale=1", "mcm", "max_logit", "energy", "eoe", "neglabel:group_count=1", "neglabel"),
    *("neglabel:temperature=0.5", "knn", "fusion"),
)
TITLES = {
    "auroc": "AUROC",
    "fpr95_id_positive": "FPR95 ID+",
    "fpr95_ood_positive": "FPR95 OOD+",
    "flagged": "ID images flagged before a calibration (0: the method has no cut then)",
}
CSP = DEFAULT_SPEC.replace('name = "base"', 'name = "csp"').replace('method = "neglabel"', 'method = "csp"')


def main() -> None:
    data = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data").resolve()
    if not (data / "tiny64-wds-0001.tar").is_file():
        sys.exit(f"{data}: the development data are not there; name their folder: make evaluation DATA=…")
    started = time.perf_counter()
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="curator-evaluation-") as temporary:
        for line in report(data, Path(os.environ.get("FOLDER") or temporary)):
            lines.append(line)
            print(line, flush=True)
    if os.environ.get("WRITE"):
        write("\n".join(lines))
    say(f"{time.perf_counter() - started:.0f} s in all, from nothing")


def report(data: Path, folder: Path) -> Iterator[str]:
    """The lines of the tables. BANKS names those that are measured, by default all."""
    banks = os.environ.get("BANKS", "").split() or list(BANKS)
    workspace = take_in(folder, unpack(data, folder))
    base = evaluate(workspace, folder, "base")
    yield from count_tables(workspace)
    refused = {system: why for system in LEARNED if system in banks and (why := learn(workspace, system))}
    names = {bank: bank + FORCED if bank in refused else bank for bank in BANKS if bank in banks and bank != "base"}
    there = {"csp", *(row["name"] for row in workspace.banks().to_pylist())}
    others = [evaluate(workspace, folder, bank, name) for bank, name in names.items() if name in there]
    yield from method_table([base, *others], refused)
    if not os.environ.get("BANKS"):
        yield from nights(data, folder / "nights")


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def take_in(folder: Path, labels: Sequence[str]) -> Workspace:
    """A workspace of these ID labels that has scanned a night and knows ID images."""
    root = folder / "workspace"
    is_there = (root / "curator.toml").is_file()
    workspace = Workspace.open(root) if is_there else Workspace.create(root, labels=labels)
    (root / "banks" / "csp.toml").write_text(CSP, encoding="utf-8")
    workspace.scan(folder / "lake")
    workspace.calibrate(folder / "known")
    say("taken in")
    return workspace


def learn(workspace: Workspace, system: str) -> str:
    """Make the bank of a system; why it was refused, or nothing. What was refused is made under a name of its own, to
    be measured all the same."""
    started, refusal = time.perf_counter(), ""
    try:
        workspace.learn_bank(system, system)
    except BankError as fault:
        refusal = fault.message
        with suppress(BankError):
            workspace.learn_bank(system, system + FORCED, force=True)
    say(f"{system}: {refusal or 'made'}, {time.perf_counter() - started:.0f} s")
    return refusal


def evaluate(workspace: Workspace, folder: Path, bank: str, name: str = "") -> EvaluationSummary:
    """A bank with its methods, in both forms; `name`, where it has another. Images that may show what an ID label says
    are in no set."""
    started = time.perf_counter()
    sets = {name: folder / "measured" / name for name in OOD_SETS}
    labels = workspace.layout.labels.read_text(encoding="utf-8").splitlines()
    summary = workspace.evaluate(
        positive="id",
        id_sources=(folder / "measured" / ID_SET,),
        ood_sources={name: label_counts.unlike(labels, sorted(path.iterdir())) for name, path in sets.items()},
        id_labels=workspace.layout.labels,
        ood_rest=OTHERS,
        near=NEAR,
        banks=(name or bank,),
        methods=BANKS[bank],
        replicates=0,  # the tables show no intervals
        same_format=FORMAT,
    )
    say(f"{name or bank}: measured, {time.perf_counter() - started:.0f} s")
    return summary


def method_table(summaries: Sequence[EvaluationSummary], refused: Mapping[str, str]) -> Iterator[str]:
    """AUROC and both FPR95 in percent, a row for each bank and method, each figure in both forms."""
    first = summaries[0]
    ids, *ood = first.sets
    accuracy = {item.form: item.id_label_accuracy or 0.0 for item in first.measured}
    size, quality = FORMAT.split(",")
    own, same = (f"{accuracy[form]:.1%}" for form in ("as_is", "same_format"))
    yield "### Every method, 100 ID labels\n"
    yield (
        f"ID: {ids.images} thumbnails of 64 pixels, of 100 kinds. OOD, near: {_counted(ood, 'near')}; far: "
        f"{_counted(ood, 'far')}. Same format: every image is a JPEG, shortest side {size} pixels, quality {quality}."
    )
    yield (
        f"Nearest to {own} of the ID images is their own label, to {same} in the same format. Banks that learn had a "
        "night of other images, most of them OOD, and the embedded generators.\n"
    )
    heads = ("AUROC near", "AUROC far", "FPR95 ID+", "FPR95 OOD+")
    yield f"| method | bank | {' | '.join(f'{head} | same format' for head in heads)} |"
    yield f"|---|---|{'---|---|' * len(heads)}"
    for summary in summaries:
        found = {(row["method"], row["form"], row["ood"]): row for row in summary.rows()}
        for method in dict.fromkeys(item.method for item in summary.measured):
            cells = []
            for scope, metric in (
                ("near", "auroc"),
                ("far", "auroc"),
                ("average", "fpr95_id_positive"),
                ("average", "fpr95_ood_positive"),
            ):
                cells += [_percent(found[method, form, scope][metric]) for form in ("as_is", "same_format")]
            yield f"| `{method}` | {summary.measured[0].bank.partition('@')[0]} | {' | '.join(cells)} |"
    yield ""
    for system, why in refused.items():
        yield f"Refused, and measured as `{system}{FORCED}` where `--force` makes it: {why}\n"


def _counted(sets: Iterable[object], group: str) -> str:
    return ", ".join(f"{item.images} {item.name}" for item in sets if item.near_far == group)


def _percent(share: object) -> str:
    return f"{100 * float(str(share)):.1f}"


def count_tables(workspace: Workspace) -> Iterator[str]:
    """A table for each figure: methods down, numbers of labels across, in a cell `same format (as they are)`."""
    encoder = Context(workspace.layout, workspace.config).encoder
    cache = TextCache(workspace.layout.text_cache)
    found: dict[tuple[str, str, int], label_counts.Row] = {}
    for form, saved in (("as_is", None), ("same_format", FORMAT)):
        images = images_of(workspace, same_format=saved)
        say(f"images, {form}")
        for row in label_counts.measure_counts(images, encoder, cache, {"base": DEFAULT_SPEC}, {"base": COUNTED}):
            found[form, row.method, row.labels] = row
        say(f"label counts, {form}")
    counts = label_counts.COUNTS
    for metric, title in TITLES.items():
        yield f"### {title} by the number of ID labels: same format (as they are)\n"
        yield f"| method | {' | '.join(f'{count:,}' for count in counts)} |\n|---|{'---|' * len(counts)}"
        for method in COUNTED:
            rows = [(found["same_format", method, count], found["as_is", method, count]) for count in counts]
            cells = [f"{100 * getattr(same, metric):.1f} ({100 * getattr(as_is, metric):.1f})" for same, as_is in rows]
            yield f"| `{method}` | {' | '.join(cells)} |"
        yield ""
    shares = [f"{count:,}: {found['same_format', COUNTED[0], count].accuracy:.1%}" for count in counts]
    yield f"ID images whose nearest ID label is their own, same format: {', '.join(shares)}.\n"


def nights(data: Path, folder: Path) -> Iterator[str]:
    """What banks that learn make of nights with more and less OOD in them."""
    shutil.rmtree(folder, ignore_errors=True)
    found = []
    for alike in (False, True):
        found += learnt_nights(data, folder, tasks=("thumbnails",), saved_alike=alike)
        say(f"nights, {'saved alike' if alike else 'as they are'}")
    worse = [item for item in found if not item.holds]
    yield "### Banks that learn, by the share of OOD images in their night: AUROC on other images\n"
    yield "In brackets: what a bank that was refused would have been; its night held too little OOD, or it was worse.\n"
    yield night_table(found)
    yield f"\nOf {len(found)} banks, {len(worse)} were kept and are worse than their parent by more than a point.\n"


def write(text: str) -> None:
    """Put the tables between their marks in the guide."""
    before, _, rest = GUIDE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    head = f"Measured {date.today():%Y-%m-%d} with `mini`, in percent; see `tests/bench/evaluation.py`.\n\n"
    GUIDE.write_text(f"{before}{BEGIN}\n{head}{text.rstrip()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
