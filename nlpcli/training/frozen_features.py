"""What a frozen encoder says of rows: computed once, and kept for all epochs.

Shapes: N rows, B of them in a batch, T positions, D hidden size.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.framing import Padded, Rows, Specials, batches_of_one_width, padded
from nlpcli.errors import Unavailable
from nlpcli.models.encoder_heads import EncoderModel

if TYPE_CHECKING:
    from nlpcli.training.ranks import Ranks

FEATURE_BYTES = 1 << 30
"""Of all rows together: features that need more are computed in each epoch. The same everywhere,
as what is kept is rounded otherwise than what is not."""
ANSWER_TOKENS = {"cpu": 2048, "cuda": 16_384}
"""Computed at once, padding included."""

I64 = npt.NDArray[np.int64]
T = TypeVar("T")


def tokens_at_once(device: torch.device) -> int:
    """Positions of a batch of which nothing is learnt."""
    return ANSWER_TOKENS.get(device.type, ANSWER_TOKENS["cpu"])


def on_device(batch: Padded, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Its ids, segments and mask."""
    ids, segments, mask = (
        torch.from_numpy(array).to(device) for array in (batch.ids, batch.segments, batch.mask)
    )
    return ids, segments, mask


def in_parts(
    lengths: I64, batches: list[I64], compute: Callable[[I64], T]
) -> Iterator[tuple[I64, T]]:
    """What is computed of each batch; where a GPU has too little memory, of parts of it, half as
    large from then on. Raises Unavailable when a single row does not fit."""
    most, waiting = sys.maxsize, batches[::-1]
    while waiting:
        chosen = waiting.pop()
        width = max(1, int(lengths[chosen].max()))
        size = max(1, min(len(chosen), most // width))
        if size < len(chosen):
            waiting.append(chosen[size:])
        try:
            found = compute(chosen[:size])
        except torch.OutOfMemoryError:
            pass  # tensors of the attempt are held until the exception is gone
        else:
            yield chosen[:size], found
            continue
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if size == 1:
            raise Unavailable(
                f"the GPU's memory does not hold one row of {width} pieces", hint="--device cpu"
            )
        most = size // 2 * width
        waiting.append(chosen[:size])


def feature_bytes(model: EncoderModel, rows: Rows) -> int:
    """What the features of rows need."""
    count = int(rows.indptr[-1]) if model.by_position else len(rows)
    return count * model.bert.config.hidden * model.bert.words.element_size()


def has_room(model: EncoderModel, rows: Rows) -> bool:
    """Whether features of rows are kept; of those that are already, yes."""
    if model.remembered is None:
        return False
    held = sum(kept.nbytes for kept in model.remembered.values())
    return _content(rows) in model.remembered or held + feature_bytes(model, rows) <= FEATURE_BYTES


def _content(rows: Rows) -> str:
    """Tells rows from others."""
    digest = hashlib.blake2b(digest_size=16)
    for array in (rows.ids, rows.indptr, rows.second):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@torch.no_grad()
def remembering(
    model: EncoderModel, rows: Rows, specials: Specials, ranks: Ranks | None = None
) -> Iterator[int]:
    """Computes the features of all rows without dropout and keeps them in ``model.remembered``;
    yields how many rows are done. Nothing, where they are there or have no room.

    Rows are computed with others of their own width, as ``answers`` does, so a row has the same
    bits as without. ``ranks`` compute a share each.
    """
    if model.remembered is None or not has_room(model, rows) or _content(rows) in model.remembered:
        return
    words = model.bert.words
    count = int(rows.indptr[-1]) if model.by_position else len(rows)
    found = torch.zeros(count, words.shape[1], dtype=words.dtype, device=words.device)
    batches = batches_of_one_width(rows.lengths, specials, tokens_at_once(words.device))
    first, every = (ranks.rank, ranks.size) if ranks else (0, 1)

    def compute(chosen: I64) -> None:
        model.eval()
        batch = padded(rows, chosen, specials)
        ids, segments, mask = on_device(batch, words.device)
        values = model.features(ids, segments, mask)
        if model.by_position:
            values, at = values[mask], _places(rows, chosen, batch.mask)
        else:
            at = chosen
        found[torch.from_numpy(at).to(words.device)] = values

    done = 0
    for chosen, _ in in_parts(rows.lengths, batches[first::every], compute):
        done += len(chosen)
        yield done
    if ranks is not None:  # each row is 0 in all ranks but one
        found.copy_(ranks.sum(found.float()))
    model.remembered[_content(rows)] = found


def remembered(model: EncoderModel, rows: Rows, specials: Specials) -> Tensor | None:
    """The features of all rows, [N, D] or [sum of lengths, D], computed now if they are not there;
    None where there is no room for them, or the encoder is not frozen."""
    if model.remembered is None:
        return None
    for _ in remembering(model, rows, specials):
        pass
    return model.remembered.get(_content(rows))


def gathered(
    model: EncoderModel, features: Tensor, rows: Rows, chosen: I64, specials: Specials
) -> Tensor:
    """The features of the rows ``chosen`` as the encoder would give them, [B, D] or [B, T, D];
    0 for padding."""
    if not model.by_position:
        return features[torch.from_numpy(chosen).to(features.device)]
    mask = padded(rows, chosen, specials).mask
    found = features.new_zeros((*mask.shape, features.shape[1]))
    at = torch.from_numpy(_places(rows, chosen, mask)).to(features.device)
    found[torch.from_numpy(mask).to(features.device)] = features[at]
    return found


def _places(rows: Rows, chosen: I64, mask: npt.NDArray[np.bool_]) -> I64:
    """Where the positions of a batch, padding apart, lie among those of all rows."""
    place: I64 = (rows.indptr[chosen][:, None] + np.arange(mask.shape[1]))[mask]
    return place
