"""Where images lie, and which flagged ones lie together."""

from __future__ import annotations

import numpy as np
import pytest

from curator.report.atlas import Plane, called, cluster_count, find_clusters, on_canvas

AXES = np.eye(6, dtype=np.float32)


def around(axis, count, seed=0, spread=0.05):
    vectors = AXES[axis] + np.random.default_rng(seed).normal(scale=spread, size=(count, 6))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_the_plane_is_that_of_scikit_learn_up_to_the_sign():
    from sklearn.decomposition import PCA

    vectors = np.concatenate([around(0, 50), around(1, 80, 1), around(2, 20, 2)])
    plane, peer = Plane.fit(vectors), PCA(2, svd_solver="full").fit(vectors.astype(float))
    assert np.abs(plane.axes.T) == pytest.approx(np.abs(peer.components_), abs=1e-4)
    assert plane.explained == pytest.approx(tuple(peer.explained_variance_ratio_), abs=1e-5)
    assert np.abs(plane.place(vectors)) == pytest.approx(np.abs(peer.transform(vectors)), abs=1e-4)
    assert (np.take_along_axis(plane.axes, np.abs(plane.axes).argmax(axis=0)[None], axis=0) > 0).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_images_have_a_place_too(count):
    vectors = around(0, count)
    plane = Plane.fit(vectors)
    places = on_canvas(plane.place(vectors))
    assert places.shape == (count, 2) and plane.place(vectors).shape == (count, 2)
    assert np.isfinite(plane.explained).all()


def test_the_canvas_keeps_proportions_and_has_up_above():
    places = on_canvas(np.array([[0, 0], [4, 0], [0, 1]], np.float32))
    assert places[:, 0].tolist() == [0, 65535, 0]
    assert places[0, 1] - places[2, 1] == pytest.approx(65535 / 4, abs=1)
    assert on_canvas(np.zeros((0, 2), np.float32)).shape == (0, 2)


def test_new_clusters_are_told_from_known_ones_and_go_first():
    flagged = np.concatenate([around(0, 30), around(1, 20, 1)])
    found = find_clusters(flagged, around(0, 10, 9))
    known = [cluster for cluster in found if cluster.members[0] < 30]
    fresh = [cluster for cluster in found if cluster.members[0] >= 30]
    assert all(cluster.is_new for cluster in fresh) and sum(cluster.before for cluster in known) > 0
    assert found[0] in fresh
    assert sorted(member for cluster in found for member in cluster.members) == list(range(50))
    assert all(member >= 30 for cluster in fresh for member in cluster.members)


def test_the_same_images_give_the_same_clusters():
    flagged = around(0, 40, spread=0.5)
    assert find_clusters(flagged, flagged[:0]) == find_clusters(flagged, flagged[:0])


def test_a_cluster_of_one_image():
    (only,) = find_clusters(around(0, 1), around(1, 3))
    assert (only.members, only.is_new) == ((0,), True)
    (known,) = find_clusters(around(0, 1), around(0, 1))
    assert not known.is_new and find_clusters(AXES[:0], AXES[:0]) == []


@pytest.mark.parametrize(
    ("names", "together"),
    [
        (["dog", "cat", "dog"], "dog"),
        (["dog", "cat", "fox", "dog", "cat", "emu"], "cat, dog"),
        (["d", "c", "b", "a", "e", "f", "g", "h"], "a, b, c"),
        (["unclear", "unclear", "cat", "dog"], "cat, dog"),
        (["unclear", "unclear", "unclear", "dog"], "unclear"),
        (["not named yet"], "not named yet"),
    ],
)
def test_a_cluster_is_called_by_the_names_of_its_images(names, together):
    assert called(names) == together


def test_few_images_make_few_clusters():
    assert [cluster_count(n) for n in (1, 2, 8, 50, 10_000)] == [1, 1, 2, 5, 12]
