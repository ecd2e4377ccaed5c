"""Skip-gram and CBOW (Mikolov et al. 2013, "Efficient Estimation", section 3) over spans of text.

Shapes: V words, D dimensions, N words of a span with W words of window on each side. A word has a
vector as input and one, or a way in a tree, as output; the input vectors are what is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nlpcli.batching.labels import ragged_positions
from nlpcli.batching.windows import reach_patterns
from nlpcli.models.huffman import HuffmanTree
from nlpcli.models.overlap import Overlap
from nlpcli.models.row_tables import RowMoves, RowTable
from nlpcli.models.span_outputs import (
    NegativeSampling,
    Softmax,
    SpanOutput,
)
from nlpcli.models.tree_outputs import HierarchicalSoftmax, TreePaths
from nlpcli.models.word2vec_config import Algorithm, Word2VecConfig

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


POOLS: dict[Algorithm, tuple[int, int]] = {"skipgram": (32, 32), "cbow": (64, 16)}
"""Words of a block and the noise words that it shares, whatever the number of negatives, which
their weight makes up for; chosen by quality, see LOG.md. CBOW has a fifth of the pairs."""


class WordInputs(Protocol):
    """How words become input vectors."""

    table: RowTable

    def take(self, words: Tensor, out: Tensor) -> Tensor:
        """Vectors of words int32 [n], into ``out`` [n, D]."""

    def moves(self, words: Tensor, gradient: Tensor, curvature: Tensor) -> RowMoves:
        """What a gradient at the words' vectors does to the table."""


class PlainInputs:
    """A row for each word."""

    def __init__(self, table: RowTable) -> None:
        self.table = table

    def take(self, words: Tensor, out: Tensor) -> Tensor:
        """Vectors of words."""
        return self.table.take(words, out)

    def moves(self, words: Tensor, gradient: Tensor, curvature: Tensor) -> RowMoves:
        """Each row moves along its word's gradient."""
        return RowMoves(words, gradient, curvature)


class SubwordInputs:
    """A word is the mean of its own row and those of its character n-grams (Bojanowski et al.
    2017, section 3.2, where it is the sum). Each of the rows moves along the word's gradient, as
    in fastText.

    Word i has ``rows[indptr[i] : indptr[i + 1]]``, its own first.
    """

    def __init__(self, table: RowTable, indptr: I64, rows: I64) -> None:
        self.table, self._indptr, self._rows = table, indptr, rows.astype(np.int32)

    def _bags(self, words: Tensor) -> tuple[Tensor, Tensor]:
        chosen = words.cpu().numpy()
        begins = self._indptr[chosen]
        sizes = self._indptr[chosen + 1] - begins
        indptr = np.zeros(len(chosen) + 1, np.int32)
        np.cumsum(sizes, out=indptr[1:])
        rows = self._rows[ragged_positions(begins, sizes)]
        device = self.table.weight.device
        return torch.from_numpy(indptr).to(device), torch.from_numpy(rows).to(device)

    def take(self, words: Tensor, out: Tensor) -> Tensor:
        """Vectors of words."""
        indptr, rows = self._bags(words)
        weight = self.table.weight
        found = F.embedding_bag(rows, weight, indptr, mode="mean", include_last_offset=True)
        return out.copy_(found)

    def moves(self, words: Tensor, gradient: Tensor, curvature: Tensor) -> RowMoves:
        """Each row moves along the gradients of the words that it is part of."""
        indptr, rows = self._bags(words)
        # a row is but a share of its word's mean
        return RowMoves(rows, gradient, curvature / indptr.diff(), indptr)


@dataclass(frozen=True)
class Span:
    """``tokens`` int32 [W + N + W], ``reach`` int64 [N] (see Chunk), ``noise`` int32 [N / b, M]."""

    tokens: Tensor
    reach: Tensor
    noise: Tensor


@dataclass(frozen=True)
class SpanMoves:
    """What a span does to both tables, and its loss where it was asked for."""

    input: RowMoves
    output: RowMoves
    loss: float | None

    @property
    def finite(self) -> bool:
        """Whether no number is infinite or NaN; a look at the curvatures tells."""
        return bool(torch.isfinite(self.input.curvature.sum() + self.output.curvature.sum()))


class SkipGram:
    """Each word predicts its neighbours."""

    def __init__(self, inputs: WordInputs, output: SpanOutput, n: int, window: int) -> None:
        table = inputs.table.weight
        self._inputs, self._output, self._window, self._n = inputs, output, window, n
        self._patterns = torch.from_numpy(reach_patterns(window)).to(table.device)
        self._queries = torch.empty(n, table.shape[1], device=table.device)

    def learn(self, span: Span, *, measured: bool) -> SpanMoves:
        """Gradients of a span."""
        words = span.tokens[self._window : self._window + self._n]
        queries = self._inputs.take(words, self._queries)
        pairs = self._patterns.index_select(0, span.reach)
        learnt = self._output.learn(queries, span.tokens, pairs, span.noise, measured=measured)
        moves = self._inputs.moves(words, learnt.queries, learnt.curvature)
        return SpanMoves(moves, learnt.moves, learnt.loss)


