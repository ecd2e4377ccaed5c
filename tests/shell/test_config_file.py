"""--config files: strict YAML, every complaint with its line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from nlpcli.commands.app import build_command
from nlpcli.errors import ConfigError, InputMissing
from nlpcli.shell.config_file import MAX_BYTES, Schema, read_settings

TRAIN = ("train-fasttext",)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema.of(build_command())


def read(path: Path, schema: Schema, text: str | bytes, command: tuple[str, ...]) -> dict[str, Any]:
    file = path / "c.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    found = read_settings(str(file), schema, command)
    return {key: (value.value, value.line) for key, value in found.items()}


def test_sections_win_over_the_top_level(tmp_path: Path, schema: Schema) -> None:
    text = (
        "epochs: 5\nlr: 1\ntrain-fasttext:\n  epochs: 7\nmodels:\n  store: a\n"
        "  prune: {keep: 3}\nseed: 9\n"
    )
    assert read(tmp_path, schema, text, TRAIN) == {
        "epochs": (7, 4), "lr": (1, 2), "seed": (9, 8),
    }  # fmt: skip
    assert read(tmp_path, schema, text, ("models", "prune")) == {
        "store": ("a", 6), "keep": (3, 7),
    }  # fmt: skip
    assert read(tmp_path, schema, text, ("models", "list")) == {"store": ("a", 6)}
    assert read(tmp_path, schema, text, ("predict",)) == {}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", {}),
        ("# nothing\n", {}),
        ("\ufeffbatch-size: 8", {"batch_size": (8, 1)}),
        ("batch_size: 8\r\nlr: 1.0e-3\r\n", {"batch_size": (8, 1), "lr": (0.001, 2)}),
        ("lowercase: no", {"lowercase": (False, 1)}),
        ("text_column: 'no'", {"text_column": ("no", 1)}),
        ("dev: ~\nlr: -0.5", {"dev": (None, 1), "lr": (-0.5, 2)}),
        ("segmenter: jieba\nstore: /x y", {"segmenter": ("jieba", 1), "store": ("/x y", 2)}),
        ("text_column: 文本", {"text_column": ("文本", 1)}),
    ],
)
def test_values(tmp_path: Path, schema: Schema, text: str, wanted: dict[str, Any]) -> None:
    assert read(tmp_path, schema, text, TRAIN) == wanted


def test_an_option_that_may_be_repeated_takes_a_list(tmp_path: Path, schema: Schema) -> None:
    got = read(tmp_path, schema, "fail-under: [accuracy=0.1, ece=0]", ("eval",))
    assert got == {"fail_under": (["accuracy=0.1", "ece=0"], 1)}
    got = read(tmp_path, schema, "fail-under: accuracy=0.1", ("eval",))
    assert got == {"fail_under": (["accuracy=0.1"], 1)}
    with pytest.raises(ConfigError, match="number 3, wanted text"):
        read(tmp_path, schema, "fail-under: [3]", ("eval",))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("lr: 1e-3", "line 1: lr is text '1e-3', wanted a number from", "lr: 1.0e-3"),
        ("lr: 5E3", "text '5E3'", "lr: 5.0e+3"),
        ("lr: 1.5e3", "text '1.5e3'", "lr: 1.5e+3"),
        ("lr: .nan", "wanted a number", None),
        ("lr: -.inf", "wanted a number", None),
        ("lr: '0.1'", "text '0.1', wanted a number", None),
        ("lr: yes", "true or false (yes), wanted a number", None),
        ("lr: ten", "text 'ten', wanted a number", None),
        ("epochs: 012", "ambiguous number 012, wanted a whole number from 1 to 10000", None),
        ("epochs: 0x10", "ambiguous number 0x10", None),
        ("epochs: 1_000", "ambiguous number 1_000", None),
        ("epochs: 1:30", "ambiguous number 1:30", None),
        ("epochs: 3.0", "number 3.0, wanted a whole number", None),
        ("epochs: '3'", "text '3', wanted a whole number", "epochs: 3, without quotes"),
        ("epochs: " + "9" * 5000, "wanted a whole number", None),
        ("epochs:", "epochs is empty, wanted a whole number", None),
        ("epochs: [3]", "epochs is a list, wanted", None),
        ("epochs: {a: 1}", "epochs is a mapping, wanted", None),
        ("text_column: no", "true or false (no), wanted text", 'text_column: "no"'),
        ("text_column: 1", "number 1, wanted text", 'text_column: "1"'),
        ("text_column: 2024-01-01", "timestamp (2024-01-01), wanted text", 'text_column: "2024'),
        ("lowercase: 1", "number 1, wanted true or false", "lowercase: true"),
        ("lowercase: 'yes'", "text 'yes', wanted true or false", None),
        ("\n\nepohcs: 3", "line 3: epohcs is no option of any command", "epochs"),
        ("train-fasttext:\n  keeep: 3\n  top_k: 2", "line 2: keeep is no option", None),
        ("train-fasttext:\n  top_k: 2", "line 2: top_k is no option of train-fasttext", None),
        ("predcit:\n  top_k: 2", "predcit is no command", "predict"),
        ("predict: 3", "line 1: predict is number 3, wanted keys and values", None),
        ("corpus: x.csv", "corpus is no option of any command", None),
        ("config: x.yaml", "config is no option", None),
        ("show-config: yes", "show_config is no option", None),
        ("lr: 1\nseed: 2\nlr: 3", "line 3: lr stands on line 1 already", None),
        ("batch-size: 1\nbatch_size: 2", "line 2: batch_size stands on line 1 already", None),
        ("lr: &a 1", "line 1: anchors and aliases", None),
        ("lr: 1\nseed: *a", "line 2: anchors and aliases", None),
        ("<<: {lr: 1}", "<< is no command", None),
        ("lr: !!python/object/apply:os.system [x]", "tags are not allowed", None),
        ("lr: !!float 1", "tags are not allowed", None),
        ("? [a]\n: 1", "a key that is a list, wanted a name", None),
        ("- lr", "the file is a list, wanted keys and values", None),
        ("lr", "the file is text 'lr', wanted keys and values", None),
        ("lr: 1\n---\nlr: 2", "line 2: a second document", None),
        ("lr: [1", "line 1: ", None),
        ("lr: 1\n\tseed: 2", "line 2: ", None),
        ("lr: 'x", "line 1: ", None),
        ("%YAML 3.0\n---\nlr: 1", "line 1: ", None),
        ("lr: 1\nx: \x00", "line 2: ", None),
        (b"lr: 1\nx: \xff", "line 2: invalid UTF-8 (0xff)", None),
        ("lr: 1".encode("utf-16"), "line 1: invalid UTF-8", None),
        ("a: " + "[" * 65, "nested deeper than 64", None),
        ("a: " + "[" * 60_000, "nested deeper than 64", None),
        ("#" * (MAX_BYTES + 1), "more than 65,536 bytes", None),
    ],
)  # fmt: skip
def test_errors(
    tmp_path: Path, schema: Schema, text: str | bytes, message: str, hint: str | None
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        read(tmp_path, schema, text, TRAIN)
    assert caught.value.message.startswith(str(tmp_path / "c.yaml"))
    assert caught.value.message.isprintable()
    if hint is not None:
        assert hint in str(caught.value.hint)


def test_keys_of_other_commands_are_checked_too(tmp_path: Path, schema: Schema) -> None:
    with pytest.raises(ConfigError, match="line 1: kep is no option of prune"):
        read(tmp_path, schema, "models: {prune: {kep: 3}}", ("predict",))


def test_a_file_that_is_not_there(tmp_path: Path, schema: Schema) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(InputMissing, match="--config"):
            read_settings(str(path), schema, TRAIN)


def test_no_object_is_built_and_nothing_runs(tmp_path: Path, schema: Schema) -> None:
    target = tmp_path / "ran"
    for tag in ("!!python/object/apply:os.system", "!!python/object/new:os.system", "!x"):
        with pytest.raises(ConfigError):
            read(tmp_path, schema, f"lr: {tag} ['touch {target}']", TRAIN)
    assert not target.exists()
