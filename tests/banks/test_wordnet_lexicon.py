"""WordNet as shipped: counts, order, graph, and that the file can be made again byte for byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from curator.banks.wordnet import load_wordnet
from curator.banks.wordnet.lexicon import DATA_FILE, LEXNAMES, LEXNAMES_OF
from curator.errors import SourceError, UsageError
from tests.banks.derive_wordnet import derive, main, parse_entry

SOURCE = Path(os.environ.get("CURATOR_WORDNET_SOURCE", "/usr/share/wordnet"))


def names(synsets):
    return [synset.lemmas[0] for synset in synsets]


def test_the_shipped_file_is_small_and_its_notice_is_beside_it():
    assert DATA_FILE.stat().st_size < 3_000_000
    assert "Princeton" in DATA_FILE.with_name("LICENSE").read_text(encoding="utf-8")


def test_deriving_again_gives_the_shipped_bytes():
    if not (SOURCE / "data.noun").is_file():
        pytest.skip("needs WordNet 3.0 (wordnet-base) in /usr/share/wordnet or $CURATOR_WORDNET_SOURCE")
    assert derive(SOURCE) == DATA_FILE.read_bytes()


def test_neglabels_corpus_has_27_files_and_about_seventy_thousand_strings():
    """Published: 70,000. One word per concept gives 70,794; the published adjective list ends 794 words early."""
    wordnet = load_wordnet()
    nouns = wordnet.lemmas("noun", exclude=("noun.animal", "noun.food"), first_only=True)
    adjectives = wordnet.lemmas("adjective", first_only=True)
    assert len(LEXNAMES_OF["noun"]) == 26
    assert LEXNAMES_OF["adjective"] == ("adj.all", "adj.pert", "adj.ppl")
    assert (len(nouns), len(adjectives)) == (58_514, 14_006)
    assert len({candidate.text for candidate in nouns + adjectives}) == 70_794
    all_nouns = wordnet.lemmas("noun", exclude=("noun.animal", "noun.food"))
    assert len({candidate.text for candidate in all_nouns + wordnet.lemmas("adjective")}) == 120_269


def test_all_lemmas_match_the_official_counts():
    """wnstats(7WN): 117,798 unique noun strings and 21,479 adjective strings, in 82,115 and 18,156 synsets."""
    wordnet = load_wordnet()
    assert len(wordnet.lemmas("noun")) == 117_798
    assert len(wordnet.lemmas("adjective")) == 21_479
    assert len(wordnet._rows) == 82_115 + 18_156


def test_candidates_are_distinct_lower_case_sorted_and_free_of_markup():
    candidates = load_wordnet().lemmas("adjective")
    texts = [candidate.text for candidate in candidates]
    assert texts == sorted(set(texts))
    assert all(text == text.lower() and "_" not in text and "(" not in text and "#" not in text for text in texts)
    assert "galore" in texts  # "galore(ip)" in the source
    assert {candidate.lexname for candidate in candidates} == {"adj.all", "adj.pert", "adj.ppl"}


def test_a_candidate_names_the_most_frequent_sense_that_let_it_in():
    wordnet = load_wordnet()
    by_text = {candidate.text: candidate for candidate in wordnet.lemmas("noun")}
    without_animals = {candidate.text: candidate for candidate in wordnet.lemmas("noun", exclude=["noun.animal"])}
    assert by_text["dog"].lexname == "noun.animal"
    assert without_animals["dog"].lexname == "noun.person"
    assert "dog" in wordnet.synset(without_animals["dog"].synset).lemmas
    assert "domestic dog" not in without_animals


def test_lexnames_select_files_and_unknown_ones_are_refused():
    wordnet = load_wordnet()
    assert {candidate.lexname for candidate in wordnet.lemmas("noun", lexnames=["noun.food"])} == {"noun.food"}
    with pytest.raises(UsageError, match=r"noun\.foot"):
        wordnet.lemmas("noun", lexnames=["noun.foot"])
    with pytest.raises(UsageError, match=r"verb\.body"):
        wordnet.lemmas("noun", exclude=["verb.body"])


def test_senses_come_most_frequent_first_whatever_the_spelling():
    wordnet = load_wordnet()
    assert names(wordnet.synsets("Sea_Horse")) == names(wordnet.synsets("sea  horse")) != []
    assert [synset.lexname for synset in wordnet.synsets("dog")][:2] == ["noun.animal", "noun.person"]
    assert [synset.part_of_speech for synset in wordnet.synsets("orange")] == ["noun"] * 5 + ["adjective"]
    assert wordnet.synsets("orange", "adjective")[0].synset_id.endswith("s")  # a satellite
    assert wordnet.synsets("no such word") == []


@pytest.mark.parametrize(
    ("word", "proper"),
    [
        *(("Einstein", True), ("nile", True), ("genus rosa", True), ("ursidae", True), ("sea of japan", True)),
        *(("french horn", False), ("t-shirt", False), ("st john's wort", False), ("crane", False), ("bear", False)),
        *(("azure", False), ("no such word", False)),
    ],
)
def test_a_proper_noun_has_no_sense_but_names(word, proper):
    assert load_wordnet().is_proper(word) == proper


def test_an_adjective_has_its_satellites_about_it():
    wordnet = load_wordnet()
    found = [sense.lemmas[0] for sense in wordnet.cluster("01786134-a")]
    assert found[0] == "patterned" and {"striped", "checked", "floral", "marbled"} <= set(found)
    assert "plain" not in found
    with pytest.raises(KeyError):
        wordnet.cluster("00000000-a")


def test_synonyms_span_all_senses_without_the_word_itself():
    assert load_wordnet().synonyms("cellphone") == ["cellular telephone", "cellular phone", "cell", "mobile phone"]


def test_the_graph_knows_kinds_siblings_and_instances():
    wordnet = load_wordnet()
    chair = wordnet.synsets("chair")[0]
    assert names(wordnet.hypernyms(chair)) == ["seat"]
    assert "armchair" in names(wordnet.hyponyms(chair))
    siblings = names(wordnet.hyponyms(wordnet.hypernyms(chair)[0]))
    assert {"sofa", "stool", "bench"} <= set(siblings)
    assert names(wordnet.hypernyms(wordnet.synsets("Einstein")[0])) == ["physicist"]
    assert all(chair in wordnet.hypernyms(kind) for kind in wordnet.hyponyms(chair))


@pytest.mark.parametrize(
    ("plural", "singulars"),
    [("wolves", ["wolf"]), ("Sea_Horses", ["sea horse"]), ("ponies", ["pony"]), ("bus", []), ("firemen", ["fireman"])],
)
def test_plurals_lead_to_the_nouns_they_are_plurals_of(plural, singulars):
    assert load_wordnet().singulars(plural) == singulars


def test_a_data_line_is_read_with_markers_stripped_and_only_hypernyms_kept():
    line = "00001234 06 n 02 Big_Ben 0 clock(p) 1 003 @i 00000100 n 0000 ~ 00000200 n 0000 @ 00000300 n 0000 | gloss"
    entry = parse_entry(line)
    assert entry.lemmas == ("Big_Ben", "clock")
    assert entry.hypernyms == (("i", 100), ("", 300))
    assert entry.lexname == LEXNAMES[6] == "noun.artifact"


def test_a_wrong_folder_or_a_missing_argument_is_one_clear_error(tmp_path):
    with pytest.raises(SourceError, match=r"index\.noun"):
        derive(tmp_path)
    with pytest.raises(UsageError):
        main([])
