"""Start-up: --help beside `import typer`, and predict of one row with a model of debian.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from accuracy import find
from measure import NLPCLI, run, write_result

ROUNDS = 15


def main() -> None:
    """Times the commands in turn; medians."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run(
            [
                *NLPCLI,
                "train-fasttext",
                str(find("debian/train.csv.gz")),
                "-o",
                str(work / "model"),
                "-q",
            ]
        )
        one = work / "one.csv"
        one.write_text("text\nfast text editor for programmers\n")
        commands = {
            "import_typer": [sys.executable, "-c", "import typer"],
            "help": [*NLPCLI, "--help"],
            "predict_one_row": [*NLPCLI, "predict", "-m", str(work / "model"), str(one)],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                seconds[name].append(run(command).seconds)
    result = {name: round(statistics.median(values), 4) for name, values in seconds.items()}
    result["help_ratio"] = round(result["help"] / result["import_typer"], 2)
    print(result)
    write_result("startup", result)


if __name__ == "__main__":
    main()
