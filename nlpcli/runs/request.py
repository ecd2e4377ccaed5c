"""A training run as it was asked for, and the record of it that tells one run from another."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlpcli.data.feature_list import FeatureList
    from nlpcli.data.labelled import Labelled
    from nlpcli.data.rows import RowFormat
    from nlpcli.formats.fasttext_training import FastTextCutting
    from nlpcli.models.config import FastTextConfig
    from nlpcli.runs.conditions import Condition
    from nlpcli.runs.continuing import Base
    from nlpcli.runs.pretrained import Pretrained, VectorSource
    from nlpcli.runs.tuning import Tuning
    from nlpcli.text.config import TokenizerConfig


BETTER = "better"
"""The condition of --publish-if that compares with the version in use."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A training run as it was asked for, validated."""

    output: str
    train: str
    dev: str | None
    dev_fraction: float
    fmt: RowFormat
    columns: dict[str, str | None]
    class_weight: str | None
    threshold: float | None
    patience: int | None
    config: FastTextConfig
    auto_loss: bool
    tokenizer: TokenizerConfig | FastTextCutting
    seed: int
    threads: int | None
    device: str
    base: Base | None
    resume: bool
    save_every: float
    gate: list[Condition | None]
    if_changed: bool
    model_size: int | None = None
    tuning: Tuning | None = None
    vectors: VectorSource | None = None
    features: FeatureList | None = None

    @property
    def label_prefix(self) -> str:
        """What labels begin with in fastText's files and lines."""
        return self.fmt.label_prefix

    @property
    def separator(self) -> str | None:
        """Joins several labels; None for one label a row."""
        return self.columns["label_separator"]


@dataclass(frozen=True)
class Parts:
    """The training and the dev part, where the dev part came from, weights of classes, vectors."""

    train: Labelled
    dev: Labelled | None
    source: str
    names: list[str]
    class_weight: dict[int, float] | None
    vectors: Pretrained | None = None


def run_record(request: Request, parts: Parts, program: str) -> dict[str, Any]:
    """Everything that the resulting model depends on, as plain JSON values.

    Two runs with the same record give the same model, ``publish_if`` apart: that decides only
    whether it is served.
    """
    fmt = {k: v for k, v in asdict(request.fmt).items() if v is not None}
    fmt["format"] = request.fmt.for_path(request.train)
    record = {
        "program": program,
        "train_sha256": parts.train.sha256,
        "dev_sha256": None if parts.dev is None else parts.dev.sha256,
        "dev": parts.source if request.dev is None else "a file",
        "rows_as": fmt,
        **request.columns,
        "class_weight": "balanced" if parts.class_weight == {} else parts.class_weight,
        "threshold": request.threshold,
        "patience": request.patience,
        **request.config.to_json(),
        **request.tokenizer.to_json(),
        "publish_if": [str(condition or BETTER) for condition in request.gate],
        "seed": request.seed,
        "threads": request.threads,
        "device": request.device,
        "continue_from": None if request.base is None else request.base.sha256,
    }
    if request.model_size is not None:  # not at all, so that older records still compare
        record["model_size"] = request.model_size
    if request.tuning is not None:
        record["autotune"] = request.tuning.to_json()
    if parts.vectors is not None:
        record["pretrained_vectors"] = parts.vectors.sha256
    if request.features is not None:
        record["features"] = request.features.sha256
    plain: dict[str, Any] = json.loads(json.dumps(record))
    return plain


def training_part(record: dict[str, Any]) -> dict[str, Any]:
    """What the trained weights depend on, before they are made smaller."""
    after = ("publish_if", "model_size")
    return {key: value for key, value in record.items() if key not in after}


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Which keys of two records differ, with short values: ``epochs 3 → 5``."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            before, after = (str(r.get(key)) for r in (old, new))
            short = len(before) < 30 and len(after) < 30
            found.append(f"{key.replace('_', '-')} {before} → {after}" if short else key)
    return found
