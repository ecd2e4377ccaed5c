"""Writes the README's tables from benchmarks/results, between their markers.

python benchmarks/tables.py
"""

from __future__ import annotations

import re

import tables_encoders as encoders
import tables_fasttext as fasttext
import tables_trust as trust
import tables_words as words
from measure import ROOT

TABLES = {
    "accuracy": fasttext.accuracy_table, "same": fasttext.same_table,
    "speed": fasttext.speed_table, "warm": fasttext.warm_table, "size": fasttext.size_table,
    "stages": fasttext.stages_table, "losses": fasttext.losses_table, "none": fasttext.none_table,
    "ngrams": words.ngrams_table, "ways": words.ways_table, "chosen": words.chosen_table,
    "word2vec": words.word2vec_table, "language": words.language_table,
    "pretraining": encoders.pretraining_table, "finetuning": encoders.finetuning_table,
    "tuned": encoders.tuned_table, "tuning": encoders.tuning_choices_table,
    "brought": encoders.brought_table, "cascade": encoders.cascade_table,
    "faults": trust.faults_table, "calibration": trust.calibration_table,
    "sets": trust.label_sets_table, "robustness": trust.robustness_table,
}  # fmt: skip
"""Marker of the README: what stands there."""


def main() -> None:
    """Replaces what stands between the markers."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    for name, make in TABLES.items():
        table = make()
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        text = pattern.sub(lambda _, t=table, b=begin, e=end: f"{b}\n{t}\n{e}", text)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
