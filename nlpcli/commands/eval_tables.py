"""What eval found, as tables for people."""

from __future__ import annotations

from typing import Any

from nlpcli.errors import shown

_HEADLINE = (
    "span_precision", "span_recall", "span_f1", "identification_precision",
    "identification_recall", "identification_f1", "relation_precision", "relation_recall",
    "relation_f1", "relation_strict_precision", "relation_strict_recall", "relation_strict_f1",
    "row_accuracy",
    "entity_precision", "entity_recall", "entity_f1", "accuracy", "sentence_accuracy",
    "coverage", "selective_accuracy",
    "macro_precision", "macro_recall", "macro_f1", "micro_f1", "weighted_f1",
    "balanced_accuracy", "mcc", "cohen_kappa", "top_3_accuracy", "top_5_accuracy", "roc_auc",
    "roc_auc_ovo", "average_precision", "log_loss", "brier", "ece", "ece_adaptive",
    "ece_uncalibrated", "aurc",
    "macro_roc_auc", "macro_average_precision", "micro_average_precision",
    "label_ranking_average_precision", "subset_accuracy", "hamming_loss", "precision_at_1",
    "recall_at_1", "precision_at_3", "recall_at_3", "precision_at_5", "recall_at_5",
)  # fmt: skip
_COUNTS = ("words", "entities", "spans", "relations")
_LONGEST_TABLE = 40
_MOST_SLICES = 10


def rows_table(document: dict[str, Any]) -> str:
    """The document for people: headline metrics with intervals, then a line a label."""
    more = "".join(f", {document[k]:,} {k}" for k in _COUNTS if k in document)
    lines = [f"{document['n']:,} rows{more}; 95 % intervals by bootstrap", ""]
    metrics = {name: document[name] for name in _HEADLINE if document.get(name) is not None}
    width = max([16, *map(len, metrics)])
    for name, metric in metrics.items():
        if metric["value"] is not None or not name.startswith("top_"):
            lines.append(metric_line(name, metric, width))
    per_label = document.get("per_label", {})
    ranked = sorted(per_label.items(), key=lambda item: (-item[1]["support"], item[0]))
    listed = [(shown(name), row) for name, row in ranked[:_LONGEST_TABLE]]
    width = max([5, *(len(name) for name, _ in listed)])
    lines += ["", f"{'label':<{width}}  precision  recall      f1  support"]
    for name, row in listed:
        lines.append(
            f"{name:<{width}}  {row['precision']:9.4f} {row['recall']:7.4f} {row['f1']:7.4f} "
            f"{row['support']:8,}"
        )
    if len(ranked) > _LONGEST_TABLE:
        lines.append(f"… {len(ranked) - _LONGEST_TABLE} more labels: --json has them all")
    return "\n".join(lines) + "\n"


def metric_line(name: str, metric: dict[str, Any], width: int = 16) -> str:
    """A metric with its interval."""
    if metric["value"] is None:
        return f"{name:<{width}}  undefined"
    if metric["low"] is None:
        return f"{name:<{width}} {metric['value']:7.4f}"
    return f"{name:<{width}} {metric['value']:7.4f}  {metric['low']:.4f} – {metric['high']:.4f}"


def slices_table(document: dict[str, Any]) -> str:
    """The ``slices`` part for people: the worst, then every range and value."""
    looked, least = document["looked_at"], document["min_rows"]
    what = f"{looked:,} slices of {least:,} rows or more"
    worse = document["worse"]
    lines = ["", f"{what}: none is worse than the other rows beyond chance"]
    if worse:
        lines = ["", f"{what}: {len(worse):,} worse than the other rows beyond chance"]
        lines += _slice_lines(worse[:_MOST_SLICES], document["metric"])
    if len(worse) > _MOST_SLICES:
        lines.append(f"… {len(worse) - _MOST_SLICES} more: --json has them all")
    for kind, parts in document["by"].items():
        lines += ["", f"by {kind.removeprefix('column ')}"]
        shown_parts = sorted(parts, key=lambda part: -part["rows"]) if len(parts) > 20 else parts
        lines += _slice_lines(shown_parts[:20], document["metric"])
        if len(parts) > 20:
            lines.append(f"… {len(parts) - 20} more: --json has them all")
    return "\n".join(lines) + "\n"


