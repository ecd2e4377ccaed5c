"""Tables of what a model can be trusted with: faults, calibration, label sets, dirt."""

from __future__ import annotations

from measure import read_result


def faults_table() -> str:
    """Kills, failing calls, damage, races, signals."""
    faults, signals = read_result("faults"), read_result("signals")
    phases = [phase for name, phase in signals.items() if name != "machine"]
    runs, gone = (sum(phase[key] for phase in phases) for key in ("runs", "gone_in_time"))
    slowest = max(phase["slowest_seconds"] for phase in phases)
    told = {
        "kills": (
            "SIGKILL: train, prune, pin, rollback, `predict -o`",
            "{kills:,} kills, {models_lost} models lost or not resumed",
        ),
        "writes": (
            "a call that changes files failed once (ENOSPC, EIO, EINTR, short write)",
            "{calls_failed:,} calls, {n_wrong} wrong exits or harmed files",
        ),
        "power": (
            "power cut after any call, any part of the unsynced lost, replayed from a log of calls",
            "{states:,} states, {n_wrong} with a model or an output lost",
        ),
        "corruption": (
            "model files cut, and single bits flipped",
            "{cut:,} cuts and {flip:,} flips, {accepted} accepted",
        ),
        "races": (
            "trainers and readers on one name at once",
            "{trainers} and {readers}: {won} published, {busy} exit 75, {reads} reads, "
            "{n_wrong} wrong",
        ),
    }
    rows = [
        (what, form.format(**faults[name], n_wrong=len(faults[name].get("wrong", []))))
        for name, (what, form) in told.items()
        if name in faults
    ]
    rows.append((
        "SIGTERM and SIGINT while reading, training, measuring, saving",
        f"{gone} of {runs} gone within 10 s, the slowest after {slowest:.1f} s",
    ))  # fmt: skip
    return "\n".join(["| what | measured |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


def calibration_table() -> str:
    """A row a set: calibration error of the top label."""
    lines = [
        "| set | rows | uncalibrated | as trained | temperature | isotonic |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in sorted(read_result("calibration")["sets"].items()):
        if "ece" not in row:
            continue
        ece = row["ece"]
        lines.append(
            f"| {name} | {ece['rows']:,} | {ece['uncalibrated']:.3f} | {ece['as_trained']:.3f} "
            f"| {ece['temperature']['ece']:.3f} | {ece['isotonic']['ece']:.3f} |"
        )
    return "\n".join(lines)


def label_sets_table() -> str:
    """A row a set and level."""
    lines = [
        "| set | asked | held | labels a set | one label | none |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in sorted(read_result("calibration")["sets"].items()):
        lines += [
            f"| {name} | {point['level']:.0%} | {point['coverage']:.2%} "
            f"| {point['mean_set_size']:.2f} | {point['singletons']:.1%} | {point['empty']:.1%} |"
            for point in row.get("conformal", [])
        ]
    return "\n".join(lines)


def robustness_table() -> str:
    """A row a model of a set."""
    lines = [
        "| set | model | accuracy | mean over kinds and strengths | worst kind at 0.4 "
        "| under attack | words to flip it |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, models in read_result("robustness")["sets"].items():
        for command, row in models.items():
            last = {kind: points[-1] for kind, points in row["robustness"].items()}
            worst = min(last, key=lambda kind: last[kind]["accuracy"]["value"])
            attack, mean = row["attack"], row["perturbed_accuracy"]
            lines.append(
                f"| {name} | `{command}` | {row['accuracy']['value']:.3f} | {mean['value']:.3f} "
                f"({mean['low']:.3f}–{mean['high']:.3f}) "
                f"| {last[worst]['accuracy']['value']:.3f} ({worst}) "
                f"| {attack['accuracy_under_attack']['value']:.3f} of "
                f"{attack['accuracy']['value']:.3f} | {attack['words_changed']:.1f} |"
            )
    return "\n".join(lines)
