"""Rows come in an order that SQL promises, and ties are broken: a ledger gives the same rows on every machine."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import curator
from curator.resources import read_folder
from curator.store import Database
from curator.store.migrate import migrate
from curator.store.queries import report_queries, shipped_queries
from tests.other_machine.sitecustomize import QUOTED, promises_order

READS = {
    name: query for name, query in shipped_queries().items() if query.sql.lower().startswith(("select", "with", "from"))
}
VIEWS = read_folder("curator.sql", "views", suffix=".sql")
SHIPPED = {
    **{name: query.sql for name, query in shipped_queries().items()},
    **{f"{kind}/{name}": text for kind in ("views", "macros", "checks")
       for name, text in read_folder("curator.sql", kind, suffix=".sql").items()},
}  # fmt: skip
CODE = "\n".join(path.read_text() for path in sorted(Path(curator.__file__).parent.rglob("*.py")))
LEDGER = Path(__file__).parents[1] / "golden" / "releases" / "schema-0008.tar.xz"


def brackets(sql: str) -> Iterator[str]:
    """What stands in each pair of brackets and around them all, the word before the bracket included, from the inside
    outwards; what stood in brackets inside is left out."""
    bare = QUOTED.sub("", sql).lower()
    while found := re.search(r"(\w*)\s*\(([^()]*)\)", bare):
        yield found[0]
        bare = bare[: found.start()] + found[1] + bare[found.end() :]
    yield bare


@pytest.mark.parametrize("name", READS)
def test_a_query_ends_in_order_by_or_says_that_any_order_will_do_or_is_asked_for_its_only_row(name):
    only_row = f'row("{name}"' in CODE and f'rows("{name}"' not in CODE and f'table("{name}"' not in CODE
    assert promises_order(READS[name].sql) or "n any order." in READS[name].description or only_row


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_cut_off_numbered_or_made_a_list_is_in_an_order(name):
    for part in brackets(SHIPPED[name]):
        ordered = "order by" in part
        assert ordered or not re.search(r"\blimit\s", part), part
        assert ordered or "distinct on" not in part, part
        assert ordered or not re.match(r"(list|array_agg|string_agg|group_concat|first|last|over)\(", part), part


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Database]]:
    """A ledger in which all that can be tied is, and the same with the rows of its tables the other way round."""
    folder = tmp_path_factory.mktemp("order")
    with tarfile.open(LEDGER) as packed:
        packed.extract("./workspace/ledger.duckdb", folder, filter="data")
    data = (folder / "workspace" / "ledger.duckdb").read_bytes()
    opened = []
    for direction in ("asc", "desc"):
        path = folder / f"{direction}.duckdb"
        path.write_bytes(data)
        database = Database.open(path)
        database.execute("set threads = 1")  # for so few rows others are in the way
        migrate(database)
        for statement in TIES:
            database.execute(statement)
        for table in database.column("list_tables"):
            database.execute(f"create table mixed as select * from {table} as t order by hash(t::varchar) {direction}")
            database.execute(f"delete from {table}")
            database.execute(f"insert into {table} from mixed")
            database.execute("drop table mixed")
        for name, sql in GIVEN.items():
            database.execute(
                f"create temp view incoming_{name} as from ({sql}) as t order by hash(t::varchar) {direction}"
            )
        opened.append(database)
    yield opened[0], opened[1]
    for database in opened:
        database.close()


TIES = (
    "update image set brightness_5 = 0, brightness_99 = 0.1, entropy = 2, edge_deviation = 9, level_deviation = 9",
    "update score set id_score = if(image_id < '4', 0.5, 1), log_odds = if(image_id < '4', 0, 100), id_label = 0, "
    "negative_label = 2",
    "update run set started_at = (select min(started_at) from run), finished_at = (select max(finished_at) from run)",
    "update shard set decode_seconds = 0, encode_seconds = 0, data_count = 1",
    "update evaluation_metric set value = 0.5",
    "update policy set created_at = (select min(created_at) from policy)",
    "update bank set created_at = (select min(created_at) from bank), version = 1",
    "insert into selection select selection_number + 9, * exclude (selection_number) from selection where policy_id "
    "is not null",
    "insert into policy by name select distinct on (score.bank_digest) policy.* replace ('other' as policy_id, "
    "score.bank_digest as bank_digest, score.method_id as method_id, -1.0 as min_log_odds) from policy, score "
    "where score.bank_digest <> policy.bank_digest order by policy.policy_id",
    "insert into near_duplicate select one.image_id, two.image_id, encoder_id, 0.99, 'r' from image as one, "
    "image as two, encoder where one.image_id < two.image_id",
    "insert into group_member select image_id, min(image_id) over (partition by image_id < '4'), encoder_id, 0.99, 'r' "
    "from image, encoder",
    "insert into calibration select calibration_id || '-too', * exclude (calibration_id) from calibration",
    "insert into calibration_score select calibration_id || '-too', * exclude (calibration_id) from calibration_score",
    "insert into bank_picture select bank_digest, row_number() over (order by call_id), call_id, call_id, 'x' "
    "from bank, generator_call where name = 'eoe'",
    "insert into review select row_number() over (order by image_id, who), image_id || who, image_id, null, "
    "if(who = 'ann', 'ood', 'id'), null, null, who, '2026-01-01', 'page', null, 'r' from image, "
    "(values ('ann'), ('bob')) as people (who)",
    "insert into baseline select run_number, run.run_id, encoder_id, started_at, run.run_id from run, encoder",
    "insert into baseline_image select run_number, image_id, run.run_id from run, image",
    "insert into source_object select * replace ('other' as role) from source_object where role = 'lake'",
    "insert into location select * replace ('other' as role, 7 as byte_offset) from location where role = 'lake'",
    "insert into encoder select encoder_id || '-too', * exclude (encoder_id) from encoder",
)
GIVEN = {
    "wanted": "select row_number() over (order by image_id) as position, image_id, 0.5::float as cosine from image",
    "named": "select image_id from image",
    "evaluated": "select row_number() over (order by image_id) as position, image_id from image",
    "object": "select row_number() over (order by object_uri) as position, object_uri, kind, byte_size, version "
    "from source_object where role = 'lake'",
    "lost": "select distinct vector_file from vector",
    "lost_image": "select image_id from image",
    "address": "select uri from location",
    "call": "select call_id from generator_call",
    "location": "from location where role = 'lake'",
    "near_duplicate": "from near_duplicate",
    "review": "from review",
}


@pytest.fixture(scope="module")
def given(ledgers: tuple[Database, Database]) -> dict[str, object]:
    """Values for the parameters of queries, from the ledger itself."""
    database = ledgers[0]
    newest = "select arg_max({0}, {0}) as v from {1}"
    looked_up = {
        name: database.arrow(newest.format(name, table))["v"][0].as_py()
        for name, table in {
            "encoder_id": "vector", "bank_digest": "score", "method_id": "score", "policy_id": "policy",
            "calibration_id": "calibration", "image_id": "score", "run_id": "shard",
        }.items()
    }  # fmt: skip
    return looked_up | {
        "role": "lake", "limit": 3, "most": 3, "nights": 3, "run_number": 99, "name": None, "digest_prefix": "",
        "address": database.arrow("select min(address) as v from encoder")["v"][0].as_py(), "by_score": True,
        "representatives": True, "old": "base", "new": "eoe", "retry_rejects": True, "rehash": False, "after": "",
        "prefix": "",
    }  # fmt: skip


@pytest.mark.parametrize("name", READS)
def test_a_query_gives_the_same_rows_however_rows_lie_in_the_tables(name, ledgers, given):
    parameters = {key: given.get(key) for key in READS[name].parameters}
    tables = [database.arrow(READS[name].sql, parameters) for database in ledgers]
    if promises_order(READS[name].sql):
        assert tables[0] == tables[1]
    assert in_order(tables[0]) == in_order(tables[1])
    assert len(tables[0]) or name not in report_queries(), "a query without rows shows nothing"


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_holds_the_same_rows_however_rows_lie_in_the_tables(name, ledgers):
    one, two = (in_order(database.arrow(f"select * from report.{name[3:]}")) for database in ledgers)
    assert one == two


def in_order(table: pa.Table) -> list[str]:
    return sorted(map(str, table.to_pylist()))


IMAGE = """
insert into image by name
select 'i' as image_id, 9 as byte_size, 4 as width, 4 as height, 'PNG' as format, 'RGB' as mode, false as animated,
    'r' as run_id
"""


def test_the_first_place_of_an_image_is_told_whole_though_another_one_has_more_to_tell(database):
    database.execute(IMAGE)
    for uri, kind, member, offset in (("/a.png", "file", "null", "null"), ("/b.tar#1.png", "tar", "'1.png'", 512)):
        name = uri.partition("#")[0]
        database.execute(f"insert into source_object values ('{name}', 'lake', '{kind}', 9, 'v', 'e', 1, 'r', null)")
        database.execute(
            f"insert into location values ('{uri}', 'lake', '{name}', 'v', {member}, {offset}, 9, '', 'i', '', '')"
        )
    (found,) = database.arrow("select object_uri, member, byte_offset from report.images").to_pylist()
    assert found == {"object_uri": "/a.png", "member": None, "byte_offset": None}