def _slice_lines(parts: list[dict[str, Any]], metric: str) -> list[str]:
    names = [shown(part["name"], 40) or "(empty)" for part in parts]
    kinds = [part["kind"] for part in parts]
    if len(set(kinds)) > 1 or "ngram" in kinds:
        pairs = zip(names, kinds, strict=True)
        names = [f'"{n}"' if kind == "ngram" else f"{kind}: {n}" for n, kind in pairs]
    width, size = max([5, *map(len, names)]), len(metric)
    return [f"{'slice':<{width}}  {metric}  95 % interval       rows   errors"] + [
        f"{name:<{width}}  {part['accuracy']['value']:{size}.4f}  {part['accuracy']['low']:.4f} – "
        f"{part['accuracy']['high']:.4f}  {part['rows']:7,}  {part['errors']:7,}"
        for name, part in zip(names, parts, strict=True)
    ]


def language_table(document: dict[str, Any]) -> str:
    """The document for people."""
    lines = [
        f"{document['n']:,} tokens, ends of sentences too, of {document['sentences']:,} sentences; "
        f"{document['unknown_words']:,} unknown words; 95 % intervals by bootstrap",
        "",
    ]
    metrics = {k: v for k, v in document.items() if isinstance(v, dict)}
    width = max(map(len, metrics))
    for name, metric in metrics.items():
        shown_as = "{:.4f}" if "perplexity" not in name else "{:.2f}"
        cells = [shown_as.format(v) for v in metric.values() if v is not None]
        infinite = "infinite" if "perplexity" in name or "bits" in name else "undefined"
        more = f"  {cells[1]} – {cells[2]}" if len(cells) == 3 else ""
        lines.append(f"{name:<{width}} {cells[0] if cells else infinite:>10}{more}")
    return "\n".join(lines) + "\n"


def word_table(document: dict[str, Any]) -> str:
    """The document for people: correlations, or accuracy in all and by section."""
    n, total = document["n"], document.get("questions", document.get("pairs"))
    what = "questions" if document["task"] == "analogies" else "pairs"
    lines = [
        f"{n:,} of {total:,} {what}, {document['out_of_vocabulary']:,} with words out of "
        f"vocabulary ({document['vocabulary']:,} words); 95 % intervals by bootstrap",
    ]
    if document.get("by_subwords"):
        lines.append(f"{document['by_subwords']:,} with words known by their sub-words alone")
    lines.append("")
    names = ("accuracy",) if document["task"] == "analogies" else ("spearman", "pearson")
    lines += [metric_line(name, document[name]) for name in names]
    sections = document.get("per_section", {})
    if sections:
        width = max([7, *(len(shown(name)) for name in sections)])
        lines += ["", f"{'section':<{width}}  accuracy  correct        n  out of vocabulary"]
    for name, row in sections.items():
        value = row["accuracy"]["value"]
        share = "undefined" if value is None else f"{value:.4f}"
        lines.append(
            f"{shown(name):<{width}} {share:>9}  {row['correct']:7,}  {row['n']:7,}  "
            f"{row['out_of_vocabulary']:17,}"
        )
    return "\n".join(lines) + "\n"


_COMPARED = (
    "entity_f1", "span_f1", "identification_f1", "relation_f1", "exact_match", "f1", "accuracy",
    "sentence_accuracy", "row_accuracy", "subset_accuracy", "macro_f1", "micro_f1", "mcc",
    "log_loss", "ece", "pearson", "spearman", "mse", "mae", "perplexity", "bits_per_character",
)  # fmt: skip
_COSTS = (
    ("rows_per_second", "rows/s", 1.0, ",.0f"), ("latency_p50_ms", "ms a row", 1.0, ".3g"),
    ("latency_p99_ms", "at most (p99)", 1.0, ".3g"), ("startup_seconds", "start, s", 1.0, ".2f"),
    ("peak_memory_bytes", "memory, MB", 1e-6, ",.0f"), ("disk_bytes", "disk, MB", 1e-6, ",.2f"),
)  # fmt: skip


def cost_lines(document: dict[str, Any]) -> str:
    """What one model costs; nothing where it was not measured."""
    cost = document.get("cost")
    if cost is None:
        return ""
    return "\n" + "".join(f"{title:<16} {text}\n" for title, text in _cost_cells(cost).items())


