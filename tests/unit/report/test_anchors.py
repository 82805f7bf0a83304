"""The map of pictures and anchors shows both, and names what stands for what."""

from __future__ import annotations

import numpy as np

from kinlens.report.anchors import map_with_anchors


def test_pictures_anchors_and_lines_are_drawn() -> None:
    rng = np.random.default_rng(0)
    points, anchors = rng.standard_normal((40, 2)), rng.standard_normal((4, 2))
    middles = anchors + 0.5
    middles[3] = np.nan

    def drawn(is_told: list[bool]) -> str:
        return map_with_anchors(
            points, ["Ino"] * 25 + ["Eos"] * 10 + [""] * 5, anchors=anchors,
            anchor_groups=["Ino", "Ino", "Eos", ""], middles=middles, is_told=np.array(is_told),
            name="m", title="M", caption="c", axis_labels=("t-SNE 1", "t-SNE 2"),
        ).svg  # fmt: skip

    svg = drawn([False, True, False, True])
    for words in (
        "Ino (25)", "Eos (10)", "others", "species learned from (2)", "species told of only (2)",
        "t-SNE 1",
    ):  # fmt: skip
        assert words in svg
    # The star whose species has no picture has no line.
    assert svg.count("stroke-opacity: 0.7") == 1
    assert drawn([False] * 4).count("stroke-opacity: 0.7") == 0
