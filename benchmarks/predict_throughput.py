"""predict, CSV to CSV, beside the fastText program's predict-prob on the same lines; memory.

    python benchmarks/predict_throughput.py

Both models are trained on pypi_family (bigrams). The lines are those of pypi_summaries.txt.gz.
"""

from __future__ import annotations

import csv
import gzip
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from accuracy import fasttext_lines, find, prepared
from measure import DATA, NLPCLI, run, run_measured, write_result

ROUNDS = 3
PEER_DIM = "10"
"""A small model, so that the peer is fast: at its default of 100 it does 96,000 rows/s."""


def write_inputs(work: Path) -> tuple[int, Path, Path]:
    """The same lines as a CSV and, prepared, as fastText's text."""
    rows, plain = work / "lines.csv", work / "lines.txt"
    n = 0
    with (
        gzip.open(
            DATA / "corpus" / "pypi_summaries.txt.gz", "rt", encoding="utf-8", newline="\n"
        ) as lines,
        rows.open("w", encoding="utf-8", newline="") as table,
        plain.open("w", encoding="utf-8") as text,
    ):
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["text"])
        for line in lines:
            writer.writerow([line.rstrip("\n")])
            text.write(prepared(line) + "\n")
            n += 1
    return n, rows, plain


def write_numbered(source: Path, target: Path, n_rows: int) -> None:
    """``n_rows`` of the source's rows, repeated, with a running number added to each text."""
    with source.open(encoding="utf-8", newline="") as stream:
        texts = [row[0] for row in csv.reader(stream)][1:]
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["text"])
        writer.writerows([f"{texts[i % len(texts)]} {i}"] for i in range(n_rows))


def main() -> None:
    """Times both programs in turn, then memory at two sizes."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        train = find("pypi_family/train.csv.gz")
        run([*NLPCLI, "train-fasttext", str(train), "-o", str(work / "model"), "-q"])
        n, rows, plain = write_inputs(work)
        predict = [*NLPCLI, "predict", "-m", str(work / "model"), "-q"]
        peer_command = None
        if shutil.which("fasttext"):
            lines = fasttext_lines(train, work / "ft.train", None)
            subprocess.run(
                ["fasttext", "supervised", "-input", str(lines), "-output", str(work / "ft"), "-lr",
                 "0.5", "-epoch", "10", "-wordNgrams", "2", "-bucket", "200000", "-thread", "2",
                 "-dim", PEER_DIM],
                check=True, capture_output=True,
            )  # fmt: skip
            peer_command = ["fasttext", "predict-prob", str(work / "ft.bin"), str(plain), "1"]
        ours, peers = [], []
        for _ in range(ROUNDS):
            ours.append(n / run_measured([*predict, str(rows)], stdout=work / "out.csv").seconds)
            if peer_command:
                peers.append(n / run_measured(peer_command, stdout=work / "out.txt").seconds)
        with (work / "out.csv").open(encoding="utf-8", newline="") as stream:
            assert sum(1 for _ in csv.reader(stream)) == n + 1
        memory = {}
        for size in (50_000, 5_000_000):
            write_numbered(rows, work / "numbered.csv", size)
            done = run_measured([*predict, str(work / "numbered.csv")], stdout=work / "out.csv")
            memory[str(size)] = {
                "peak_mb": round(done.peak_mb, 1),
                "rows_per_second": round(size / done.seconds),
            }
            print(size, memory[str(size)], flush=True)
    result = {
        "rows": n,
        "nlpcli_rows_per_second": round(statistics.median(ours)),
        "fasttext_rows_per_second": round(statistics.median(peers)) if peers else None,
        "ratio": round(statistics.median(a / b for a, b in zip(ours, peers, strict=True)), 3)
        if peers
        else None,
        "memory": memory,
        "memory_ratio": round(memory["5000000"]["peak_mb"] / memory["50000"]["peak_mb"], 3),
    }
    print(result)
    write_result("predict_throughput", result)


if __name__ == "__main__":
    main()
