"""The vectors that Karaderi et al. (WACV 2024) published for their foraminiferal rDNA.

They recode overlapping dinucleotides to sixteen letters, in the order of ``ATCG``, and take kappa 1
without regard to length. Sequences and vectors are in the same order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kinlens.embed.sgt import SequenceGraphTransform


@pytest.mark.shared
def test_all_published_vectors_come_back(shared_data: Path) -> None:
    folder = shared_data / "foram_rdna"
    records = (folder / "sequences.fasta").read_text().split(">")[1:]
    lines = [record.splitlines() for record in records]
    published = np.load(folder / "published_sgt.npz")
    assert [line[0] for line in lines] == published["ids"].tolist()
    sequences = ["".join(line[1:]).upper() for line in lines]
    found = SequenceGraphTransform().fit_transform(sequences)
    assert found.shape == (804, 256)
    np.testing.assert_allclose(found, published["sgt"], rtol=0, atol=1e-12)
