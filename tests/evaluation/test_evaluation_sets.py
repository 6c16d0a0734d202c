"""Which images are measured: each content once, none on both sides, everything accounted for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from curator.evaluation.sets import Found, choose_sets

DATA = st.lists(st.builds(Found, st.sampled_from(["a", "b", "c", "d", "e", None]), st.sampled_from(["x", "y", None])))


def test_id_images_are_left_out_of_ood_sets():
    sets = choose_sets([Found("a", None), Found("b", None)], {"far": [Found("b", None), Found("c", None)]})
    assert sets.id.image_ids == ("a", "b")
    assert sets.ood["far"].image_ids == ("c",)
    assert sets.ood["far"].excluded == 1


def test_labels_choose_the_id_images_and_the_rest_is_ood():
    data = [Found("a", "Sea_Horse"), Found("b", "tram"), Found("c", None), Found("d", "tram"), Found("d", "sea horse")]
    sets = choose_sets(data, {}, id_labels=["sea horse"], rest_name="rest")
    assert sets.id.image_ids == ("a", "d")
    assert sets.id.unlabelled == 1
    assert sets.ood["rest"].image_ids == ("b",)
    assert sets.ood["rest"].excluded == 1  # d came with both labels


@given(DATA, DATA, DATA)
def test_every_datum_is_accounted_for_and_no_content_is_on_both_sides(id_data, near, far):
    sets = choose_sets(id_data, {"near": near, "far": far}, id_labels=["x"], rest_name="rest")
    for item in (sets.id, *sets.ood.values()):
        assert item.data == len(item.image_ids) + item.copies + item.unreadable + item.excluded
        assert len(set(item.image_ids)) == len(item.image_ids) == len(item.labels)
        assert item is sets.id or not set(item.image_ids) & set(sets.id.image_ids)
    assert sets.id.data + sets.id.unlabelled + sets.ood["rest"].data == len(id_data)
