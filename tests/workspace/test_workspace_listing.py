"""A listing compared with the ledger part by part comes to what comparing the whole of it would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.errors import SourceError
from curator.store import Database, Ledger
from curator.store.migrate import migrate
from curator.store.tables import object_table
from curator.types import Reject, SourceObject
from curator.workspace.scan import listing as scan
from curator.workspace.scan.listing import list_source
from curator.workspace.scan.request import ScanRequest

ENCODER = "fake-0123"
# Around the separator, and beyond the plane in which UTF-16 sorts otherwise.
NAMES = st.lists(
    st.sampled_from(["a", "a.jpg", "a/b", "a-b", "b/", "é", "ｚ", "\U0001f600", "~"]), min_size=1, max_size=3
)


@dataclass
class Listed:
    """A source that gives these, in this order."""

    found: list[SourceObject | Reject]
    name: str = "/lake"
    prefix: str = "/lake/"
    ignored: dict[str, int] = field(default_factory=dict)

    def list(self) -> Iterator[SourceObject | Reject]:
        return iter(self.found)

    def covers(self, uri: str) -> bool:
        return uri.startswith(self.prefix) and not uri.endswith("~")


def objects(versions: dict[str, str]) -> list[SourceObject]:
    return [SourceObject(uri, uri, "file", 7, version) for uri, version in sorted(versions.items())]


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Iterator[Database]:
    with Database.open(tmp_path_factory.mktemp("listing") / "ledger.duckdb") as opened:
        migrate(opened)
        yield opened


def know(database: Database, versions: dict[str, str]) -> None:
    """The ledger has read these objects of the lake, and no others."""
    database.execute("delete from source_object")
    found = object_table(objects(versions), "lake").drop_columns("position").to_pylist()
    Ledger(database, "run").add(
        source_object=[row | {"encoder_id": ENCODER, "data_count": 1, "gone_run_id": None} for row in found]
    )


addresses = NAMES.map(lambda parts: "/lake/" + "".join(parts))
versions = st.dictionaries(addresses, st.sampled_from(["1", "2"]), max_size=12)


@given(before=versions, now=versions, part=st.integers(1, 5))
def test_in_parts_it_is_as_if_whole(database, before, now, part):
    know(database, before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "LISTED", part)
        found = list_source(database, Listed(objects(now)), ScanRequest(("/lake",)), encoder_id=ENCODER)
    assert sorted(found.gone) == sorted(uri for uri in before.keys() - now.keys() if not uri.endswith("~"))
    assert [item.uri for item in found.to_read] == sorted(uri for uri in now if before.get(uri) != now[uri])
    assert found.known == {uri for uri in now if before.get(uri, now[uri]) != now[uri]}
    counts = found.counts
    assert counts.objects_listed == len(now) == counts.objects_new + counts.objects_changed + counts.objects_unchanged
    assert (counts.bytes_listed, counts.bytes_to_read) == (7 * len(now), 7 * len(found.to_read))


def test_what_lies_in_a_folder_that_could_not_be_listed_is_not_gone(database, monkeypatch):
    know(database, {"/lake/a.jpg": "1", "/lake/shut/b.jpg": "1", "/lake/shut-not/c.jpg": "1", "/lake/z.jpg": "1"})
    shut = Reject("/lake/shut", "/lake/shut", "list", "unreadable_folder", "permission denied")
    monkeypatch.setattr(scan, "LISTED", 1)
    found = list_source(
        database, Listed([*objects({"/lake/a.jpg": "1"}), shut]), ScanRequest(("/lake",)), encoder_id=ENCODER
    )
    assert found.gone == ["/lake/shut-not/c.jpg", "/lake/z.jpg"]
    assert found.counts.unlisted == 1


@pytest.mark.parametrize("part", [1, 100])
def test_a_listing_out_of_order_is_refused_since_objects_would_seem_gone(database, monkeypatch, part):
    know(database, {"/lake/a": "1", "/lake/b": "1"})
    monkeypatch.setattr(scan, "LISTED", part)
    source = Listed(objects({"/lake/a": "1", "/lake/b": "1"})[::-1])
    with pytest.raises(SourceError, match="not in order"):
        list_source(database, source, ScanRequest(("/lake",)), encoder_id=ENCODER)
