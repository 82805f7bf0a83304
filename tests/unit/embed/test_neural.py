"""Learned vectors: they predict planted distances, and survive whatever sequences come."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kinlens.embed.neural import NeuralDistanceEmbedder, percent_rmse
from kinlens.errors import InputError, UsageError
from kinlens.geometry.edit import edit_distances
from kinlens.learn.encoders import ENCODERS
from kinlens.learn.plan import FitPlan
from kinlens.learn.spaces import SPACES
from kinlens.optional import need

torch = need("torch")

SHORT = FitPlan(epochs=3, patience=None, optimizer="muon", learning_rate=0.02)


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small are slower on several threads, far slower when others are at work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def family(rng, *, n=60, length=40, rate=0.12, ragged=False, letters=b"ACGT"):
    """Descendants of four ancestors, which are descendants of one."""
    alphabet = np.frombuffer(letters, dtype=np.uint8)

    def child(parent, share):
        hit = rng.random(len(parent)) < share
        return np.where(hit, rng.choice(alphabet, len(parent)), parent)

    root = rng.choice(alphabet, length)
    ancestors = [child(root, 0.4) for _ in range(4)]
    made = [child(ancestors[i % 4], rate) for i in range(n)]
    ends = rng.integers(length // 2, length + 1, n) if ragged else np.full(n, length)
    return [text[:end].tobytes() for text, end in zip(made, ends, strict=True)]


def embedder(encoder="mlp", geometry="hyperbolic", *, plan=SHORT, **options):
    return NeuralDistanceEmbedder(
        encoder, geometry, dimensions=options.pop("dimensions", 16), batch_size=32, plan=plan,
        device="cpu", **options,
    )  # fmt: skip


def error_against_the_mean(model, sequences):
    exact = edit_distances(sequences).astype(float)
    off = ~np.eye(len(exact), dtype=bool)
    found = model.distances(model.transform(sequences))
    constant = np.full_like(exact, exact[off].mean())
    return percent_rmse(found, exact, unit=1) / percent_rmse(constant, exact, unit=1)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_predicts_distances_of_sequences_it_has_not_seen(encoder, rng):
    pool = family(rng, n=300)
    plan = SHORT.model_copy(update={"epochs": 25})
    model = embedder(encoder, plan=plan).fit(pool[:240])
    assert error_against_the_mean(model, pool[240:]) < 0.5


@pytest.mark.parametrize("geometry", SPACES)
def test_every_geometry_learns(geometry, rng):
    pool = family(rng, n=200)
    plan = SHORT.model_copy(update={"epochs": 30})
    model = embedder("linear", geometry, plan=plan).fit(pool[:160])
    assert error_against_the_mean(model, pool[160:]) < 0.6


@pytest.mark.parametrize("unit", [1.0, 1e-4, 1e5])
def test_learns_a_given_matrix_in_any_unit_instead_of_edit_distance(rng, unit):
    pool = family(rng, n=80)
    # Distance in a tree of four clades: nothing but the clade counts.
    clade = np.arange(80) % 4
    tree = unit * np.where(clade[:, None] == clade, 0.3, 7.0)
    np.fill_diagonal(tree, 0.0)
    plan = SHORT.model_copy(update={"epochs": 60})
    model = embedder(plan=plan).fit(
        pool[:60], tree[:60, :60], validation=pool[60:], validation_distances=tree[60:, 60:]
    )
    assert model.unit_ == 7.0 * unit
    found = model.distances(model.transform(pool[60:]))
    off = ~np.eye(20, dtype=bool)
    assert np.corrcoef(found[off], tree[60:, 60:][off])[0, 1] > 0.9
    assert found[off].mean() == pytest.approx(tree[60:, 60:][off].mean(), rel=0.2)
    held_out_by_itself = embedder().fit(pool, tree)
    assert np.isfinite(held_out_by_itself.transform(pool)).all()


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    "sequences",
    [
        ["ACGT", "AGGT"],
        ["ACGT"] * 8,
        ["ACGTACGT", "", "A", "", "ACG"],
        ["MKVLAA", "MKVWWYYLA", "PPGHI", "RNDCEQ"],
        ["A", "C", "G"],
    ],
    ids=["two", "identical", "some_empty", "protein", "one_letter_each"],
)
def test_awkward_sets_give_finite_vectors(encoder, sequences):
    model = embedder(encoder).fit(sequences)
    unseen = [*sequences, "", "NNNN", "ACGT" * 30, "zz*-"]
    points = model.transform(unseen)
    assert points.shape == (len(unseen), 16)
    assert points.dtype == np.float32
    assert np.isfinite(points).all()
    found = model.distances(points)
    assert np.isfinite(found).all()
    assert (found > -1e-3).all()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_vectors_do_not_depend_on_order_or_company(encoder, rng):
    pool = family(rng, n=40, ragged=True)
    model = embedder(encoder).fit(pool)
    points = model.transform(pool)
    order = rng.permutation(40)
    np.testing.assert_allclose(model.transform([pool[i] for i in order]), points[order], atol=1e-5)
    np.testing.assert_allclose(
        np.concatenate([model.transform([text]) for text in pool]), points, atol=1e-5
    )
    assert model.transform([]).shape == (0, 16)


def test_long_sequences_are_encoded_in_small_blocks_with_the_same_result(rng, monkeypatch):
    pool = family(rng, n=30, ragged=True)
    model = embedder("cnn").fit(pool)
    points = model.transform(pool)
    monkeypatch.setattr("kinlens.embed.neural._ENCODE_LETTERS", 100)
    np.testing.assert_allclose(model.transform(pool), points, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_gene_of_1800_letters(encoder, rng):
    pool = family(rng, n=12, length=1800, ragged=True)
    plan = SHORT.model_copy(update={"epochs": 1})
    model = embedder(encoder, plan=plan).fit(pool)
    assert np.isfinite(model.distances(model.transform(pool))).all()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_saved_and_loaded_vectors_are_identical(encoder, rng, tmp_path: Path):
    pool = family(rng, n=24, ragged=True, letters=b"ACDEFGHIKLMNPQRSTVWY")
    model = embedder(encoder).fit(pool)
    model.save(tmp_path)
    loaded = NeuralDistanceEmbedder.load(tmp_path, device="cpu")
    points = model.transform(pool)
    np.testing.assert_array_equal(loaded.transform(pool), points)
    np.testing.assert_array_equal(loaded.distances(points), model.distances(points))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def damage_weights(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 0x40
    path.write_bytes(content)


def truncate_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-40])


def change(**entries):
    def changed(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | entries))

    return changed


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_weights, "not those that were written"),
        (truncate_weights, "no sequence model"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), "no sequence model"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no sequence model"),
        (lambda folder: (folder / "config.json").unlink(), "no sequence model"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "format list"),
        (lambda folder: (folder / "config.json").write_text("{"), "no sequence model"),
        (change(format=99), "format 99"),
        (change(encoder="linear"), "no sequence model"),
        (change(geometry="nowhere"), "no sequence model"),
        (change(dimensions=4), "no sequence model"),
    ],
)
def test_damaged_files_are_refused(damage, message, rng, tmp_path: Path):
    embedder().fit(family(rng, n=10)).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        NeuralDistanceEmbedder.load(tmp_path)


def test_an_interrupted_run_goes_on_to_the_same_weights(rng, tmp_path: Path, monkeypatch):
    pool = family(rng, n=50)
    plan = SHORT.model_copy(update={"epochs": 6})
    whole = embedder(plan=plan, settings={"dropout": 0.2}).fit(pool)

    from kinlens.embed import neural

    score, calls = neural._rmse, []

    def killed_in_the_fourth(network, batches):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return score(network, batches)

    checkpoint = tmp_path / "state.ckpt"
    monkeypatch.setattr(neural, "_rmse", killed_in_the_fourth)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        embedder(plan=plan, settings={"dropout": 0.2}).fit(pool, checkpoint=checkpoint)
    assert checkpoint.is_file()
    monkeypatch.setattr(neural, "_rmse", score)
    resumed = embedder(plan=plan, settings={"dropout": 0.2}).fit(pool, checkpoint=checkpoint)
    np.testing.assert_array_equal(resumed.transform(pool), whole.transform(pool))
    np.testing.assert_array_equal(resumed.history_["loss"], whole.history_["loss"])


def test_the_seed_decides_everything(rng):
    pool = family(rng, n=30)
    first, same, other = (
        embedder(random_state=seed).fit(pool).transform(pool) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.allclose(first, other)


def stable(encoder, epochs, rng):
    pool = family(rng, n=32, length=24)
    plan = FitPlan(epochs=epochs, learning_rate=0.01, patience=None, schedule="constant")
    for optimizer in ("adamw", "muon"):
        model = embedder(
            encoder, plan=plan.model_copy(update={"optimizer": optimizer, "score_every": 10})
        ).fit(pool)
        space = model.network_.space
        points = torch.from_numpy(model.transform(pool))
        assert np.isfinite(model.history_["loss"]).all()
        assert float(space.clamped(points)) == 0.0
        assert 0.0 < float(space.radius.detach()) < 0.99
        norms = points.norm(dim=1)
        torch.testing.assert_close(norms, space.radius.detach().expand_as(norms))
        # The floor under squared distances is for a point and itself, or its equal.
        distinct = edit_distances(pool) > 0
        gaps = torch.cdist(points, points).numpy() ** 2
        assert gaps[distinct].min() > 1e-7


@pytest.mark.parametrize("encoder", ENCODERS)
def test_thirty_hyperbolic_epochs_reach_no_limit(encoder, rng):
    stable(encoder, 30, rng)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
def test_five_hundred_hyperbolic_epochs_reach_no_limit(encoder, rng):
    stable(encoder, 500, rng)


def test_what_cannot_be_learned_from_is_refused():
    with pytest.raises(InputError, match="two or more sequences"):
        embedder().fit(["ACGT"])
    with pytest.raises(InputError, match="two or more sequences"):
        embedder().fit([])
    with pytest.raises(InputError, match="longest 0"):
        embedder().fit(["", "", ""])
    with pytest.raises(UsageError, match=r"\(2, 2\)"):
        embedder().fit(["A", "C"], np.zeros((3, 3)))
    with pytest.raises(InputError, match="finite"):
        embedder().fit(["A", "C"], np.array([[0, np.nan], [np.nan, 0]]))
    with pytest.raises(UsageError, match="both parts"):
        embedder().fit(["A", "C"], np.zeros((2, 2)), validation=["A", "C"])
    with pytest.raises(InputError, match="validation needs two"):
        embedder().fit(["A", "C"], validation=["A"])
    with pytest.raises(UsageError, match="recombined_share"):
        embedder(recombined_share=1.5).fit(["A", "C"])
    with pytest.raises(UsageError, match="hyperbolic"):
        embedder(geometry="hyperbolc").fit(["A", "C"])


def test_percent_rmse_counts_each_pair_once_and_no_diagonal():
    exact = np.array([[0, 4, 6], [4, 0, 8], [6, 8, 0.0]])
    predicted = exact + np.array([[9, 1, 2], [0, 9, 2], [0, 0, 9]])
    assert percent_rmse(predicted, exact, unit=50) == pytest.approx(100 * np.sqrt(3) / 50)
    with pytest.raises(UsageError, match="two or more"):
        percent_rmse(np.zeros((1, 1)), np.zeros((1, 1)), unit=1)


@pytest.mark.shared
def test_real_reads_beat_predicting_the_mean_by_far(shared_data):
    from kinlens.io.fasta import read_fasta

    reads = read_fasta(shared_data / "v4_reads" / "sequences.fasta").sequences[:1500]
    plan = SHORT.model_copy(update={"epochs": 15})
    model = NeuralDistanceEmbedder("linear", plan=plan, device="cpu").fit(reads[:1200])
    assert error_against_the_mean(model, reads[1200:]) < 0.3
