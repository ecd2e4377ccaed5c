"""Which parameters stay as they are while an encoder is fine-tuned."""

from __future__ import annotations

from nlpcli.models.encoder_heads import EncoderModel
from nlpcli.training.finetuning_config import ALL, FinetuneConfig

ENCODER = ("embeddings.", "encoder.", "pooler.")


def layer_of(name: str, n_layers: int) -> int:
    """Number of a parameter's layer; -1 for embeddings, ``n_layers`` for what is above."""
    if name.startswith("embeddings."):
        return -1
    return int(name.split(".")[2]) if name.startswith("encoder.layer.") else n_layers


def frozen_names(model: EncoderModel, config: FinetuneConfig) -> set[str]:
    """Names of the parameters that ``config.freeze`` holds."""
    n_layers = model.bert.config.n_layers
    below, found = config.frozen_layers(n_layers), set()
    for part in model.parts():
        layer = layer_of(part.name, n_layers)
        stays = layer < below or (layer == -1 and below >= 0)
        if config.freeze == ALL:
            stays = part.name.startswith(ENCODER)
        if stays:
            found.add(part.name)
    return found
