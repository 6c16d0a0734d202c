"""The bank spec: its defaults, and that nothing wrong passes in silence."""

from __future__ import annotations

import json
import tomllib

import pytest

from curator.banks import DEFAULT_SPEC, BankSpec, parse_spec, read_spec
from curator.banks.spec import IdSpec
from curator.errors import ConfigError

MINIMAL = {"name": "b", "id": {"labels": ["tram"]}}


def parse(**tables):
    return parse_spec({**MINIMAL, **tables}, where="b.toml")


def test_the_default_file_says_exactly_the_defaults(tmp_path):
    path = tmp_path / "base.toml"
    path.write_text(DEFAULT_SPEC, encoding="utf-8")
    assert read_spec(path) == BankSpec("base", IdSpec("labels.txt"))


def test_the_commented_lines_of_the_default_file_are_valid_too():
    text = DEFAULT_SPEC.replace("# synonyms", "synonyms").replace("# include", "include").replace("# limit", "limit")
    spec = parse_spec(tomllib.loads(text.replace("fraction =", "# fraction =")), where="default")
    assert spec.mining.limit == 10_000
    assert spec.wordnet.include == ("noun.artifact",)
    assert spec.id.synonyms == {"tram": ("streetcar",)}


def test_templates_may_be_named_or_written_out():
    spec = parse(id={"labels": ["tram"], "template": "photo"}, negatives={"wordnet": {"noun_template": "one {}"}})
    assert spec.id.template == "a photo of a {}."
    assert spec.wordnet.noun_template == "one {}"


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
        ({"id": {}}, "'id.labels' is missing", None),
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
