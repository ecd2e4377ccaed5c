"""Whatever kind of classifier a model folder holds, as one that answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlpcli.store.classifier import Classifier
from nlpcli.store.folder import ModelFolder
from nlpcli.store.opening import open_stored

if TYPE_CHECKING:
    from nlpcli.runs.encoder_classifier import EncoderClassifier

ENCODER, ENCODER_CLASSIFIER = "bert-encoder", "bert-classifier"
"""As in store/encoder.py and store/encoder_classifier.py, which only such models need."""


def open_answering(folder: ModelFolder, *, pair: bool = False, **computing: Any) -> Classifier:
    """The classifier of a verified folder. Raises DataError for another kind of model.

    ``pair``: whether an imported classifier, which does not say so, is asked about pairs.
    ``computing``: ``device``, ``precision`` and ``threads``, which encoders heed; one that is
    ready to answer. Raises UsageError, Unavailable for these.
    """
    if folder.manifest.kind not in (ENCODER, ENCODER_CLASSIFIER):
        return open_stored(folder)
    from nlpcli.runs.encoder_classifier import EncoderClassifier, plain_classifier
    from nlpcli.store.encoder import read_encoder
    from nlpcli.store.encoder_classifier import read_encoder_classifier

    if folder.manifest.kind == ENCODER:
        stored = plain_classifier(read_encoder(folder), str(folder.path), pair=pair)
    else:
        stored = read_encoder_classifier(folder)
    return _ready(EncoderClassifier(stored, **computing))


def open_plain_answering(path: Path, *, pair: bool, **computing: Any) -> EncoderClassifier:
    """The classifier in a plain Hugging Face folder; else as ``open_answering``."""
    from nlpcli.runs.encoder_classifier import EncoderClassifier, plain_classifier
    from nlpcli.runs.memory import free_memory
    from nlpcli.store.encoder import open_plain

    encoder = open_plain(path, room=free_memory()).encoder
    return _ready(EncoderClassifier(plain_classifier(encoder, str(path), pair=pair), **computing))


def _ready(classifier: EncoderClassifier) -> EncoderClassifier:
    classifier.ready()  # so that the first row need not wait, and no header is written in vain
    return classifier
