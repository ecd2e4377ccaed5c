"""Whatever kind of classifier a model folder holds, as one that answers."""

from __future__ import annotations

from nlpcli.store.classifier import Classifier
from nlpcli.store.folder import ModelFolder
from nlpcli.store.opening import open_stored

ENCODER_CLASSIFIER = "bert-classifier"
"""As in store/encoder_classifier.py, which only such a model needs."""


def open_answering(folder: ModelFolder) -> Classifier:
    """The classifier of a verified folder. Raises DataError for another kind of model."""
    if folder.manifest.kind != ENCODER_CLASSIFIER:
        return open_stored(folder)
    from nlpcli.runs.encoder_classifier import EncoderClassifier
    from nlpcli.store.encoder_classifier import read_encoder_classifier

    return EncoderClassifier(read_encoder_classifier(folder))
