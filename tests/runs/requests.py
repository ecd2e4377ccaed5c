"""A made-up training request."""

from typing import Any

from nlpcli.data.rows import RowFormat
from nlpcli.models.config import FastTextConfig
from nlpcli.runs.request import Request
from nlpcli.text.config import TokenizerConfig


def request(**config: Any) -> Request:
    """With the defaults of train-fasttext, and these of its configuration."""
    columns = dict.fromkeys(("weight_column", "label_separator"))
    return Request(
        output="m", train="t.csv", dev=None, dev_fraction=0.0, fmt=RowFormat(),
        columns={"text_column": "text", "label_column": "label", **columns}, class_weight=None,
        threshold=None, patience=None, config=FastTextConfig(**config), auto_loss=True,
        tokenizer=TokenizerConfig(), seed=1, threads=None, device="cpu", base=None, resume=False,
        save_every=5.0, gate=[], if_changed=False,
    )  # fmt: skip
