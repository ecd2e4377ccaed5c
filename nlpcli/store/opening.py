"""Whatever kind of classifier a model folder holds, as one that answers."""

from __future__ import annotations

from nlpcli.store.classifier import KIND, Classifier, read_classifier
from nlpcli.store.folder import ModelFolder


def open_stored(folder: ModelFolder) -> Classifier:
    """The classifier of a verified folder. Raises DataError for another kind of model."""
    if folder.manifest.kind != KIND:
        from nlpcli.store import fasttext_folder  # only where it is needed: predict starts sooner

        if folder.manifest.kind == fasttext_folder.KIND:
            return fasttext_folder.read_fasttext_classifier(folder)
        from nlpcli.store import language_model

        if folder.manifest.kind == language_model.KIND and folder.manifest.labels:
            return language_model.read_language_model(folder)
    return read_classifier(folder)
