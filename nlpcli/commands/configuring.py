"""Options of train-fasttext -> how texts are cut and what is trained, or why that cannot be."""

from __future__ import annotations

import dataclasses
import shlex
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar, cast

import typer

from nlpcli.errors import UsageError

if TYPE_CHECKING:
    from nlpcli.data.feature_list import FeatureList
    from nlpcli.formats.fasttext_training import FastTextCutting
    from nlpcli.models.config import FastTextConfig, Loss
    from nlpcli.runs.tuning import Tuning
    from nlpcli.text.config import TokenizerConfig

T = TypeVar("T")
GRADIENT: tuple[Loss, ...] = ("softmax", "one-vs-all", "hs", "ns", "adaptive")
USED_BY: dict[str, tuple[Loss, ...]] = {
    "lr": GRADIENT, "cost": ("squared-hinge",), "label_smoothing": ("softmax",),
    "negatives": ("ns",),
}  # fmt: skip
"""The losses that an option means something to."""
Configuration = tuple["TokenizerConfig | FastTextCutting", "FastTextConfig"]


class LossName(StrEnum):
    """What training makes small."""

    auto = "auto"
    squared_hinge = "squared-hinge"
    softmax = "softmax"
    one_vs_all = "one-vs-all"
    hs = "hs"
    ns = "ns"
    adaptive = "adaptive"