class Cbow:
    """The mean of the neighbours predicts a word; each of them moves along the whole gradient of
    the mean, as in word2vec.c."""

    def __init__(self, inputs: WordInputs, output: SpanOutput, n: int, window: int) -> None:
        table = inputs.table.weight
        self._inputs, self._output, self._window, self._n = inputs, output, window, n
        device, dim = table.device, table.shape[1]
        self._patterns = torch.from_numpy(reach_patterns(window)).to(device)
        self._counts = self._patterns.sum(dim=1, keepdim=True)
        self._overlap = overlap = Overlap(n, window)
        self._neighbours = torch.empty(n + 2 * window, dim, device=device)
        self._back, self._sizes = (
            torch.empty_like(self._neighbours),
            torch.empty(n + 2 * window, 1, device=device),
        )
        self._mask = overlap.buffer(overlap.size, overlap.width, device=device)

    def learn(self, span: Span, *, measured: bool) -> SpanMoves:
        """Gradients of a span."""
        overlap, dim = self._overlap, self._neighbours.shape[1]
        neighbours = overlap.windows(self._inputs.take(span.tokens, self._neighbours))
        reach = self._patterns[span.reach]
        band = overlap.band(self._mask)
        band.copy_(reach.view(band.shape))
        counts = self._counts[span.reach]
        queries = torch.bmm(self._mask, neighbours).view(-1, dim).div_(counts.clamp(min=1))
        centres = span.tokens[self._window : self._window + self._n]
        pairs = (counts > 0).float()
        learnt = self._output.learn(queries, centres, pairs, span.noise, measured=measured)
        back, blocks = self._mask.transpose(1, 2), (overlap.blocks, overlap.size, -1)
        gradient = overlap.fold(torch.bmm(back, learnt.queries.view(blocks)), self._back)
        # a product with one column takes torch more than twice the time
        each = torch.mul(self._mask, learnt.curvature.view(blocks)).sum(dim=1)
        sizes = overlap.fold(each[:, :, None], self._sizes)
        moves = self._inputs.moves(span.tokens, gradient, sizes.view(-1))
        return SpanMoves(moves, learnt.moves, learnt.loss)


class Word2Vec:
    """The tables, and the objects that compute over them; nothing here changes with threads."""

    def __init__(
        self, config: Word2VecConfig, counts: I64, *, noise_shares: F64 | None = None,
        bags: tuple[I64, I64, int] | None = None, seed: int = 1,
        device: torch.device | None = None,
    ) -> None:  # fmt: skip
        """``counts`` int64 [V]. ``bags``: (indptr [V + 1], rows, number of rows) of SubwordInputs.

        Input vectors begin evenly within ± 1 / 2 D, outputs as zeros, as in word2vec.c.
        """
        self.config, self.n_words = config, len(counts)
        device = device or torch.device("cpu")
        generator = torch.Generator().manual_seed(seed)
        n_rows = len(counts) if bags is None else bags[2]
        start = torch.rand(n_rows, config.dim, generator=generator).sub_(0.5).div_(config.dim)
        self.input = RowTable(start.to(device))
        self._bags, self._shares, self._paths = bags, noise_shares, None
        n_outputs = len(counts)
        if config.loss == "hs":
            self._paths = TreePaths.of(HuffmanTree(counts.tolist()))
            n_outputs = max(1, len(counts) - 1)
        self.output = RowTable(torch.zeros(n_outputs, config.dim, device=device))

    @property
    def inputs(self) -> WordInputs:
        """How words become vectors."""
        if self._bags is None:
            return PlainInputs(self.input)
        return SubwordInputs(self.input, *self._bags[:2])

    def lane(self, n: int) -> SkipGram | Cbow:
        """What learns from spans of ``n`` words; one for each thread, as it keeps buffers."""
        config = self.config
        kind = SkipGram if config.algorithm == "skipgram" else Cbow
        half = config.window if kind is SkipGram else 0
        return kind(self.inputs, self._output_layer(n, half), n, config.window)

    def _output_layer(self, n: int, half: int) -> SpanOutput:
        config, table = self.config, self.output
        if config.loss == "softmax":
            return Softmax(table, n, half)
        if self._paths is not None:
            return HierarchicalSoftmax(table, n, half, self._paths)
        correction = None
        if config.loss == "nce":
            assert self._shares is not None
            logs = np.log(config.negatives * self._shares).astype(np.float32)
            correction = torch.from_numpy(logs).to(table.weight.device)
        pool, negatives = POOLS[config.algorithm], config.negatives
        return NegativeSampling(
            table, n, half, negatives=negatives, pool=pool, correction=correction
        )

    def vectors(self) -> F32:
        """Of the words, float32 [V, D], on the CPU."""
        with torch.no_grad():
            words = torch.arange(self.n_words, dtype=torch.int32, device=self.input.weight.device)
            found = torch.empty(self.n_words, self.config.dim, device=words.device)
            result: F32 = self.inputs.take(words, found).cpu().numpy()
        return result
