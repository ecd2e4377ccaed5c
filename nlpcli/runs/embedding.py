"""Texts, and words within texts, to vectors of an encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nlpcli.batching.framing import Specials, framed
from nlpcli.errors import DataError, UsageError
from nlpcli.store.encoder import Encoder
from nlpcli.text.features import text_chunks
from nlpcli.text.wordpiece import Ragged, WordPieces, WordPieceTokenizer

if TYPE_CHECKING:
    from torch import Tensor

    from nlpcli.batching.lengths import LengthBatch

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

_WORD_CHUNK = 1 << 16
"""Characters of which all words' vectors are held at once."""


@dataclass(frozen=True)
class WordTable:
    """Words of texts: ``rows`` int64 [W], the text of each; ``starts`` and ``ends`` int64 [W], its
    characters there; ``vectors`` float32 [W, D]."""

    rows: I64
    starts: I64
    ends: I64
    vectors: F32


class Embedder:
    """Asks an encoder; ``n_cut`` counts the different texts that were longer than it reads.

    ``device``, ``precision`` (auto, fp32 or bf16) and ``threads`` as the options of those names.
    Raises DataError for an encoder without room for a text, Unavailable, UsageError.
    """

    def __init__(
        self,
        encoder: Encoder,
        name: str,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        import torch

        from nlpcli.batching.lengths import TOKENS_ON_CPU, TOKENS_ON_GPU
        from nlpcli.models.bert import Bert
        from nlpcli.training.device import choose_device, set_threads
        from nlpcli.training.precision import INT8, choose_precision

        if precision == INT8:  # cosines move by up to 0.04: benchmarks/LOG.md
            raise UsageError("--precision int8: for answers; vectors take auto, fp32 or bf16")
        set_threads(threads)
        self._device = choose_device(device)
        kind = choose_precision(precision, self._device)
        self._tokenizer = WordPieceTokenizer.from_json(encoder.tokenizer_json, name)
        longest = encoder.config.max_positions
        if longest < 3:
            raise DataError(f"{name}: {longest} positions, wanted 3: [CLS], a piece and [SEP]")
        ids = self._tokenizer
        self._specials = Specials(ids.cls, ids.sep, ids.pad, longest)
        self._tokens = TOKENS_ON_CPU if self._device.type == "cpu" else TOKENS_ON_GPU
        self._model = Bert(encoder.config, pooler=False)
        self._model.load(encoder.weights)
        self._model.to(self._device).eval().requires_grad_(False)
        self._mixed = kind if kind != torch.float32 else None
        if self._mixed:
            # sums of layers stay float32: rounded there too, vectors err three times as much
            for module in self._model.modules():
                if isinstance(module, torch.nn.Linear):
                    module.to(self._mixed)
        self.precision = str(kind).removeprefix("torch.")
        self.dim = encoder.config.hidden
        self.n_cut = 0

    @property
    def most_pieces(self) -> int:
        """Pieces of a text that are read; [CLS] and [SEP] take the other two positions."""
        return self._specials.longest - 2

    def texts(self, texts: Sequence[str], pooling: str) -> F32:
        """One vector a text, float32 [N, D]; ``pooling`` as in ``models/pooling.py``."""
        from nlpcli.models.pooling import pool_texts

        different = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        found = np.empty((len(different), self.dim), np.float32)
        first = 0
        for chunk in text_chunks(list(different)):
            for batch, layer in self._layers(self._tokenizer.encode(chunk), pooling):
                pooled = pool_texts(layer, batch.mask.to(self._device), pooling)
                found[first + batch.chosen] = pooled.cpu().numpy()
            first += len(chunk)
        return found[[different[text] for text in texts]]

    def words(self, texts: Sequence[str], pooling: str) -> Iterator[WordTable]:
        """One vector a word, the mean over its pieces; words in order, some texts at a time.

        Words that are not read to their end have none.
        """
        first = 0
        for chunk in text_chunks(texts, _WORD_CHUNK):
            different = {text: number for number, text in enumerate(dict.fromkeys(chunk))}
            table = self._words(list(different), pooling)
            places = np.searchsorted(table.rows, np.arange(len(different) + 1))
            asked = np.array([different[text] for text in chunk], np.int64)
            sizes = np.diff(places)[asked]
            rows = np.repeat(np.arange(len(chunk)), sizes)
            take = np.arange(len(rows)) + np.repeat(places[asked] - np.cumsum(sizes) + sizes, sizes)
            yield WordTable(rows + first, table.starts[take], table.ends[take], table.vectors[take])
            first += len(chunk)

    def _words(self, texts: Sequence[str], pooling: str) -> WordTable:
        pieces = self._tokenizer.encode_words(texts)
        sizes = np.diff(pieces.indptr)
        rows = np.repeat(np.arange(len(texts)), sizes)
        begins = np.ones(len(rows), bool)
        begins[1:] = (np.diff(rows) != 0) | (np.diff(pieces.words) != 0)
        words = np.cumsum(begins) - 1
        at = np.flatnonzero(begins)
        last = np.append(at[1:], len(rows))[: len(at)] - 1
        vectors = self._means(pieces, words, len(at), pooling)
        whole = last - pieces.indptr[rows[last]] < self.most_pieces
        return WordTable(
            rows[at][whole],
            pieces.spans[at, 0][whole].astype(np.int64),
            pieces.spans[last, 1][whole].astype(np.int64),
            vectors[whole],
        )

    def spans(self, texts: Sequence[str], spans: I64, pooling: str) -> tuple[F32, I64, I64]:
        """The mean over the pieces that overlap one stretch of each text, float32 [N, D].

        ``spans`` int64 [N, 2]: first character and the one behind the last. Then how many pieces
        overlap, int64 [N], and how many of them are read; without any the vector is zeros.
        """
        pieces = self._tokenizer.encode_words(texts)
        rows = np.repeat(np.arange(len(texts)), np.diff(pieces.indptr))
        inside = (pieces.spans[:, 0] < spans[rows, 1]) & (pieces.spans[:, 1] > spans[rows, 0])
        read = inside & (np.arange(len(rows)) - pieces.indptr[rows] < self.most_pieces)
        vectors = self._means(pieces, np.where(inside, rows, -1), len(texts), pooling)
        counts = [np.bincount(rows[kept], minlength=len(texts)) for kept in (inside, read)]
        return vectors, counts[0].astype(np.int64), counts[1].astype(np.int64)

    def _means(self, pieces: WordPieces, owners: I64, count: int, pooling: str) -> F32:
        """Over the pieces that are read, float32 [count, D]; ``owners`` int64 [pieces], or -1."""
        import torch

        from nlpcli.models.pooling import add_to_words

        sums = torch.zeros(count, self.dim)
        sizes = np.zeros(count, np.int64)
        for batch, layer in self._layers(pieces, pooling):
            width = layer.shape[1]
            place = np.arange(width) - 1
            begins, ends = pieces.indptr[batch.chosen], pieces.indptr[batch.chosen + 1]
            ends = np.minimum(ends, begins + self.most_pieces)
            at = begins[:, None] + place
            own = np.where((place >= 0) & (at < ends[:, None]), at, -1)
            owner = np.where(own >= 0, np.append(owners, -1)[own], -1)
            add_to_words(sums, layer.cpu(), torch.from_numpy(owner))
            sizes += np.bincount(owner[owner >= 0], minlength=count)
        found: F32 = np.divide(sums.numpy(), np.maximum(sizes, 1)[:, None], dtype=np.float32)
        return found

    def _layers(self, texts: Ragged, pooling: str) -> Iterator[tuple[LengthBatch, Tensor]]:
        """Batches of texts and what is pooled of each, [B, T, D] float32."""
        import torch

        from nlpcli.batching.lengths import length_batches
        from nlpcli.models.pooling import upper_layers

        rows = framed(texts, None, self._specials, "truncate-tail")
        self.n_cut += rows.n_cut
        for batch in length_batches(rows, self._specials, tokens=self._tokens):
            mask = None if bool(batch.mask.all()) else batch.mask.to(self._device)
            mixed = torch.autocast(self._device.type, self._mixed, enabled=bool(self._mixed))
            with torch.inference_mode(), mixed:
                states = self._model.hidden_states(batch.ids.to(self._device), None, mask)
                layer = upper_layers(states, pooling)
            yield batch, layer
