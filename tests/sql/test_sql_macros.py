"""The macros of sql/macros: which policy and cut judge, which night an image is of, which keys and references break."""

from __future__ import annotations

import math

import pytest

POLICY = (
    "insert into policy values ('{id}', '{id}', 'e', 'b', 'm', {cut}, 0.5, '{{}}', now()::timestamp, 'r', '{rule}', "
    "0.1, {by_class}, null)"
)
RUN = (
    "insert into run values ('r{number}', 'scan', 'done', now()::timestamp, null, '1', 'h', 1, '{{}}', null, {number})"
)
OBJECT = "insert into source_object values ('{uri}', 'lake', 'file', 1, 'v', 'e', 1, 'r{came}', {gone})"
LOCATION = (
    "insert into location values ('{uri}', 'lake', '{uri}', 'v', null, null, 1, {label}, '{image}', 's', 'r{came}')"
)


@pytest.mark.parametrize(
    ("policy", "label", "night", "cut"),
    [
        ("keep", 3, "r1", -1.0),
        ("keep by class", 3, "r1", -3.0),
        ("keep by class", 4, "r1", -1.0),
        ("fdr", 3, "r1", -5.0),
        ("fdr", 3, "r2", -math.inf),
        ("fdr", 3, None, -math.inf),
        ("fdr by class", 3, "r1", -6.0),
        ("fdr by class", 4, "r1", -5.0),
        ("fdr by class", 3, "r2", -math.inf),
        (None, 3, "r1", None),
    ],
)
def test_a_score_is_judged_by_the_cut_of_its_night_of_its_class_or_of_the_policy(database, policy, label, night, cut):
    for name in ("keep", "keep by class", "fdr", "fdr by class"):
        kind, *by_class = name.split(" ", 1)
        database.execute(POLICY.format(id=name, cut=-1, rule=kind, by_class=bool(by_class)))
        if by_class:
            database.execute(f"insert into policy_class values ('{name}', 3, 20, -3, 0.3, 'r')")
            database.execute(f"insert into policy_night values ('{name}', 'r1', 3, 9, -6, 0.1, 'r')")
        database.execute(f"insert into policy_night values ('{name}', 'r1', -1, 9, -5, 0.2, 'r')")
    found = database.arrow(
        "with asked as (select $policy as policy_id, $label as id_label, $night as night_run_id, unnest([-9, 0, $cut]) "
        "as log_odds) select log_odds, min_log_odds, flagged from judged('asked')",
        {"policy": policy, "label": label, "night": night, "cut": cut},
    ).to_pylist()
    assert [row["min_log_odds"] for row in found] == [cut] * 3
    assert all(row["flagged"] == (None if cut is None else row["log_odds"] < cut) for row in found)


@pytest.mark.parametrize(
    ("places", "first", "night", "present"),
    [
        ([(1, None)], 1, 1, True),
        ([(1, 3)], 1, 1, False),
        ([(1, 2), (2, None)], 1, 2, True),  # moved
        ([(1, 2), (2, 4)], 1, 2, False),  # moved, and gone
        ([(1, 4), (2, 3)], 1, 1, False),  # copied, and the first place was the last to go
        ([(2, 4), (1, 3), (3, 4)], 1, 2, False),  # two went together at the end
        ([(1, 3), (2, None), (4, None)], 1, 2, True),
    ],
)
def test_the_night_of_an_image_is_that_of_the_places_that_were_there_last(database, places, first, night, present):
    for number in range(1, 5):
        database.execute(RUN.format(number=number))
    database.execute(
        "insert into image (image_id, byte_size, width, height, format, mode, animated, run_id) "
        "values ('i', 1, 1, 1, 'PNG', 'RGB', false, 'r1')"
    )
    for place, (came, gone) in enumerate(places):
        facts = {"uri": f"/{place}", "image": "i", "came": came, "label": f"'label {place}'" if place else "null"}
        database.execute(OBJECT.format(**facts, gone=f"'r{gone}'" if gone else "null"))
        database.execute(LOCATION.format(**facts))
    (seen,) = database.arrow("from seen_images()").to_pylist()
    label = "label 1" if len(places) > 1 else None
    assert seen == {
        "image_id": "i", "uri": "/0", "source_label": label, "first_run_id": f"r{first}", "present": present,
        "night_run_id": f"r{night}",
    }  # fmt: skip
    shown = database.arrow("select first_run_id from report.images").to_pylist()
    assert shown == ([{"first_run_id": f"r{night}"}] if present else []), "as report.images has it"


