"""Vectors of texts and of words: by their definitions, however they are asked for."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from nlpcli.errors import UsageError
from nlpcli.models.bert import Bert
from nlpcli.models.pooling import POOLINGS
from nlpcli.runs.embedding import Embedder, WordTable
from nlpcli.text.wordpiece import WordPieceTokenizer

from .encoders import LONGEST, TEXTS, plain_folder, tiny_encoder

EXACT = {"rtol": 0, "atol": 1e-6}


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(tiny_encoder(), "tiny", device="cpu", precision="fp32")


def hidden_of(text: str, n_layers: int = 2) -> tuple[list[np.ndarray], list[int]]:
    """Each layer's vectors of one text, [T, D], with nothing beside it, and its pieces."""
    encoder = tiny_encoder(n_layers)
    cut = WordPieceTokenizer.from_json(encoder.tokenizer_json, "tiny")
    pieces = cut.encode([text]).ids.tolist()[: LONGEST - 2]
    model = Bert(encoder.config).eval()
    model.load(encoder.weights)
    with torch.no_grad():
        states = model.hidden_states(torch.tensor([[cut.cls, *pieces, cut.sep]]))
    return [state[0].numpy() for state in states], pieces


def defined(text: str, pooling: str, n_layers: int = 2) -> np.ndarray:
    """The vector of a text as the help says."""
    states, _ = hidden_of(text, n_layers)
    if pooling == "cls":
        return states[-1][0]
    last = states[-1] if pooling == "mean" else np.mean(states[1:][-4:], axis=0)
    return last.mean(axis=0)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_vectors_are_what_they_are_called(embedder: Embedder, pooling: str) -> None:
    found = embedder.texts(TEXTS, pooling)
    assert found.dtype == np.float32
    for row, text in zip(found, TEXTS, strict=True):
        np.testing.assert_allclose(row, defined(text, pooling), **EXACT)


