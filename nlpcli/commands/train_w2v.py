"""train-w2v: plain text in, published word vectors out."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.commands.after_training import prune_after, show_plan, show_words_report, tell_pin
from nlpcli.commands.configuring import from_options, typed_options
from nlpcli.commands.opening import refuse_same_file
from nlpcli.errors import UsageError
from nlpcli.shell import options as opt
from nlpcli.shell import ranks as around
from nlpcli.shell.console import Console, RejectFile
from nlpcli.shell.machine import expect_small_operations

if TYPE_CHECKING:
    from nlpcli.models.word2vec_config import Word2VecConfig
    from nlpcli.runs.word_training import Counting

EXAMPLES = """\b
Examples:
  nlpcli train-w2v sample_data/reviews_en.csv -o words --min-count 2
  nlpcli train-w2v sample_data/reviews_en.csv -o counted --algorithm svd \\
      --min-count 2 --dim 20
"""


class AlgorithmName(StrEnum):
    """How vectors are made."""

    skipgram = "skipgram"
    cbow = "cbow"
    svd = "svd"


class WordLoss(StrEnum):
    """What prediction makes small."""

    ns = "ns"
    hs = "hs"
    nce = "nce"
    softmax = "softmax"


class FormulaName(StrEnum):
    """How frequent words are dropped."""

    word2vec = "word2vec"
    paper = "paper"


class WeightingName(StrEnum):
    """What is factorised."""

    ppmi = "ppmi"
    tfidf = "tfidf"
    raw = "raw"


class ContextName(StrEnum):
    """What words are counted in."""

    words = "words"
    sentences = "sentences"
    blocks = "blocks"


PREDICTED = (
    "loss", "negatives", "noise_power", "epochs", "lr", "subwords", "min_n", "max_n", "buckets",
    "resume", "save_every", "device",
)  # fmt: skip
COUNTED = ("weighting", "shift", "smoothing", "eigen_power", "contexts")
"""Options of one family of algorithms that mean nothing to the other."""
MIN_N, MAX_N = 3, 6


def train_w2v(
    context: typer.Context,
    corpus: Annotated[
        list[str], typer.Argument(help="Plain text, a line a sentence, packed or not; - for stdin.")
    ],
    *,
    output: Annotated[str, typer.Option("--output", "-o", help="Name in the store, or a path.")],
    store: opt.Store = None,
    algorithm: Annotated[
        AlgorithmName, typer.Option(help="Prediction, or svd: counts, factorised.")
    ] = AlgorithmName.skipgram,
    loss: Annotated[
        WordLoss, typer.Option(help="Negative samples, a Huffman tree, NCE, or all words.")
    ] = WordLoss.ns,
    dim: Annotated[int, typer.Option(min=1, max=4096, help="Numbers of a vector.")] = 100,
    window: Annotated[
        int, typer.Option(min=1, max=64, help="Words on each side, at most; drawn from 1 on.")
    ] = 5,
    negatives: Annotated[
        int, typer.Option(min=1, max=1000, help="Noise words of a pair, for ns and nce.")
    ] = 5,
    noise_power: Annotated[
        float, typer.Option(min=0, max=2, help="Noise words are drawn by count to this.")
    ] = 0.75,
    sample: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.99,
            help="Words of a larger share are dropped; 0: none [default: 0.0001, or 30 words].",
        ),
    ] = None,
    sample_formula: Annotated[
        FormulaName,
        typer.Option(help="Kept with (sqrt(f/t)+1)·t/f, or by the paper with sqrt(t/f)."),
    ] = FormulaName.word2vec,
    min_count: Annotated[int, typer.Option(min=1, help="Rarer words are dropped.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, max=10000, help="Passes over the text.")] = 5,
    lr: Annotated[
        float | None,
        typer.Option(
            min=1e-6,
            max=10,
            help="Falls to nearly 0 [default: 0.03; cbow: 0.035; hs, softmax: 0.025].",
        ),
    ] = None,
    subwords: Annotated[
        bool,
        typer.Option("--subwords", help="Learn character n-grams: words never seen get vectors."),
    ] = False,
    min_n: Annotated[
        int | None, typer.Option(min=1, max=32, help="Shortest, for --subwords [default: 3].")
    ] = None,
    max_n: Annotated[
        int | None, typer.Option(min=1, max=32, help="Longest, for --subwords [default: 6].")
    ] = None,
    buckets: Annotated[
        int | None, typer.Option(min=1, max=2**31, help="Of hashed n-grams [default: 500000].")
    ] = None,
    phrases: Annotated[
        int, typer.Option(min=0, max=10, help="Passes that join words, as new_york; 0: none.")
    ] = 0,
    phrase_threshold: Annotated[
        float, typer.Option(min=0, help="Score above which words are joined.")
    ] = 10.0,
    weighting: Annotated[
        WeightingName, typer.Option(help="Of counts, for svd.")
    ] = WeightingName.ppmi,
    shift: Annotated[
        float, typer.Option(min=1, max=1e6, help="Of ppmi: by log(shift), for svd.")
    ] = 1.0,
    smoothing: Annotated[
        float, typer.Option(min=0, max=1, help="Power of context counts, for svd.")
    ] = 1.0,
    eigen_power: Annotated[
        float, typer.Option(min=0, max=1, help="Of singular values, for svd.")
    ] = 0.0,
    contexts: Annotated[
        ContextName, typer.Option(help="What words are counted in, for svd.")
    ] = ContextName.words,
    lowercase: Annotated[bool, typer.Option("--lowercase/--keep-case")] = True,
    strip_punctuation: Annotated[bool, typer.Option("--strip-punctuation")] = False,
    seed: opt.Seed = 1,
    threads: opt.Threads = None,
    device: opt.Device = "auto",
    on_error: opt.ErrorMode = opt.OnError.fail,
    rejects: opt.Rejects = None,
    resume: opt.Resume = False,
    save_every: opt.SaveEvery = 5,
    if_changed: opt.IfChanged = False,
    keep: opt.Keep = None,
    dry_run: opt.DryRun = False,
    force: opt.Force = False,
    wait: opt.Wait = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    no_color: opt.NoColor = False,
) -> None:
    """Learn word vectors from plain text and publish them.

    Under torchrun, on one machine, each process learns from a share of the text.
    """
    from nlpcli.data.phrases import PhraseConfig
    from nlpcli.runs.leading import joined, leading
    from nlpcli.runs.word_training import WordRequest, WordRun, follow_words
    from nlpcli.store.store import Store
    from nlpcli.text.config import TokenizerConfig
    from nlpcli.text.normalize import Cleaning

    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    expect_small_operations()
    models = Store(opt.store_root(store))
    opt.expect_input(*corpus)
    for path in corpus:
        refuse_same_file({"CORPUS": path}, {"--rejects": rejects}, model=output)
    typed = typed_options(context)
    _refuse_meaningless(algorithm, loss, subwords=subwords, phrases=phrases, typed=typed)
    place = around.place()
    if place.size > 1:
        device = _together(algorithm, device)
    cleaning = Cleaning(lowercase=lowercase, strip_punctuation=strip_punctuation)
    request = WordRequest(
        output=output,
        paths=corpus,
        tokenizer=TokenizerConfig(cleaning=cleaning, word_ngrams=1),
        recipe=_recipe(context.params),
        phrases=PhraseConfig(threshold=phrase_threshold, passes=phrases) if phrases else None,
        min_count=min_count,
        seed=seed,
        threads=threads,
        device=device,
        resume=resume,
        save_every=save_every,
        skip_bad=on_error == opt.OnError.skip,
        if_changed=if_changed,
    )
    if dry_run:
        if place.rank == 0:
            models.begin(output, force=force, wait=wait, if_changed=if_changed).probe()
            show_plan(WordRun(request, models, console).plan(), as_json=json)
        return
    ranks = joined(place.rank, place.size)
    if ranks is not None and ranks.rank:
        raise typer.Exit(follow_words(request, ranks))
    with leading(ranks):
        draft = models.begin(output, force=force, wait=wait, if_changed=if_changed)
        with draft, nullcontext() if rejects is None else RejectFile(rejects, console) as reject:
            report = WordRun(request, models, console, reject, ranks).run(draft)
    show_words_report(report, console, as_json=json)
    if keep is not None and draft.versioned:
        prune_after(models, output, keep, console)
    tell_pin(models, output, report, console)


def _together(algorithm: AlgorithmName, device: str) -> str:
    """The device of several ranks. Raises UsageError for what one process alone does."""
    if algorithm == AlgorithmName.svd:
        raise UsageError("--algorithm svd runs in one process, not under torchrun")
    if device not in ("auto", "cpu"):
        raise UsageError(f"--device {device}: ranks train on the CPU", hint="--device cpu")
    return "cpu"


def _refuse_meaningless(
    algorithm: AlgorithmName, loss: WordLoss, *, subwords: bool, phrases: int, typed: set[str]
) -> None:
    """Raises UsageError for an option that what is asked for has no use for."""
    counted = algorithm == AlgorithmName.svd
    for name in PREDICTED if counted else COUNTED:
        if name in typed:
            hint = "--algorithm skipgram" if counted else "--algorithm svd"
            raise _no_meaning(name, f"--algorithm {algorithm.value}", hint)
    sampled = loss in (WordLoss.ns, WordLoss.nce)
    for name in ("negatives", "noise_power"):
        if name in typed and not sampled:
            raise _no_meaning(name, f"--loss {loss.value}", "--loss ns")
    for name in ("min_n", "max_n", "buckets"):
        if name in typed and not subwords:
            raise _no_meaning(name, "whole words", "--subwords")
    if "phrase_threshold" in typed and not phrases:
        raise _no_meaning("phrase_threshold", "--phrases 0", "--phrases 1")


def _no_meaning(name: str, where: str, hint: str) -> UsageError:
    return UsageError(f"--{name.replace('_', '-')} has no meaning with {where}", hint=hint)


def _recipe(options: dict[str, Any]) -> Word2VecConfig | Counting:
    """What is trained. Raises UsageError for sizes that do not go together."""
    plain: dict[str, Any] = {
        n: v.value if isinstance(v, StrEnum) else v for n, v in options.items()
    }
    if plain["algorithm"] == "svd":
        from nlpcli.batching.cooccurrence import Window
        from nlpcli.models.count_vectors import CountConfig
        from nlpcli.runs.word_training import Counting

        window = Window(
            size=plain["window"], sample=plain["sample"], formula=plain["sample_formula"]
        )
        return Counting(from_options(CountConfig, plain), window, plain["contexts"])
    from nlpcli.models.word2vec_config import CBOW_RATE, DEFAULT_RATES, Word2VecConfig

    shortest, longest = plain["min_n"], plain["max_n"]
    if plain["subwords"]:
        shortest = MIN_N if shortest is None else shortest
        longest = max(MAX_N, shortest) if longest is None else longest
        if shortest > longest:
            raise UsageError(f"--min-n {shortest} is more than --max-n {longest}")
    rate = plain["lr"] or DEFAULT_RATES[plain["loss"]]
    if not plain["lr"] and plain["algorithm"] == "cbow" and plain["loss"] in ("ns", "nce"):
        rate = CBOW_RATE
    return from_options(Word2VecConfig, plain, min_n=shortest or 0, max_n=longest or 0, lr=rate)
