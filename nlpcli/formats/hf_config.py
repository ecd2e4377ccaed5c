"""``config.json`` of a Hugging Face BERT folder, read into a configuration of ours and written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nlpcli.errors import DataError, shown
from nlpcli.models.bert_config import ACTIVATIONS, BertConfig
from nlpcli.text.strict_json import parse_object

PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")
MOST_LABELS = 1_000_000
_KEYS = {
    "vocab_size": ("vocab_size", 30522),
    "n_layers": ("num_hidden_layers", 12),
    "hidden": ("hidden_size", 768),
    "heads": ("num_attention_heads", 12),
    "intermediate": ("intermediate_size", 3072),
    "max_positions": ("max_position_embeddings", 512),
    "type_vocab": ("type_vocab_size", 2),
    "activation": ("hidden_act", "gelu"),
    "layer_norm_eps": ("layer_norm_eps", 1e-12),
    "dropout": ("hidden_dropout_prob", 0.1),
    "attention_dropout": ("attention_probs_dropout_prob", 0.1),
    "initializer_range": ("initializer_range", 0.02),
    "pad_id": ("pad_token_id", 0),
}
"""Our names, theirs, and what theirs mean when they are left out."""
_SAME_ACT = {"gelu_python": "gelu", "gelu_fast": "gelu_new", "gelu_accurate": "gelu_new"}
"""Other names for the same functions."""
_MAYBE_ZERO = ("dropout", "attention_dropout")
"""Where a whole number may stand for a float."""


@dataclass(frozen=True, kw_only=True)
class HfConfig:
    """What ``config.json`` says; ``architecture`` is the first class named there, if any.

    ``labels`` by id, empty where it names none; ``n_labels`` is what a labelled head then has.
    ``tied``: the decoder of the masked language model has the word embeddings for its weight.
    """

    bert: BertConfig
    architecture: str | None
    labels: list[str]
    problem_type: str | None
    classifier_dropout: float | None
    tied: bool


def parse_config(data: bytes, where: str) -> HfConfig:
    """Raises DataError for what is no BERT of the plain kind, with the reason."""
    document = parse_object(data, where)
    _refuse_others(document, where)
    return HfConfig(
        bert=_sizes(document, where),
        architecture=_architecture(document, where),
        labels=_labels(document, where),
        problem_type=_problem(document, where),
        classifier_dropout=_classifier_dropout(document, where),
        tied=_flag(document, "tie_word_embeddings", True, where),
    )


def _refuse_others(document: dict[str, Any], where: str) -> None:
    """Whatever would make other numbers of the same tensors, or run code."""
    kind = document.get("model_type")
    if kind != "bert":
        raise DataError(f"{where}: model_type {shown(str(kind))}, wanted bert")
    if document.get("auto_map"):
        raise DataError(f"{where}: auto_map: the model needs code of its own, which is never run")
    position = document.get("position_embedding_type", "absolute")
    if position != "absolute":
        seen = shown(str(position))
        raise DataError(f"{where}: position_embedding_type {seen}, wanted absolute")
    for name in ("is_decoder", "add_cross_attention"):
        if _flag(document, name, False, where):
            raise DataError(f"{where}: {name} is true, wanted an encoder")
    for name in ("pruned_heads", "quantization_config"):
        if document.get(name):
            raise DataError(f"{where}: {name} is set, wanted whole float tensors")
    embedding = document.get("embedding_size", document.get("hidden_size"))
    if embedding != document.get("hidden_size"):
        raise DataError(f"{where}: embedding_size is not hidden_size, so it is no BERT")


def _flag(document: dict[str, Any], name: str, default: bool, where: str) -> bool:
    value = document.get(name, default)
    if type(value) is not bool:
        raise DataError(f"{where}: {name} {shown(str(value))}, wanted true or false")
    return value


def _sizes(document: dict[str, Any], where: str) -> BertConfig:
    values: dict[str, Any] = {}
    for ours, (theirs, default) in _KEYS.items():
        value = document.get(theirs, default)
        if value is None and ours == "pad_id":
            value = default
        wanted = str if isinstance(default, str) else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise DataError(f"{where}: {theirs} {shown(str(value))} is of the wrong type")
        values[ours] = value
    values["activation"] = _SAME_ACT.get(values["activation"], values["activation"])
    if values["activation"] not in ACTIVATIONS:
        seen = shown(values["activation"])
        raise DataError(f"{where}: hidden_act {seen}, wanted one of {', '.join(ACTIVATIONS)}")
    for ours in _MAYBE_ZERO:
        if values[ours] == 0:  # not for others: a large whole number is no float
            values[ours] = 0.0
    return BertConfig.from_json(values, where)


def _architecture(document: dict[str, Any], where: str) -> str | None:
    names = document.get("architectures") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{where}: architectures is no list of names")
    return names[0] if names else None


def _labels(document: dict[str, Any], where: str) -> list[str]:
    """Names by id; with a number alone the names that transformers gives."""
    names = document.get("id2label")
    if names is None:
        count = document.get("num_labels")
        count = 2 if count is None else count
        if type(count) is not int or not 1 <= count <= MOST_LABELS:
            raise DataError(f"{where}: num_labels {shown(str(count))}, wanted 1 or more")
        return [f"LABEL_{n}" for n in range(count)]
    if not isinstance(names, dict) or set(names) != {str(n) for n in range(len(names))}:
        raise DataError(f"{where}: id2label: wanted the ids from 0 on, each with its name")
    labels = [names[str(n)] for n in range(len(names))]
    if not all(isinstance(label, str) and _is_text(label) for label in labels):
        raise DataError(f"{where}: id2label: a name is no text")
    return labels


def _is_text(value: str) -> bool:
    """Whether it can be written as UTF-8: no half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _problem(document: dict[str, Any], where: str) -> str | None:
    problem = document.get("problem_type")
    if problem is not None and problem not in PROBLEMS:
        raise DataError(
            f"{where}: problem_type {shown(str(problem))}, wanted one of {', '.join(PROBLEMS)}"
        )
    found: str | None = problem
    return found


def _classifier_dropout(document: dict[str, Any], where: str) -> float | None:
    value = document.get("classifier_dropout")
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value < 1:
        raise DataError(f"{where}: classifier_dropout {shown(str(value))}, wanted 0 to below 1")
    return float(value)


def config_json(
    config: BertConfig,
    architecture: str,
    *,
    labels: Sequence[str] = (),
    problem_type: str | None = None,
    classifier_dropout: float | None = None,
) -> bytes:
    """The file, its keys sorted. ``labels``: of a class that has them."""
    document: dict[str, Any] = {
        **{theirs: getattr(config, ours) for ours, (theirs, _) in _KEYS.items()},
        "architectures": [architecture],
        "classifier_dropout": classifier_dropout,
        "dtype": "float32",
        "model_type": "bert",
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
        "use_cache": True,
    }
    if labels:
        document["id2label"] = {str(n): label for n, label in enumerate(labels)}
        document["label2id"] = {label: n for n, label in enumerate(labels)}
    if problem_type is not None:
        document["problem_type"] = problem_type
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
