"""Other programs' word vectors, read whole: vectors alone, or fastText's with sub-words."""

from __future__ import annotations

from pathlib import Path

from nlpcli.formats.fasttext_bin import MODELS, is_fasttext, read_fasttext
from nlpcli.formats.fasttext_words import unsupervised_vectors
from nlpcli.formats.word_vectors import FORMS, VectorFile
from nlpcli.models.word_vectors import WordVectors
from nlpcli.runs.memory import free_memory


def read_word_vector_file(path: Path) -> tuple[WordVectors, str]:
    """The vectors of a file, packed or not, and what kind of file it is, for people.

    Known by its content: fastText's ``.bin`` of cbow or skipgram, word2vec's text (``.vec``) and
    binary, GloVe's text. Raises InputMissing, DataError, Unavailable without the memory.
    """
    if is_fasttext(path):
        model = read_fasttext(path)
        return unsupervised_vectors(model, str(path)), f"fastText {MODELS[model.arguments.model]}"
    file = VectorFile(str(path))
    found = file.read(room=free_memory())
    return WordVectors(found.words, found.vectors), FORMS[file.form]
