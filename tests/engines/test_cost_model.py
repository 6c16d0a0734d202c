"""The cost model says what its words say, and an allotment fits its cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.config import RaySection
from curator.engines.cost_model import Fleet, StageCosts, estimate
from curator.engines.growth import MEASURED, WHY, Growth
from curator.engines.ray_engine import allot
from curator.errors import EngineError

COSTS = StageCosts(
    list_object=1e-5,
    read=1e-3,
    decode=4e-3,
    encode=2e-3,
    encode_cores=8,
    score=1e-4,
    commit=1e-5,
    hand_on=5e-5,
    publish=1e-9,
    object_images=2.0,
    source_bytes=100_000,
    vector_bytes=1040,
    ledger_bytes=600,
    reject_share=0.0,
)


def seconds(images: int, fleet: Fleet, costs: StageCosts = COSTS) -> dict[str, float]:
    return {stage.name: stage.seconds for stage in estimate(costs, fleet, images).stages}


def test_stages_on_cores_share_them():
    found = estimate(COSTS, Fleet(4, 10), 1_000_000)
    looked = sum(MEASURED.of(name, 1e6) for name in ("known", "count", "rest"))
    near, copied = 1e6 / MEASURED.new * MEASURED.of("near_duplicates", 5e5), MEASURED.of("copy", 1e6)
    published = 0.6 + MEASURED.of("publish", 0)
    assert {stage.name: pytest.approx(stage.seconds) for stage in found.stages} == {
        "list": 5.0,  # half a million objects
        "read, decode, encode and score": (1e-3 + 4e-3 + 8 * 2e-3 + 1e-4) * 1e6 / 40,
        "hand on and commit (one process)": 60.0,
        "near-duplicates (driver)": near,
        "look through the lake": looked,
        "publish": published,
        "copy as Parquet": copied,
    }
    assert found.seconds == pytest.approx(5 + 527.5 + near + looked + published + copied)
    assert found.bottleneck.name == "read, decode, encode and score"
    assert (found.vector_bytes, found.ledger_bytes) == (1.04e9, 6e8)
    assert found.driver_bytes == 16e6 + 500_000 * 700


def test_a_night_grows_with_the_lake_by_what_was_measured_in_two():
    growth = Growth("a machine", (100, 1100), 10, {"grows": (2.0, 4.0), "noise": (3.0, 2.0)})
    assert [growth.of("grows", lake) for lake in (100, 600, 1100, 10_100)] == pytest.approx([2, 3, 4, 22])
    assert growth.of("noise", 10**9) == 3.0
    assert WHY.keys() == MEASURED.seconds.keys()
    small, large = (estimate(COSTS, Fleet(1, 16), 10_000, lake=lake) for lake in (10**5, 10**9))
    assert (small.lake, large.lake) == (10**5, 10**9)
    assert small.bottleneck.name.startswith("read") and not large.bottleneck.name.startswith("read")
    grown = {stage.name for stage, before in zip(large.stages, small.stages, strict=True) if stage != before}
    assert grown >= {"list", "near-duplicates (driver)", "look through the lake", "publish", "copy as Parquet"}
    assert not grown & {"read, decode, encode and score", "hand on and commit (one process)"}


def test_gpus_encode_while_the_other_cores_read():
    costs = replace(COSTS, encode=5e-4, encode_cores=0)
    found = seconds(1_000_000, Fleet(2, 16, 4), costs)
    assert found["read and decode"] == pytest.approx(5e-3 * 1e6 / (32 - 8))
    assert found["encode and score"] == pytest.approx((5e-4 + 1e-4) * 1e6 / 8)


def test_more_machines_help_until_the_process_that_leads_limits():
    assert estimate(COSTS, Fleet(1, 16), 10**6).bottleneck.name.startswith("read")
    assert estimate(COSTS, Fleet(1000, 16), 10**9).bottleneck.name.startswith("near-duplicates")
    without = estimate(COSTS, Fleet(1000, 16), 10**9, near_duplicates=False, copied=False)
    assert {stage.name: stage.seconds for stage in without.stages}["copy as Parquet"] == 0
    assert without.bottleneck.name.startswith("hand on and commit")


def test_rejects_are_read_and_decoded_only():
    costs = replace(COSTS, reject_share=0.5)
    found = estimate(costs, Fleet(1, 8), 1000)
    assert found.vector_bytes == 500 * 1040
    assert seconds(1000, Fleet(1, 8), costs)["read, decode, encode and score"] == pytest.approx(
        (1000 * 5e-3 + 500 * (8 * 2e-3 + 1e-4)) / 8
    )


@given(
    cpus=st.integers(0, 600),
    gpus=st.integers(0, 64),
    device=st.sampled_from(["auto", "cpu", "cuda"]),
    options=st.builds(RaySection, st.just(""), st.integers(0, 9), st.integers(0, 90), st.integers(0, 9)),
)
def test_an_allotment_fits_the_cluster_or_is_refused(cpus, gpus, device, options):
    try:
        allotted = allot({"CPU": cpus, "GPU": gpus}, options, device=device)
    except EngineError as refused:
        assert f"the cluster has {cpus} cores and {gpus} GPUs: no room for" in refused.message
        return
    assert allotted.encoders * allotted.encoder_cpus + allotted.decoders <= cpus
    assert allotted.encoders * allotted.encoder_gpus <= gpus
    assert allotted.decoders >= 1 and allotted.encoders >= 1
    assert allotted.lanes_an_encoder * allotted.encoders >= allotted.decoders
    wanted = (options.encoders, options.decoders, options.encoder_cpus)
    given_ = (allotted.encoders, allotted.decoders, allotted.encoder_cpus)
    assert all(want in (0, got) for want, got in zip(wanted, given_, strict=True))


@pytest.mark.parametrize(
    ("cpus", "gpus", "device", "expected"),
    [
        (2, 0, "auto", (1, 1, 0, 1)),
        (16, 0, "auto", (1, 8, 0, 8)),
        (64, 0, "auto", (4, 8, 0, 32)),
        (64, 4, "auto", (4, 1, 1, 60)),
        (64, 4, "cpu", (4, 8, 0, 32)),
    ],
)
def test_a_cluster_is_divided_by_its_size(cpus, gpus, device, expected):
    found = allot({"CPU": cpus, "GPU": gpus}, RaySection(), device=device)
    assert (found.encoders, found.encoder_cpus, found.encoder_gpus, found.decoders) == expected
