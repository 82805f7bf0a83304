"""New pictures for a finished run: encoded as the run's own were, and a row for each file.

What the run says of them is in the model of its study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kinlens.embed.encoders import ImageEncoder, open_encoder
from kinlens.embed.images import ImageVectors, embed_images
from kinlens.errors import InputError
from kinlens.parallel import Resources

__all__ = ["EncoderOfRun", "row_for_each"]


@dataclass(frozen=True)
class EncoderOfRun:
    """How the pictures of a run were turned into vectors.

    Parameters
    ----------
    embedder : str
        ``descriptors``, ``timm:NAME`` or ``open_clip:NAME``.
    fingerprint : str
        Must be the same again, or vectors do not mean the same.
    n_channels : int
        Bands of the pictures.
    """

    embedder: str
    fingerprint: str
    n_channels: int

    def open(
        self, *, run: str | Path, weights: str | Path | None, resources: Resources
    ) -> ImageEncoder:
        """Open the encoder again.

        Parameters
        ----------
        run : path
            Named in the message when the encoder is another one.
        weights : path, optional
            The network's weights when the run was made with a file of them.
        resources : Resources
            Where it computes.

        Raises
        ------
        InputError
            When the encoder is not the one that the run was made with.
        """
        encoder = open_encoder(
            self.embedder, n_channels=self.n_channels, weights=weights, device=resources.device
        )
        if encoder.fingerprint != self.fingerprint:
            raise InputError(
                f"the run was made with the encoder {self.fingerprint}, but {self.embedder!r} is "
                f"now {encoder.fingerprint}",
                where=run,
                remedy="Give the same --weights, or run the study again.",
            )
        return encoder

    def embed(
        self,
        images: Sequence[str | Path],
        *,
        run: str | Path,
        weights: str | Path | None,
        resources: Resources,
    ) -> ImageVectors:
        """Encode new pictures.

        Parameters
        ----------
        images : sequence of path
            One file each.
        run, weights, resources
            As in `open`.

        Raises
        ------
        InputError
            When the encoder is not the one that the run was made with, or nothing can be read.
        """
        encoder = self.open(run=run, weights=weights, resources=resources)
        return embed_images(
            list(images), encoder, ids=[str(image) for image in images], resources=resources
        )


def row_for_each(
    images: Sequence[str | Path], embedded: ImageVectors, answers: pd.DataFrame
) -> pd.DataFrame:
    """Put answers beside file names, with a row for what could not be read as well.

    Parameters
    ----------
    images : sequence of path
        As asked for, repetitions included.
    embedded : ImageVectors
        What could be read, and why the rest could not.
    answers : pandas.DataFrame
        One row for each row of `embedded`.

    Returns
    -------
    pandas.DataFrame
        ``image`` first, the columns of `answers`, and ``problem``, "" where there is none.
    """
    names = [str(image) for image in images]
    table = answers.copy()
    table.insert(0, "image", list(embedded.ids))
    reasons = {skipped.file: skipped.reason for skipped in embedded.skipped}
    whole = pd.DataFrame({"image": names}).merge(
        table.drop_duplicates("image"), on="image", how="left"
    )
    whole["problem"] = [reasons.get(Path(name).as_posix(), "") for name in names]
    return whole