def from_options(kind: type[T], options: dict[str, Any], **more: Any) -> T:
    """A configuration whose fields are named as the options are."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    given = {n: v for n, v in options.items() if n in names and n not in more and v is not None}
    return kind(**given, **more)


def configuration(options: dict[str, Any], typed: set[str]) -> Configuration:
    """How texts are cut and what is trained. Raises UsageError for what does not go together."""
    from nlpcli.models.config import SPARSE, SPARSE_LR, FastTextConfig

    if options["autotune"] and options["continue_from"] is not None:
        raise UsageError("--autotune: --continue-from has its options from the model")
    min_n, max_n, dim = options["min_n"], options["max_n"], options["dim"]
    if min_n > max_n:
        raise UsageError(f"--min-n {min_n} is more than --max-n {max_n}")
    options = {**options, "min_n": min_n if min_n or not max_n else 1}
    if options["fasttext_compatible"]:
        from nlpcli.formats.fasttext_training import FastTextCutting
        from nlpcli.runs.compatible import BUCKETS, check_compatible

        dim = check_compatible(options, typed)
        options = {**options, "buckets": options["buckets"] or BUCKETS, "bias": False}
    width, loss = _dim_and_loss(dim, options["loss"], options["label_separator"])
    if options["lr"] is None and loss in SPARSE:
        options = {**options, "lr": SPARSE_LR}
    config = from_options(FastTextConfig, options, dim=width, loss=loss)
    if options["fasttext_compatible"]:
        return from_options(FastTextCutting, options), config
    from nlpcli.text.config import TokenizerConfig
    from nlpcli.text.normalize import Cleaning

    cleaning = from_options(Cleaning, options)
    chosen = options["features"] is not None
    return from_options(TokenizerConfig, options, cleaning=cleaning, chosen=chosen), config


def files_read(options: dict[str, Any]) -> dict[str, str | None]:
    """What train-fasttext reads, by what it is called on the command line."""
    names = ("dev", "features", "pretrained_vectors")
    return {"TRAIN": options["train"], "--class-weight": weights_file(options)} | {
        f"--{name.replace('_', '-')}": options[name] for name in names
    }


def weights_file(options: dict[str, Any]) -> str | None:
    """The file of --class-weight, where it names one."""
    given: str | None = options["class_weight"]
    return None if given == "balanced" else given


def open_features(options: dict[str, Any]) -> FeatureList | None:
    """The list of --features, read; None without it. Raises UsageError, InputMissing, DataError."""
    path = options["features"]
    if path is None:
        return None
    for name in ("continue_from", "pretrained_vectors"):
        if options[name] is not None:
            raise UsageError(f"--features and --{name.replace('_', '-')}: give one of them")
    if path == "-" == options["train"]:
        raise UsageError("--features -: TRAIN is stdin as well")
    from nlpcli.data.feature_list import read_features

    return read_features(path)


def _dim_and_loss(dim: int | None, asked: LossName, separator: str | None) -> tuple[int, Loss]:
    """What ``auto`` and no --dim stand for. Raises UsageError for two that do not go together."""
    from nlpcli.models.config import DIM, SPARSE

    if asked != LossName.auto:
        loss = cast("Loss", asked.value)
    elif dim:  # a bottleneck needs a loss with a gradient everywhere
        loss = "softmax" if separator is None else "one-vs-all"
    else:
        loss = "squared-hinge"
    if dim == 0 and loss in SPARSE:
        raise UsageError(f"--loss {loss} needs embeddings, --dim is 0", hint=f"--dim {DIM}")
    if dim and loss == "squared-hinge":
        raise UsageError(f"--loss {loss} has no embeddings, --dim is {dim}")
    return dim or (DIM if loss in SPARSE else 0), loss


def check_loss(config: FastTextConfig, typed: set[str]) -> None:
    """Raises UsageError for an option that the loss has no use for."""
    for name, losses in USED_BY.items():
        if name in typed and config.loss not in losses:
            raise UsageError(
                f"--{name.replace('_', '-')} has no meaning with --loss {config.loss}",
                hint=f"--loss {losses[0]}",
            )


def typed_options(context: typer.Context) -> set[str]:
    """Names of the options that did not get their default."""
    source = context.get_parameter_source
    return {n for n in context.params if getattr(source(n), "name", "DEFAULT") != "DEFAULT"}


SEARCH_ONLY = ("minutes", "autotune_metric")


def tuning_of(options: dict[str, Any], typed: set[str], *, several: bool) -> Tuning | None:
    """What --autotune asks for; None without it. Raises UsageError."""
    if not options["autotune"]:
        for name in SEARCH_ONLY:
            if name in typed:
                raise UsageError(
                    f"--{name.replace('_', '-')} has no meaning alone", hint="--autotune"
                )
        return None
    from nlpcli.runs.tuning import DEV_FRACTION, Tuning, parse_goal

    goal = parse_goal(options["autotune_metric"], multi_label=several)
    fraction = options["dev_fraction"] or DEV_FRACTION
    # vectors are of one width, and their words were matched with one way of cleaning
    fixed = {"dim", "lowercase"} if options["pretrained_vectors"] is not None else set[str]()
    return Tuning(options["minutes"], goal, fraction, frozenset(typed | fixed))


def has_dev_part(options: dict[str, Any]) -> bool:
    """Whether there will be rows to measure on. Raises UsageError for what needs them in vain."""
    there = bool(
        options["dev"] or options["dev_fraction"] or options["label_separator"] is not None
        or options["autotune"]
    )  # fmt: skip
    if options["patience"] is not None and not there:
        raise UsageError("--patience needs rows to measure on", hint="--dev-fraction 0.1")
    return there


def learnt_without(options: dict[str, Any], tuning: Tuning | None, *, must: bool) -> float:
    """The share of the rows that the model itself does not learn from.

    After a search it learns from all of them, unless a gate, patience or the loss (``must``) need
    some apart.
    """
    if tuning is None or options["dev"] is not None:
        return float(options["dev_fraction"])
    return tuning.fraction if must or options["publish_if"] or options["patience"] else 0.0


def same_again(words: list[str], options: list[str], dev_fraction: float) -> str:
    """The command that trains the chosen model without the search, for a shell.

    ``words`` were typed; ``dev_fraction`` of the rows is not learnt from.
    """
    dropped = {
        "--autotune": 0, "--resume": 0, "--minutes": 1, "--autotune-metric": 1, "--dev-fraction": 1,
    }  # fmt: skip
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        name, _, value = word.partition("=")
        if name not in dropped:
            kept.append(word)
        elif dropped[name] and not value:
            next(rest, None)
    if dev_fraction:
        kept += ["--dev-fraction", f"{dev_fraction:g}"]
    if "--autotune" not in words:  # the environment or a file asks for it
        kept.append("--no-autotune")
    return shlex.join(["nlpcli", *kept, *options])
