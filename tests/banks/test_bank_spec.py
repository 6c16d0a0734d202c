"""The bank spec: its defaults, and that nothing wrong passes in silence."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from curator.banks import DEFAULT_SPEC, PUBLISHED_SPECS, BankSpec, parse_spec, read_spec
from curator.banks.sources import BankSource, ListSource, WordNetSource
from curator.banks.spec import IdSpec, MiningSpec
from curator.errors import ConfigError

MINIMAL = {"name": "b", "id": {"labels": ["tram"]}}


def parse(**tables):
    return parse_spec({**MINIMAL, **tables}, where="b.toml")


def test_the_default_file_asks_for_what_can_be_seen_and_else_says_the_defaults(tmp_path):
    path = tmp_path / "base.toml"
    path.write_text(DEFAULT_SPEC, encoding="utf-8")
    kinds = ("animal", "artifact", "body", "food", "object", "person", "phenomenon", "plant", "substance")
    seen = (*(f"noun.{kind}" for kind in kinds), "adj.all")
    words = WordNetSource(include=seen, exclude=(), adjectives="looks")
    mining = MiningSpec(remove_proper_nouns=True, remove_subcategories=True)
    assert read_spec(path) == BankSpec("base", IdSpec("labels.txt"), (words,), mining)


@pytest.mark.parametrize("name", PUBLISHED_SPECS)
def test_a_published_recipe_is_what_its_method_gives_where_a_spec_says_nothing(name):
    spec = parse_spec(tomllib.loads(PUBLISHED_SPECS[name]), where=name)
    plain = parse(mining={"method": name.partition("-")[0], "remove_id_names": False})
    assert (spec.name, spec.sources, spec.mining) == (name, plain.sources, plain.mining)
    assert spec.id == IdSpec("labels.txt", plain.id.template)


def test_rules_that_came_later_leave_the_digest_of_a_bank_that_does_not_use_them():
    mapping = parse().as_mapping()
    assert not {"remove_proper_nouns", "remove_subcategories", "keep_labels"} & mapping["mining"].keys()
    assert "adjectives" not in mapping["negatives"]["wordnet"]
    used = parse(mining={"remove_proper_nouns": True}, negatives={"wordnet": {"adjectives": "looks"}}).as_mapping()
    assert used["mining"]["remove_proper_nouns"] is True and used["negatives"]["wordnet"]["adjectives"] == "looks"


def test_the_commented_lines_of_the_default_file_are_valid_too():
    text = re.sub(r"^# (?=\w+ = |\[)", "", DEFAULT_SPEC, flags=re.MULTILINE)
    for alternative in ("fraction", "labels"):
        text = re.sub(rf"^{alternative} =.*$", "", text, flags=re.MULTILINE)
    spec = parse_spec(tomllib.loads(text), where="default")
    assert spec.mining.limit == 10_000 and spec.mining.exclude_above == 0.95
    wordnet, words, other = spec.sources
    assert wordnet.adjectives == "looks" and wordnet.superclasses == ("scene", "object")
    assert words == ListSource(file="words.txt") and other == BankSource("other")
    assert spec.id.synonyms == {"tram": ("streetcar",)}


def test_sources_are_in_one_order_whatever_the_file_says_and_wordnet_is_there_only_if_asked_for():
    lists, banks = {"lists": [{"words": ["a"]}, {"file": "b.txt"}]}, {"banks": [{"bank": "x@12ab"}]}
    spec = parse(negatives={**banks, **lists})
    assert spec.sources == (ListSource(words=("a",)), ListSource(file="b.txt"), BankSource("x@12ab"))
    assert parse(negatives={**lists, **banks}) == spec
    assert parse(negatives={**lists, "wordnet": {}}).sources == (WordNetSource(), *spec.sources[:2])
    assert parse(negatives={}) == parse() == BankSpec("b", IdSpec(("tram",)))


def test_a_spec_knows_the_files_and_banks_it_reads():
    negatives = {"lists": [{"file": "b.txt"}, {"words": ["a"]}, {"file": "b.txt"}], "banks": [{"bank": "x"}]}
    spec = parse(id={"labels": "ids.txt"}, negatives=negatives)
    assert (spec.files, spec.banks) == (("ids.txt", "b.txt"), ("x",))
    assert parse(id={"bank": "y@v2"}).banks == ("y@v2",)
    assert (parse().files, parse().banks) == ((), ())


def test_templates_may_be_named_or_written_out():
    spec = parse(id={"labels": ["tram"], "template": "photo"}, negatives={"wordnet": {"noun_template": "one {}"}})
    assert spec.id.template == "a photo of a {}."
    assert spec.sources[0].noun_template == "one {}"


def test_the_mapping_is_plain_json_and_does_not_depend_on_what_was_spelt_out():
    spelt_out = parse(mining={"fraction": 0.15, "order": "nouns_first"}, negatives={"wordnet": {"words": "first"}})
    assert spelt_out == parse()
    assert json.loads(json.dumps(spelt_out.as_mapping())) == parse().as_mapping()


@pytest.mark.parametrize(
    ("tables", "message", "hint"),
    [
        ({"mining": {"fractoin": 0.1}}, "unknown key 'mining.fractoin'", "did you mean mining.fraction?"),
        ({"negatives": {"wordnet": {"excluded": []}}}, "unknown key 'negatives.wordnet.excluded'", "exclude"),
        ({"negatives": {"corpus": {}}}, "unknown key 'negatives.corpus'", "wordnet"),
        ({"minning": {}}, "unknown key 'minning'", "mining"),
        ({"mining": {"fraction": 0}}, "mining.fraction must be a number above 0", None),
        ({"mining": {"fraction": True}}, "mining.fraction must be a number", None),
        ({"mining": {"quantile": 1.5}}, "mining.quantile must be", None),
        ({"mining": {"limit": 1.5}}, "mining.limit must be a whole number", None),
        ({"mining": {"limit": 5, "fraction": 0.1}}, "alternatives", "remove one"),
        ({"mining": {"statistic": "mean"}}, "one of linear, order", None),
        ({"mining": {"remove_id_names": "yes"}}, "true or false", None),
        ({"mining": []}, "mining must be a table", None),
        ({"name": "../up"}, "name must be up to 64 letters", None),
        ({"name": "a@b"}, "name must be up to 64 letters", None),
        ({"mining": {"remove_id_names": "all"}}, 'true or false or "exact"', None),
        ({"mining": {"exclude_above": 1.2}}, "mining.exclude_above must be a number", None),
        ({"id": {}}, "'id.labels' is missing", None),
        ({"id": {"labels": "a\0.txt"}}, "id.labels must be a text without control characters", None),
        ({"negatives": {"lists": [{"file": "\x1b[2J"}]}}, "lists[1].file must be a text without control", None),
        ({"id": {"labels": ["a"], "bank": "other"}}, "id.labels and id.bank are alternatives", "remove one"),
        ({"id": {"bank": "other@"}}, "id.bank must be the name of a bank", None),
        ({"id": {"labels": ["a"], "template": []}}, "id.template: an ensemble must hold", None),
        ({"id": {"labels": ["a"], "template": ["{}", 3]}}, "id.template must be a text", None),
        ({"negatives": {"lists": {"words": ["a"]}}}, "negatives.lists must be one or more tables", None),
        ({"negatives": {"lists": []}}, "negatives.lists must be one or more tables", None),
        ({"negatives": {"lists": [{}]}}, "negatives.lists[1] needs one of the keys file and words", None),
        ({"negatives": {"lists": [{"file": "a", "words": ["b"]}]}}, "needs one of the keys file and words", None),
        ({"negatives": {"lists": [{"words": ["b"], "mined": True}]}}, "'negatives.lists[1].mined'", "lists[1].mine?"),
        ({"negatives": {"lists": [{"words": ["b"], "part_of_speech": "verb"}]}}, "one of noun, adjective", None),
        ({"negatives": {"banks": [{}]}}, "'negatives.banks[1].bank' is missing", "base"),
        ({"negatives": {"banks": [{"bank": "b"}]}}, "bank b takes labels from itself", "name@<digest>"),
        ({"id": {"bank": "b"}}, "bank b takes labels from itself", None),
        ({"negatives": {"wordnet": {"superclasses": "thing"}}}, "superclasses must be a list of texts", None),
        ({"id": {"labels": []}}, "holds no labels", None),
        ({"id": {"labels": ["a", "A"]}}, "id.labels: item 2 repeats", None),
        ({"id": {"labels": [3]}}, "list of texts", None),
        ({"id": {"labels": ["a"], "template": "no slot"}}, "id.template", "or be one of"),
        ({"id": {"labels": ["a"], "template": "{} {}"}}, "id.template", None),
        ({"negatives": {"wordnet": {"exclude": ["noun.foot"]}}}, "list of distinct names", None),
        ({"negatives": {"wordnet": {"parts_of_speech": []}}}, "at least one", None),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_key(tables, message, hint):
    with pytest.raises(ConfigError) as caught:
        parse(**tables)
    assert message in caught.value.message
    assert caught.value.message.startswith("b.toml")
    assert hint is None or hint in (caught.value.hint or "")


def test_a_spec_without_a_name_and_a_file_that_is_not_toml_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="'name' is missing"):
        parse_spec({"id": {"labels": ["a"]}}, where="b.toml")
    path = tmp_path / "broken.toml"
    path.write_text("name = ", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"broken\.toml is not valid TOML"):
        read_spec(path)
    with pytest.raises(ConfigError, match="cannot read"):
        read_spec(tmp_path / "none.toml")
