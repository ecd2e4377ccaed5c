"""Tensors of Hugging Face's BERT classes: their names, old spellings, and shapes by configuration.

Here they are called as in ``BertModel``; other classes put ``bert.`` before all but their heads.
"""

from __future__ import annotations

from nlpcli.models.bert_config import BertConfig

Shape = tuple[int, ...]

PREFIX = "bert."
POOLER = "pooler.dense"
WORDS = "embeddings.word_embeddings.weight"
BIAS = "cls.predictions.bias"
DECODER = "cls.predictions.decoder.weight"
DECODER_BIAS = "cls.predictions.decoder.bias"
TWINS = {DECODER: WORDS, DECODER_BIAS: BIAS}
"""The decoder of the masked language model is tied to these; some files have it nevertheless."""
PRETRAINING = (
    "BertForPreTraining", "BertForMaskedLM", "BertForNextSentencePrediction", "BertModel",
)  # fmt: skip
"""From the most heads to none."""
TASKS = (
    "BertForSequenceClassification", "BertForTokenClassification", "BertForQuestionAnswering",
)  # fmt: skip
ARCHITECTURES = (*PRETRAINING, *TASKS)
LABELLED = TASKS[:2]
HEADS = {
    "BertForPreTraining": ("masked-lm", "next-sentence"),
    "BertForMaskedLM": ("masked-lm",),
    "BertForNextSentencePrediction": ("next-sentence",),
    "BertModel": (),
    "BertForSequenceClassification": ("sequence-classification",),
    "BertForTokenClassification": ("token-classification",),
    "BertForQuestionAnswering": ("question-answering",),
}
"""For people."""
_HEAD_PREFIXES = ("cls.", "classifier.", "qa_outputs.")
_POOLED = (
    "BertForPreTraining", "BertForNextSentencePrediction", "BertForSequenceClassification",
)  # fmt: skip
_OLD_ENDS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")


def plain_name(name: str) -> str:
    """A name of a file as ``BertModel`` spells it today."""
    name = name.removeprefix(PREFIX)
    for old, new in _OLD_ENDS.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def file_name(name: str, architecture: str) -> str:
    """The inverse, for a file of this class."""
    bare = architecture == "BertModel" or name.startswith(_HEAD_PREFIXES)
    return name if bare else PREFIX + name


def is_buffer(name: str) -> bool:
    """Whether it holds no weights: numbers that older versions stored."""
    return name in _BUFFERS


def belongs_to_encoder(name: str) -> bool:
    """Whether it would be part of the encoder, rather than of a head."""
    return name.startswith(("embeddings.", "encoder.", "pooler."))


def encoder_shapes(config: BertConfig) -> dict[str, Shape]:
    """Of every tensor of the encoder, the pooler left out."""
    hidden, wide = config.hidden, config.intermediate
    found: dict[str, Shape] = {
        WORDS: (config.vocab_size, hidden),
        "embeddings.position_embeddings.weight": (config.max_positions, hidden),
        "embeddings.token_type_embeddings.weight": (config.type_vocab, hidden),
        **_norm("embeddings.LayerNorm", hidden),
    }
    for n in range(config.n_layers):
        at = f"encoder.layer.{n}"
        for part in ("query", "key", "value"):
            found |= _linear(f"{at}.attention.self.{part}", hidden, hidden)
        found |= _linear(f"{at}.attention.output.dense", hidden, hidden)
        found |= _norm(f"{at}.attention.output.LayerNorm", hidden)
        found |= _linear(f"{at}.intermediate.dense", wide, hidden)
        found |= _linear(f"{at}.output.dense", hidden, wide)
        found |= _norm(f"{at}.output.LayerNorm", hidden)
    return found


def pooler_shapes(config: BertConfig) -> dict[str, Shape]:
    """Of the layer over the first position."""
    return _linear(POOLER, config.hidden, config.hidden)


def head_shapes(config: BertConfig, architecture: str, n_labels: int) -> dict[str, Shape]:
    """Of what a class has above encoder and pooler; ``n_labels`` where it has labels.

    Without the decoder of the masked language model, see ``TWINS``. In ``seq_relationship``
    row 0 means that the second text follows; in ``qa_outputs`` row 0 is the start, 1 the end.
    """
    hidden = config.hidden
    found: dict[str, Shape] = {}
    if architecture in ("BertForPreTraining", "BertForMaskedLM"):
        found[BIAS] = (config.vocab_size,)
        found |= _linear("cls.predictions.transform.dense", hidden, hidden)
        found |= _norm("cls.predictions.transform.LayerNorm", hidden)
    if architecture in ("BertForPreTraining", "BertForNextSentencePrediction"):
        found |= _linear("cls.seq_relationship", 2, hidden)
    if architecture in LABELLED:
        found |= _linear("classifier", n_labels, hidden)
    if architecture == "BertForQuestionAnswering":
        found |= _linear("qa_outputs", 2, hidden)
    return found


def tensor_shapes(config: BertConfig, architecture: str, n_labels: int = 0) -> dict[str, Shape]:
    """Of every tensor that a file of this class must hold; the pooler of ``BertModel`` is free."""
    pooler = pooler_shapes(config) if architecture in _POOLED else {}
    heads = head_shapes(config, architecture, n_labels)
    return {**encoder_shapes(config), **pooler, **heads}


def _linear(name: str, n_out: int, n_in: int) -> dict[str, Shape]:
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}


def _norm(name: str, size: int) -> dict[str, Shape]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}
