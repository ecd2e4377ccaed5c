import numpy as np
import pytest

from nlpcli.errors import DataError
from nlpcli.text.chosen_features import chosen_hashes
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.hashing import ngram_hash, subword_hash, word_hash
from nlpcli.text.tokenizer import Tokenizer

LIST = [
    ("word", "Good"),
    ("word", "good film"),
    ("word", "我来"),
    ("subword", "<go"),
    ("word", " "),
]
TEXTS = ["good film", "a bad film", "good 我来"]


def test_features_get_the_hashes_that_texts_have() -> None:
    wanted = {
        word_hash("good"), subword_hash("<go"),
        ngram_hash(["good", "film"]), ngram_hash(["我", "来"]),
    }  # fmt: skip
    found = chosen_hashes(TokenizerConfig(), LIST)
    assert set(found.tolist()) == wanted
    assert (np.diff(found.astype(object)) > 0).all()
    assert len(chosen_hashes(TokenizerConfig(), [])) == 0


@pytest.mark.parametrize("buckets", [None, 1000])
def test_only_chosen_features_get_rows(buckets: int | None) -> None:
    config = TokenizerConfig(min_n=3, max_n=3, buckets=buckets, chosen=True)
    only = chosen_hashes(config, LIST)
    tokenizer, bags = Tokenizer.fit(config, TEXTS, only=only)
    assert tokenizer.n_features == 4
    assert np.diff(bags.indptr).tolist() == [3, 0, 3]
    assert tokenizer.words == ["good"]
    # what was not chosen does not make a text longer
    squares = [float((bags.weights[a:b] ** 2).sum()) for a, b in ((0, 3), (3, 6))]
    assert squares == pytest.approx([1, 1], abs=1e-6)
    again = tokenizer.bags(TEXTS)
    assert (again.weights == bags.weights).all()
    assert TokenizerConfig.from_json(config.to_json()) == config


def test_a_list_of_other_features_is_refused() -> None:
    with pytest.raises(DataError, match="none of the 1 features chosen occurs"):
        Tokenizer.fit(
            TokenizerConfig(chosen=True),
            TEXTS,
            only=chosen_hashes(TokenizerConfig(), [("word", "x")]),
        )
    assert "chosen" not in TokenizerConfig().to_json()