def test_last4_leaves_lower_layers_out() -> None:
    deep = Embedder(tiny_encoder(6), "deep", device="cpu", precision="fp32")
    (found,) = deep.texts([TEXTS[2]], "last4")
    np.testing.assert_allclose(found, defined(TEXTS[2], "last4", 6), **EXACT)
    states, _ = hidden_of(TEXTS[2], 6)
    assert np.abs(found - np.mean(states[1:], axis=0).mean(axis=0)).max() > 1e-2


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_text_has_its_vector_whatever_stands_beside_it(embedder: Embedder, pooling: str) -> None:
    words = " ".join(TEXTS).split()
    draw = random.Random(1)
    texts = [" ".join(draw.choices(words, k=draw.randrange(30))) for _ in range(300)]
    whole = embedder.texts(texts, pooling)
    for size in (1, 7, 100):
        parts = [embedder.texts(texts[i : i + size], pooling) for i in range(0, 300, size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, **EXACT)
    order = draw.sample(range(300), 300)
    shuffled = embedder.texts([texts[i] for i in order], pooling)
    np.testing.assert_allclose(shuffled, whole[order], **EXACT)


def test_equal_texts_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = Embedder(tiny_encoder(), "tiny", device="cpu", precision="fp32")
    asked: list[str] = []
    encode = embedder._tokenizer.encode

    def counting(texts: list[str]) -> object:
        asked.extend(texts)
        return encode(texts)

    monkeypatch.setattr(embedder._tokenizer, "encode", counting)
    found = embedder.texts(["a", "b", "a", "a"], "mean")
    assert asked == ["a", "b"]
    assert (found[[0, 2, 3]] == found[0]).all() and (found[1] != found[0]).any()


def test_no_texts(embedder: Embedder) -> None:
    assert embedder.texts([], "mean").shape == (0, 32)
    assert list(embedder.words([], "mean")) == []


def words_of(embedder: Embedder, texts: list[str], pooling: str) -> WordTable:
    (table,) = embedder.words(texts, pooling)
    return table


@pytest.mark.parametrize("pooling", ["mean", "last4"])
def test_a_word_is_the_mean_of_its_pieces(embedder: Embedder, pooling: str) -> None:
    texts = ["We sat on  RIVERS, again", "", "old!", "We sat on  RIVERS, again"]
    table = words_of(embedder, texts, pooling)
    named = [
        texts[row][start:end]
        for row, start, end in zip(table.rows, table.starts, table.ends, strict=True)
    ]
    whole = ["We", "sat", "on", "RIVERS", ",", "again"]
    assert named == [*whole, "old", "!", *whole]
    assert table.rows.tolist() == [0] * 6 + [2] * 2 + [3] * 6
    states, pieces = hidden_of(texts[0])
    last = states[-1] if pooling == "mean" else np.mean(states[1:], axis=0)
    cut = WordPieceTokenizer.from_json(tiny_encoder().tokenizer_json, "tiny")
    sizes = [len(cut.encode([word]).ids) for word in whole]
    assert sum(sizes) == len(pieces) and max(sizes) > 1
    first = 1
    for number, size in enumerate(sizes):
        wanted = last[first : first + size].mean(axis=0)
        np.testing.assert_allclose(table.vectors[number], wanted, **EXACT)
        np.testing.assert_allclose(table.vectors[8 + number], wanted, **EXACT)
        first += size


def test_words_beyond_what_is_read_have_no_vector() -> None:
    embedder = Embedder(tiny_encoder(), "tiny", device="cpu", precision="fp32")
    assert embedder.most_pieces == LONGEST - 2
    text = "the " * 21 + "rivers the"  # its second piece is the 23rd
    table = words_of(embedder, [text, "the bank"], "last4")
    assert table.rows.tolist() == [0] * 21 + [1, 1]
    assert embedder.n_cut == 1


def test_stretches(embedder: Embedder) -> None:
    texts = ["the old rivers", "the " * 30 + "bank", "the \x00\x01 bank"]
    spans = np.array([[8, 14], [120, 124], [4, 6]])
    vectors, wanted, read = embedder.spans(texts, spans, "last4")
    assert (wanted[0] > 1, wanted[0] == read[0]) == (True, True)
    np.testing.assert_allclose(
        vectors[0], words_of(embedder, texts[:1], "last4").vectors[2], **EXACT
    )
    assert (wanted.tolist()[1:], read.tolist()[1:]) == ([1, 0], [0, 0])
    assert not vectors[1:].any()


def test_bf16_is_near(embedder: Embedder) -> None:
    half = Embedder(tiny_encoder(), "tiny", device="cpu", precision="bf16")
    assert (half.precision, embedder.precision) == ("bfloat16", "float32")
    for pooling in POOLINGS:
        exact, rough = embedder.texts(TEXTS, pooling), half.texts(TEXTS, pooling)
        assert rough.dtype == np.float32
        apart = np.linalg.norm(exact - rough, axis=1) / np.linalg.norm(exact, axis=1)
        assert 0 < apart.max() < 0.05


def test_bytes_are_too_few_for_vectors() -> None:
    with pytest.raises(UsageError, match="int8: for answers; vectors take auto, fp32 or bf16"):
        Embedder(tiny_encoder(), "tiny", device="cpu", precision="int8")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_against_transformers(embedder: Embedder, tmp_path: Path) -> None:
    """Sentence-transformers' mean is that over the attention mask, [CLS] and [SEP] included."""
    reason = "transformers is not installed"
    transformers = pytest.importorskip("transformers", reason=reason)
    folder = plain_folder(tmp_path / "plain")
    theirs = transformers.BertModel.from_pretrained(folder).eval()
    cutter = transformers.AutoTokenizer.from_pretrained(folder)
    batch = cutter(TEXTS, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
    with torch.no_grad():
        said = theirs(**batch, output_hidden_states=True)
    kept = batch["attention_mask"][:, :, None].float()
    last, four = said.last_hidden_state, torch.stack(said.hidden_states[1:][-4:]).mean(dim=0)
    wanted = {
        "cls": last[:, 0],
        "mean": (last * kept).sum(1) / kept.sum(1).clamp(min=1e-9),
        "last4": (four * kept).sum(1) / kept.sum(1),
    }
    for pooling, vectors in wanted.items():
        found = embedder.texts(TEXTS, pooling)
        np.testing.assert_allclose(found, vectors.numpy(), rtol=0, atol=1e-5)