def _cost_cells(cost: dict[str, Any] | None) -> dict[str, str]:
    cells = {}
    for name, title, scale, form in _COSTS:
        value = (cost or {}).get(name)
        cells[title] = "–" if value is None else format(value * scale, form)
    return cells


def comparison_table(document: dict[str, Any]) -> str:
    """Several models for people: metrics side by side, what they cost, every pair in words."""
    models = document["models"]
    lines = [f"{document['n']:,} rows; 95 % intervals by bootstrap, paired for differences", ""]
    rows = {name: _metric_cells(models, name) for name in _COMPARED}
    if any(model.get("cost") for model in models):
        costs = [_cost_cells(model.get("cost")) for model in models]
        rows |= {title: [cells[title] for cells in costs] for title in costs[0]}
    rows = {name: cells for name, cells in rows.items() if any(cell != "–" for cell in cells)}
    names = [shown(model["model"], 40) for model in models]
    width = max(map(len, rows))
    widths = [max(map(len, column)) for column in zip(names, *rows.values(), strict=True)]
    for name, cells in {"": names, **rows}.items():
        row = "  ".join(f"{cell:>{size}}" for cell, size in zip(cells, widths, strict=True))
        lines.append(f"{name:<{width}}  {row}")
    for pair in document["comparisons"]:
        lines += ["", shown(pair["says"], 300), *_pair_lines(pair)]
    lines += ["", f"best: {shown(document['best'])}"]
    if document["cheapest_as_good"] is not None:
        lines.append(f"least time a row within its interval: {shown(document['cheapest_as_good'])}")
    if any(pair["more_rows"] for pair in document["comparisons"]):
        lines.append("rows to settle it: 80 % power, if what was seen is the difference")
    return "\n".join(lines) + "\n"


def _metric_cells(models: list[dict[str, Any]], name: str) -> list[str]:
    cells = []
    for model in models:
        metric = model.get(name) or {"value": None, "low": None}
        cell = "–" if metric["value"] is None else f"{metric['value']:.4f}"
        if metric["low"] is not None:
            cell += f" ({metric['low']:.4f} – {metric['high']:.4f})"
        cells.append(cell)
    return cells


def _pair_lines(pair: dict[str, Any]) -> list[str]:
    """Differences of the second from the first, and the rows that only one has right."""
    lines = []
    for name, gap in pair["difference"].items():
        if gap["value"] is None:
            lines.append(f"  {name} is not defined")
            continue
        interval = f" ({gap['low']:+.4f} – {gap['high']:+.4f})" if gap["low"] is not None else ""
        lines.append(f"  {name} {gap['value']:+.4f}{interval}, p {gap['p']:.3g}")
    first, second = f"{pair['only_first']:,}", f"{pair['only_second']:,}"
    rows = f"{first} rows only the first has right, {second} only the second"
    if not pair["right_or_wrong"]:
        rows = f"{first} rows to which the first has the better answer, {second} the second"
    return [*lines, f"  {rows}; p by Holm {pair['p_holm']:.3g}"]


def calibrated_table(document: dict[str, Any]) -> str:
    """What --calibrate brings, on rows that a fit has not seen."""
    lines = [
        f"{document['method']} fitted to {document['n']:,} rows; after: by "
        f"{document['folds']} folds, rows that a fit has not seen", "",
        f"{'':<14}{'before':>9}{'after':>10}  95 % interval",
    ]  # fmt: skip
    for name, after in document["after"].items():
        cells = [document["before"][name]["value"], after["value"]]
        said = ["undefined" if cell is None else f"{cell:.4f}" for cell in cells]
        line = f"{name:<14}{said[0]:>9}{said[1]:>10}"
        if after["low"] is not None:
            line += f"  {after['low']:.4f} – {after['high']:.4f}"
        lines.append(line)
    return "\n".join([*lines, "", f"saved as {document['path']}"]) + "\n"


def worse_after(document: dict[str, Any]) -> list[str]:
    """Says so where calibrating brought nothing, by the log loss; where a row has a label that the
    model does not know, which leaves that undefined, by the Brier score."""
    before, after = document["before"], document["after"]
    name = "brier" if after["log_loss"]["value"] is None else "log_loss"
    was, now = before[name]["value"], after[name]["value"]
    if now <= was:
        return []
    return [
        f"{name} {now:.4f} on rows that a fit has not seen, {was:.4f} before: calibrating on these "
        f"{document['n']:,} rows brought nothing"
    ]