@pytest.mark.parametrize(
    ("runs", "ruling"),
    [
        (("default",), "default"),
        (("old", "default"), "old"),
        (("default", "old", "new"), "new"),
        (("default", "old", "new", "choose old"), "old"),
        (("default", "old", "new", "choose default"), "default"),
        (("default", "old", "new", "choose default", "choose new", "choose old"), "old"),
        (("default", "choose default", "old"), "old"),
        (("default", "old", "choose default", "choose old", "new"), "new"),
    ],
)
def test_the_policy_chosen_or_calibrated_last_rules_else_the_default(database, runs, ruling):
    for number, name in enumerate(runs, 1):
        database.execute(RUN.format(number=number))
        if name.startswith("choose "):
            chosen = name.removeprefix("choose ")
            database.execute(f"insert into selection values ({number}, 'e', 'b', 'm', '{chosen}', 'r{number}')")
            continue
        rule = "default" if name == "default" else "keep"
        policy = POLICY.format(id=name, cut=-1, rule=rule, by_class=False).replace("'r'", f"'r{number}'")
        database.execute(policy)
    assert database.arrow("select policy_id from ruling_policies()").to_pylist() == [{"policy_id": ruling}]


def test_the_calibration_of_the_policy_rules_else_the_newest_of_the_scoring(database):
    for number, method in enumerate(("m", "m", "other"), 1):
        database.execute(RUN.format(number=number))
        database.execute(
            f"insert into calibration values ('c{number}', 'e', 'b', '{method}', 'd', 1, '[]', now()::timestamp, "
            f"'r{number}')"
        )
    found = database.arrow(
        "select ruling_calibration(own, 'e', 'b', method) as found "
        "from (values (1, 'c1', 'm'), (2, null, 'm'), (3, null, 'x')) as asked (place, own, method) order by place"
    )
    assert found["found"].to_pylist() == ["c1", "c2", None]


def test_keys_of_several_columns_are_named_whole_and_null_refers_to_nothing(database):
    database.execute(
        "insert into label_evidence values ('b', 1, null, null), ('b', 1, 'call', null), ('b', 2, 'call', null)"
    )
    repeated = database.arrow("from repeated('label_evidence', 'bank_digest, label_index')").to_pylist()
    assert repeated == [{"table_name": "label_evidence", "key": "b 1", "rows": 2}]
    lost = database.arrow("from unresolved('label_evidence', 'call_id', 'generator_call')").to_pylist()
    assert lost == [{"table_name": "label_evidence", "missing": "generator_call", "key": "call"}] * 2


def test_several_images_are_called_by_the_name_that_most_of_them_have_and_by_one_that_says_something(database):
    database.execute("create table t as from (values ('dog'), ('cat'), ('cat'), ('unclear'), ('unclear')) as v(n)")
    assert database.execute(
        "select common_name(n), (select common_name(n) from t where n = 'unclear'), "
        "(select common_name(n) from t where n = 'none'), (select common_name(n) from t where n in ('dog', 'unclear')) "
        "from t"
    ).fetchall() == [("cat", "unclear", None, "dog")]
    assert database.execute("select common_name(n) from (values ('b'), ('a')) as v(n)").fetchall() == [("a",)]


@pytest.mark.parametrize(
    ("name", "margin", "shown"), [(None, None, "not named yet"), ("dog", 0.01, "unclear"), ("dog", 0.9, "dog")]
)
def test_no_word_is_shown_where_the_margin_says_nothing(database, name, margin, shown):
    assert database.execute("select shown_name($n, $m)", {"n": name, "m": margin}).fetchall() == [(shown,)]
