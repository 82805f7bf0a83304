"""Vectors to AnnData, and to files that scanpy, pandas and R open.

Which slots there are is in `kinlens.records.slots`; what the vectors stand for is not known here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kinlens.atomic import atomic_path, plain
from kinlens.errors import InputError, UsageError
from kinlens.optional import need
from kinlens.records.slots import BLOCK, IMAGE, MEANING, PROVENANCE, UNITS
from kinlens.typing import Float32Array

if TYPE_CHECKING:
    import anndata

__all__ = ["checked_file_name", "to_anndata", "write_vectors"]


def checked_file_name(out: str | Path) -> Path:
    """Refuse the name of another format, before any work is done.

    Parameters
    ----------
    out : path
        Where vectors are to go.

    Raises
    ------
    UsageError
        When it does not end in ``.h5ad``.
    """
    if Path(out).suffix != ".h5ad":
        raise UsageError(f"{out}: the name of a file of vectors ends in .h5ad.")
    return Path(out)


def to_anndata(
    values: Float32Array,
    ids: Sequence[str],
    *,
    obs: pd.DataFrame | None = None,
    features: pd.DataFrame | None = None,
    provenance: Mapping[str, Any] | None = None,
    kind: str = IMAGE.name,
) -> anndata.AnnData:
    """Put vectors into an AnnData container.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (n, d).
    ids : sequence of str
        A different name for each row.
    obs : pandas.DataFrame, optional
        One row for each row of `values`, in the same order; its index does not matter. A column
        called `kind` is left out, because `ids` are it.
    features : pandas.DataFrame, optional
        One row a column of `values`, named by the index.
    provenance : mapping, optional
        What made the vectors: texts, numbers, lists of these and mappings. None is left out.
    kind : str
        What a row is, and the name of the index: ``image`` or ``sequence``.

    Returns
    -------
    anndata.AnnData
        X float32; text in `obs` as categories, where missing stays missing; `provenance` in
        ``uns["kinlens"]``.

    Raises
    ------
    InputError
        When a name occurs twice.

    Examples
    --------
    >>> vectors = np.array([[0.5, 1.0], [0.0, 2.0]], dtype=np.float32)
    >>> species = pd.DataFrame({"species": ["Papilio_machaon", None]})
    >>> to_anndata(vectors, ["a.jpg", "b.jpg"], obs=species).obs["species"].tolist()
    ['Papilio_machaon', nan]
    """
    values = np.asarray(values, dtype=np.float32)
    names = [str(name) for name in ids]
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise InputError(f"the same {kind} occurs more than once", offenders=repeated)
    rows = pd.DataFrame(index=range(len(names))) if obs is None else obs.reset_index(drop=True)
    columns = features
    if columns is None:
        columns = pd.DataFrame(index=[f"feature[{place}]" for place in range(values.shape[1])])
    if values.shape != (len(names), len(columns)) or len(rows) != len(names):
        raise UsageError(
            f"vectors of shape {values.shape}, {len(names):,} names, {len(rows):,} rows of obs and "
            f"{len(columns):,} features do not belong together."
        )
    rows = _storable(rows.drop(columns=kind, errors="ignore"))
    rows.index = pd.Index(names, name=kind, dtype=object)
    columns = _storable(columns)
    columns.index = pd.Index([str(name) for name in columns.index], name="feature", dtype=object)
    kept = _without_none(plain(dict(provenance or {})))
    return need("anndata").AnnData(X=values, obs=rows, var=columns, uns={PROVENANCE.key: kept})


def write_vectors(container: anndata.AnnData, path: str | Path) -> tuple[Path, Path]:
    """Write an ``.h5ad`` file, and a ``.parquet`` table beside it; each whole or not at all.

    Parameters
    ----------
    container : anndata.AnnData
        From `to_anndata`.
    path : path
        Ends in ``.h5ad``.

    Returns
    -------
    tuple of pathlib.Path
        The two files. The table has the index and columns of `obs`, then one column a feature.
    """
    path = Path(path)
    if path.suffix != ".h5ad":
        raise UsageError(f"{path}: a file of vectors ends in .h5ad.")
    table = pd.DataFrame(container.X, index=container.obs_names, columns=container.var_names)
    table = pd.concat([container.obs, table], axis=1).reset_index()
    beside = path.with_suffix(".parquet")
    with atomic_path(beside) as part:
        table.to_parquet(part, index=False)
    with atomic_path(path) as part:
        container.write_h5ad(part)
    return path, beside


def _storable(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn what HDF5 has no word for into categories: text, and mixtures as text."""
    frame = frame.copy()
    frame.columns = pd.Index([str(name) for name in frame.columns], dtype=object)
    for name in frame.columns:
        column = frame[name]
        is_text = column.dtype == object or isinstance(column.dtype, pd.StringDtype)
        if is_text or name in (BLOCK.key, MEANING.key, UNITS.key):
            texts = [None if pd.isna(value) else str(value) for value in column]
            known = sorted({text for text in texts if text is not None})
            frame[name] = pd.Categorical(texts, categories=pd.Index(known, dtype=object))
    return frame


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value
