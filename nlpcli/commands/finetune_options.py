"""The options of finetune that are its own, one Annotated type each."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class TaskName(StrEnum):
    """What the model is to say."""

    sequence = "sequence"
    pair = "pair"
    token = "token"
    span = "span"
    regression = "regression"
    qa = "qa"


class HeadName(StrEnum):
    """What stands above the text's vector."""

    linear = "linear"
    mlp = "mlp"


class PoolingName(StrEnum):
    """What a text's vector is made of."""

    cls = "cls"
    mean = "mean"


class SamplingName(StrEnum):
    """How steps are shared out among tasks."""

    proportional = "proportional"
    sqrt = "sqrt"
    even = "even"


class SchemeName(StrEnum):
    """How tags mark entities."""

    auto = "auto"
    BIO = "BIO"
    IOB1 = "IOB1"
    BIOES = "BIOES"
    BILOU = "BILOU"
    BMES = "BMES"


class LabelPieces(StrEnum):
    """Which pieces of a word learn its tag."""

    first = "first"
    all = "all"


class WordDecoding(StrEnum):
    """Which pieces of a word say its tag."""

    first = "first"
    mean = "mean"


class SpanHeadName(StrEnum):
    """What a span's vector is made of."""

    boundary = "boundary"
    attention = "attention"


class SpanDecoding(StrEnum):
    """Which spans may stand together."""

    auto = "auto"
    flat = "flat"
    nested = "nested"


class LongName(StrEnum):
    """What is read of a text that is too long."""

    truncate_tail = "truncate-tail"
    truncate_head = "truncate-head"
    head_tail = "head-tail"
    window = "window"


Task = Annotated[
    TaskName | None,
    typer.Option(
        help="A label of a text, a pair, each word; spans; answers; a number of a text or pair "
        "[default: by the columns, but for numbers]."
    ),
]
Trains = Annotated[
    list[str] | None,
    typer.Option("--train", help="NAME=FILE, several times: tasks that share the encoder."),
]
Sampling = Annotated[
    SamplingName,
    typer.Option(help="Steps of several tasks: as they have rows, as the root of that, or alike."),
]
Dev = Annotated[
    list[str] | None,
    typer.Option(
        help="Rows to choose the best epoch and the threshold on; of several tasks NAME=FILE."
    ),
]
DevFraction = Annotated[
    float, typer.Option(min=0, max=0.9, help="Or hold out so much of the rows.")
]
WeightColumn = Annotated[str | None, typer.Option(help="Column that holds the weight of a row.")]
Head = Annotated[
    HeadName, typer.Option(help="Above the text's vector: a layer, or 256 units and a layer.")
]
PoolingOption = Annotated[
    PoolingName | None,
    typer.Option(
        help="That vector: BERT's pooler over [CLS], or the mean of all [default: cls; mean "
        "with --freeze all, for encoders of means, and where no pooler was taught]."
    ),
]
BinarySigmoid = Annotated[
    bool, typer.Option("--binary-sigmoid", help="Two labels: learnt as one logit.")
]
TagScheme = Annotated[
    SchemeName, typer.Option(help="Words: tags to learn; auto: as they are, but BIO for IOB1.")
]
LabelPiecesOption = Annotated[
    LabelPieces, typer.Option(help="Words: the piece that learns the tag, or all pieces.")
]
WordDecodingOption = Annotated[
    WordDecoding, typer.Option(help="Words: the piece that says the tag, or their mean.")
]
Crf = Annotated[
    bool, typer.Option("--crf", help="Words: a field that learns which tags follow which.")
]
SpanHeadOption = Annotated[
    SpanHeadName, typer.Option(help="Spans: by their ends and mean, or by attention within.")
]
SpanDecodingOption = Annotated[
    SpanDecoding, typer.Option(help="Spans: may they overlap? auto: where training spans do.")
]
MaxSpan = Annotated[int, typer.Option(min=1, max=512, help="Spans: words of the longest.")]
Negatives = Annotated[
    int | None, typer.Option(min=0, help="Spans: a row's others to learn from [default: all].")
]
Identify = Annotated[
    bool, typer.Option("--identify", help="Spans: set labels aside, is it one or not.")
]
DocStride = Annotated[
    int, typer.Option(min=0, max=8192, help="Questions: pieces that windows of a context share.")
]
MaxQuestionLength = Annotated[
    int, typer.Option(min=1, max=8192, help="Questions: pieces that are read of one.")
]
MaxAnswerLength = Annotated[
    int, typer.Option(min=1, max=8192, help="Questions: pieces of the longest answer.")
]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, max=10000, help="Passes over the rows [default: 3, with --freeze all 30]."),
]
BatchSize = Annotated[int, typer.Option(min=1, max=100000, help="Rows of a step.")]
Lr = Annotated[
    float | None,
    typer.Option(
        min=1e-8,
        max=1,
        help="Highest learning rate [default: 5e-5 for 768 dimensions, more for fewer, twice for "
        "words and spans; with --freeze all 0.01].",
    ),
]
Warmup = Annotated[
    float, typer.Option(min=0, max=0.9, help="Share of the steps in which it rises.")
]
LayerDecay = Annotated[
    float, typer.Option(min=0.1, max=1, help="Rate of a layer, of that of the next one.")
]
WeightDecay = Annotated[
    float,
    typer.Option(min=0, max=1, help="Of matrices, positions and segments; not of pieces' vectors."),
]
Dropout = Annotated[float, typer.Option(min=0, max=0.9)]
Freeze = Annotated[
    str, typer.Option(help="none, embeddings, so many layers too, or all but the head.")
]
LabelSmoothing = Annotated[float, typer.Option(min=0, max=0.9)]
Focal = Annotated[
    float, typer.Option(min=0, max=10, help="Rows that are right already count less.")
]
Fgm = Annotated[
    float,
    typer.Option(
        min=0, max=1000,
        help="Learn each row also with its pieces' vectors moved so far against it.",
    ),
]  # fmt: skip
ClassWeight = Annotated[str | None, typer.Option(help="balanced, or a CSV file of label,weight.")]
Threshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="For several labels [default: tuned].")
]
MaxLength = Annotated[
    int | None, typer.Option(min=4, max=8192, help="Pieces of a row [default: 128; qa: 384].")
]
Long = Annotated[
    LongName, typer.Option(help="What is left out of a text that is longer; window: nothing.")
]
WindowOverlap = Annotated[
    int, typer.Option(min=0, max=8192, help="Pieces that windows of a long text share.")
]
Patience = Annotated[
    int | None, typer.Option(min=1, help="End after so many epochs without a better one.")
]
PublishIf = Annotated[
    list[str] | None,
    typer.Option(help="Else kept unpublished, exit 1: 'macro_f1>=0.8', or better."),
]
