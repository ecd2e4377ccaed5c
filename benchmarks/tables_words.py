"""Tables of n-grams, word vectors and n-gram language models, from their results."""

from __future__ import annotations

from measure import read_result


def ngrams_table() -> str:
    """A row a program."""
    lines = ["| program | s | words/s | ratio | MB | ratio |", "|---|---|---|---|---|---|"]
    for name, row in read_result("ngrams")["speed"]["rows"].items():
        lines.append(
            f"| {name} | {row['seconds']:.1f} | {row['tokens_per_second']:,} | {row['ratio']:.1f} "
            f"| {row['peak_mb']:,} | {row['memory_ratio']:.2f} |"
        )
    return "\n".join(lines)


def ways_table() -> str:
    """A row a way to count with less."""
    lines = ["| options | rows | s | MB | lost |", "|---|---|---|---|---|"]
    for name, row in read_result("ngrams")["ways"].items():
        lines.append(
            f"| {name} | {row['rows']:,} | {row['seconds']:.1f} | {row['peak_mb']:,} "
            f"| {row['lost']:.1%} |"
        )
    return "\n".join(lines)


def chosen_table() -> str:
    """A row a choice of features."""
    lines = ["| chosen by | features | accuracy | of all |", "|---|---|---|---|"]
    for name, row in read_result("ngrams")["chosen"].items():
        lines.append(
            f"| {name} | {row['features']:,} | {row['accuracy']:.4f} | {row['share']:.1%} |"
        )
    return "\n".join(lines)


def word2vec_table() -> str:
    """A row a way of training and a program."""
    names = {
        "sg": "skip-gram, negatives", "cbow": "CBOW, negatives", "hs": "skip-gram, tree",
        "subwords": "skip-gram, sub-words", "svd": "svd (PPMI)",
    }  # fmt: skip
    keys = ("analogies", "ws353", "men", "simlex", "rare_words")
    lines = [
        "| what | program | words/s | ratio | analogies | WS-353 | MEN | SimLex | Rare Words "
        "| MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    jobs = read_result("word2vec")["jobs"]
    for job in (job for job in names if job in jobs):
        row, seeds = jobs[job], jobs[job]["seeds"]
        for program in ("nlpcli", "gensim"):
            if program not in row:
                continue
            mine, found = program == "nlpcli", row[program]
            scores = " | ".join(f"{found[key]:.3f}" for key in keys)
            ratio = f"**{row['ratio']:.2f}**" if mine and "ratio" in row else ""
            what = f"{names[job]}; {seeds} seed{'s' * (seeds > 1)}" if mine else ""
            lines.append(
                f"| {what} | {program} | {found['words_per_second']:,} | {ratio} | {scores} | "
                f"{found['peak_mb']} |"
            )
    return "\n".join(lines)


def language_table() -> str:
    """Perplexities: a row a text and order, a column a way of smoothing."""
    found = read_result("language_model")
    ways = ("kneser-ney", "interpolated", "backoff", "laplace", "mle")
    lines = [f"| text | order | {' | '.join(ways)} (impossible tokens) |", "|---" * 7 + "|"]
    rows = [("Penn Treebank", "3", found["ptb_3"])]
    rows += [("WikiText-2", order, found["wikitext2"][order]) for order in found["wikitext2"]]
    for name, order, row in rows:
        cells = [
            "infinite" if row[way]["perplexity"] is None else f"{row[way]['perplexity']:.1f}"
            for way in ways
        ]
        cells[-1] += f" ({row['mle']['zero_probability_share']:.1%})"
        lines.append(f"| {name} | {order} | {' | '.join(cells)} |")
    return "\n".join(lines)
