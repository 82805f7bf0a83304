"""What a network looks at: the channel and the place that it was made to read."""

from __future__ import annotations

import numpy as np

from kinlens.studies.location_occlusion import channel_effects, place_effects

BLANK = np.zeros(3, np.uint8)


class Reader:
    """Says of label 0 how bright a corner of channel 1 is, and of label 1 nothing."""

    def predict_proba(self, pictures):
        corner = pictures[:, :4, :4, 1].mean(axis=(1, 2)) / 255
        return np.stack([corner, np.full(len(pictures), 0.5)], axis=1)


def pictures():
    return np.full((5, 16, 16, 3), 255, np.uint8)


def test_only_the_channel_that_is_read_costs_probability():
    truth = np.array([[True, True]] * 3 + [[False, True]] * 2)
    effects = channel_effects(Reader(), pictures(), truth, BLANK)
    np.testing.assert_allclose(effects, [[0, 1, 0], [0, 0, 0]])


def test_a_label_that_no_picture_holds_has_no_effect_to_speak_of():
    truth = np.zeros((5, 2), bool)
    assert np.isnan(channel_effects(Reader(), pictures(), truth, BLANK)).all()


def test_only_the_place_that_is_read_costs_probability():
    effects = place_effects(Reader(), pictures()[0], 0, BLANK, cells=4)
    expected = np.zeros((4, 4))
    expected[0, 0] = 1
    np.testing.assert_allclose(effects, expected)
