from __future__ import annotations

from curator.generators.embedded.nouns import (
    PEOPLE,
    PLACES,
    UNFIT,
    common_nouns,
    common_tokens,
    holds_name,
    keys_of,
    senses_of,
)


def test_the_vocabulary_is_of_common_things_that_can_be_seen():
    texts = [word.text for word in common_nouns()]
    assert 5_000 < len(texts) < 20_000 and texts == sorted(set(texts))
    assert {"dog", "golf ball", "garbage truck", "pagoda", "forest", "man"} <= set(texts)
    assert {*PLACES} <= set(texts)
    assert set(texts).isdisjoint({"decagon", "neritid", "tadalafil", "idea", "deep", "free state", *UNFIT})
    assert {word.text for word in common_nouns() if word.lexname == "noun.person"} <= {*PEOPLE}
    assert all(len(text.split()) <= 2 for text in texts)


def test_the_table_of_tokens_has_whole_words_by_frequency():
    tokens = common_tokens()
    assert 30_000 < len(tokens) < 40_000
    assert tokens["dog"] < tokens["kayak"] and "neritid" not in tokens


def test_senses_are_found_however_a_label_is_written_and_names_come_last():
    assert senses_of("English springer")[0].lexname == "noun.animal"
    assert senses_of("garbage_truck") == senses_of("garbage trucks") == senses_of("Garbage truck")
    assert all("Stephen Crane" not in sense.lemmas for sense in senses_of("crane"))
    assert senses_of("blorf gizmo") == []


def test_a_name_is_found_as_whole_words_only():
    keys = keys_of(["car", "chain saw"])
    assert holds_name("cars", keys) and holds_name("old automobile", keys) and holds_name("chainsaw", keys)
    assert not holds_name("carpet", keys) and not holds_name("saw", keys)
