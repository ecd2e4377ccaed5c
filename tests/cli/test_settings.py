"""Flag > environment > --config > default; man pages, completion and suggestions."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nlpcli.commands.app import build_command
from nlpcli.shell import option_table as table

from .conftest import PROGRAM, SAMPLES, Run, environment

TRAIN = ["train-fasttext", "x.csv", "-o", "m"]
LEAVES = [" ".join(path) for path, _ in table.leaves(build_command())]


def origins(done: Any) -> dict[str, tuple[str, str]]:
    """Name -> (value, origin) of a --show-config run."""
    assert (done.code, done.err) == (0, "")
    rows = [re.split(r"  +", line) for line in done.out.splitlines()]
    return {name: (value, origin) for name, value, origin in rows}


def test_each_source_wins_over_the_next(fresh: Run, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("lr: 0.5\nepochs: 5\nseed: 5\ntrain-fasttext:\n  epochs: 6\n")
    environment = {"NLPCLI_EPOCHS": "7", "NLPCLI_SEED": "7"}
    done = fresh(
        *TRAIN, "--config", file, "--seed", 8, "--keep-case", "--show-config", **environment
    )
    got = origins(done)
    assert got["seed"] == ("8", "flag")
    assert got["epochs"] == ("7", "environment NLPCLI_EPOCHS")
    assert got["lr"] == ("0.5", f"{file} line 1")
    assert got["epochs"] != ("5", "default") and got["word-ngrams"] == ("2", "default")
    assert got["lowercase"] == ("false", "flag")
    assert got["output"] == ("m", "flag")
    got = origins(fresh(*TRAIN, "--show-config", NLPCLI_CONFIG=str(file)))
    assert got["epochs"] == ("6", f"{file} line 5")
    assert not (tmp_path / "store").exists()


def test_the_settings_reach_the_run(fresh: Run, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "epochs: 2\nquiet: yes\njson: true\nlowercase: false\ntrain-fasttext: {output: m}\n"
    )
    done = fresh(
        "train-fasttext", SAMPLES / "reviews_en.csv", "--config", file, NLPCLI_OUTPUT="x",
        NLPCLI_DIM="4", NLPCLI_WAIT="no",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    assert report["epochs"] == 2
    assert report["path"].endswith("/m/1")  # a variable never says where to write
    config = json.loads((Path(report["path"]) / "manifest.json").read_bytes())["config"]
    assert config["dim"] == 4


def test_show_config_needs_nothing_and_runs_nothing(fresh: Run) -> None:
    for name in LEAVES:
        done = fresh(*name.split(), "--show-config")
        assert (done.code, done.err) == (0, ""), name
        assert "store" in done.out or name in {"man", "completion", "ngrams", "doctor"}
    got = origins(fresh("predict", "--show-config"))
    assert got["model"] == ("(none)", "(required, not set)")
    document = json.loads(fresh("eval", "--show-config", "--json").out)
    assert document["resamples"] == {"value": 1000, "origin": "default"}
    assert document["model"] == {"value": None, "origin": "default"}  # or --predictions


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("NLPCLI_EPOCHS", "abc", "NLPCLI_EPOCHS=abc: wanted a whole number from 1 to 10000"),
        ("NLPCLI_EPOCHS", "0", "NLPCLI_EPOCHS=0: wanted a whole number"),
        ("NLPCLI_LR", "nan", "NLPCLI_LR=nan: wanted a number"),
        ("NLPCLI_WAIT", "maybe", "NLPCLI_WAIT=maybe: wanted true or false"),
        ("NLPCLI_SEGMENTER", "chars", "NLPCLI_SEGMENTER=chars: wanted one of char, jieba"),
        ("NLPCLI_EPOCHS", "\x1b[1m", "NLPCLI_EPOCHS=\\x1b[1m: wanted"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named(fresh: Run, variable: str, value: str, message: str) -> None:
    done = fresh(*TRAIN, **{variable: value})
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}")


def test_a_wrong_flag_and_a_wrong_key_are_named(fresh: Run, tmp_path: Path) -> None:
    done = fresh(*TRAIN, "--lr", "nan")
    assert (done.code, done.err) == (2, "error: --lr nan: wanted a number from 1e-06 to 100\n")
    file = tmp_path / "c.yaml"
    file.write_text("seed: 3\nepochs: 0\n")
    done = fresh(*TRAIN, "--config", file)
    wanted = f"error: {file} line 2: epochs is 0, wanted a whole number from 1 to 10000\n"
    assert (done.code, done.err) == (78, wanted)
    file.write_text("segmenter: jeiba\n")
    done = fresh(*TRAIN, "--config", file)
    assert (done.code, "hint: did you mean jieba?" in done.err) == (78, True)
    assert fresh(*TRAIN, "--config", tmp_path / "no.yaml").code == 66
    file.write_text("epohcs: 1\n")
    done = fresh("models", "list", "--config", file)
    wanted = f"error: {file} line 1: epohcs is no option of any command\nhint: did you mean epochs?"
    assert (done.code, done.err.strip()) == (78, wanted)


def test_an_unknown_variable_is_warned_of_once(fresh: Run) -> None:
    done = fresh("models", "list", NLPCLI_EPOHCS="3", NLPCLI_EMPTY="")
    assert done.code == 0
    assert done.err == (
        "warning: NLPCLI_EPOHCS is no option of any command; did you mean NLPCLI_EPOCHS?\n"
    )
    assert fresh("models", "list", "-v").code == 0
    assert fresh("models", "list", "-q", NLPCLI_EPOHCS="3").err == ""
    assert fresh("models", "list", NLPCLI_LR="3", NLPCLI_QUIET="0").err == ""


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["predict", "--lr", "3"], "no such option: --lr here; it belongs to train-fasttext"),
        (["--lr", "3"], "no such option: --lr here; it belongs after train-fasttext"),
        (["predict", "--modle", "x"], "hint: did you mean --model?"),
        (["predict", "--topk=3"], "hint: did you mean --top-k?"),
        (["eval", "--no-haeder"], "hint: did you mean --no-header?"),
        (["predict", "--zz"], "no such option: --zz\n"),
        (["predict", "-Z"], "no such option: -Z\n"),
        (["predcit"], "no such command: predcit\nhint: did you mean predict?"),
        (["models", "lst"], "no such command: lst\nhint: did you mean list?"),
        (["qqq"], "no such command: qqq\n"),
        (["predict"], "missing option --model"),
        (["train-fasttext"], "missing argument TRAIN"),
        (["train-fasttext", "x", "--output"], "'--output' requires an argument"),
        (["predict", "-m", "x", "--only=3"], "'--only' does not take a value"),
        (["models", "list", "extra"], "unexpected extra argument(s) (extra)"),
    ],
)  # fmt: skip
def test_usage(fresh: Run, arguments: list[str], wanted: str) -> None:
    done = fresh(*arguments)
    assert (done.code, done.out) == (2, "")
    assert wanted in done.err
    assert done.err.startswith("error: ")


def test_the_manual_page_is_clean_roff_and_complete(fresh: Run) -> None:
    done = fresh("man")
    assert (done.code, done.err) == (0, "")
    for section in (
        "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES",
        "EXAMPLES",
    ):  # fmt: skip
        assert f"\n.SH {section}\n" in done.out
    assert not re.search(r"^\.(?!TH|SH|SS|TP|br|nf|fi|nh|ad)", done.out, re.MULTILINE)
    plain = done.out.replace("\\-", "-")
    for path, command in table.leaves(build_command()):
        assert " ".join(path) in plain
        for row in table.options(command):
            for word in (*row.flags, *row.off_flags, row.variable or ""):
                assert word in plain, (path, word)
    one = fresh("man", "models", "prune").out.replace("\\-", "-")
    assert "nlpcli-models-prune - remove old versions" in one
    assert "--keep" in one and "--top-k" not in one
    assert "did you mean prune?" in fresh("man", "models", "purne").err


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("command", [[], ["train-fasttext"], ["models", "prune"]])
def test_groff_has_nothing_to_say(fresh: Run, command: list[str]) -> None:
    page = fresh("man", *command).out
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww"], input=page.encode(), capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"EXAMPLES" in re.sub(rb".\x08|\x1b\[\d*m", b"", done.stdout)


def complete(store: Path, shell: str, words: list[str], **more: str) -> list[str]:
    """What the program answers to a shell that completes the last word."""
    asked = {
        "_NLPCLI_COMPLETE": f"complete_{shell}", "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1), "_TYPER_COMPLETE_ARGS": " ".join(words),
        "_TYPER_COMPLETE_FISH_ACTION": "get-args", **more,
    }  # fmt: skip
    done = subprocess.run(
        [PROGRAM], capture_output=True, env=environment(store, **asked), timeout=60, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    return done.stdout.splitlines()


def test_completions(tmp_path: Path) -> None:
    assert complete(tmp_path, "bash", ["nlpcli", "pred"]) == ["predict"]
    assert complete(tmp_path, "bash", ["nlpcli", "models", "ver"]) == ["verify"]
    assert complete(tmp_path, "bash", ["nlpcli", "predict", "--top"]) == ["--top-k"]
    assert complete(tmp_path, "bash", ["nlpcli", "eval", "--format", "cs"]) == ["csv"]
    # what is wrong elsewhere on the line or in the environment must not matter
    noisy = {"NLPCLI_EPOCHS": "x", "NLPCLI_NONE": "x", "GITHUB_ACTIONS": "1"}
    line = ["nlpcli", "train-fasttext", "--config", "none.yaml", "--lr", "x", "--word"]
    assert complete(tmp_path, "bash", line, **noisy) == ["--word-ngrams"]
    assert "--prefix" in "".join(complete(tmp_path, "zsh", ["nlpcli", "predict", "--pre"], **noisy))
    fish = complete(tmp_path, "fish", ["nlpcli", "models", "pr"], GITHUB_ACTIONS="1")
    assert fish[0].startswith("prune\t")


def test_completion_scripts(fresh: Run, tmp_path: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        done = fresh("completion", shell)
        assert (done.code, done.err) == (0, "")
        assert "_NLPCLI_COMPLETE=complete_" + shell in done.out
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    script = tmp_path / "nlpcli.bash"
    script.write_text(fresh("completion", "bash").out)
    command = (
        f"source {script}; COMP_WORDS=(nlpcli mod); COMP_CWORD=1; _nlpcli_completion {PROGRAM}; "
        'echo "${COMPREPLY[@]}"; complete -p nlpcli'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", command], capture_output=True, env=environment(tmp_path),
        timeout=60, text=True,
    )  # fmt: skip
    assert done.stdout == "models\ncomplete -o default -F _nlpcli_completion nlpcli\n"


def test_settings_completion_and_manual_import_no_torch_nor_yaml(tmp_path: Path) -> None:
    code = (
        "import sys, os\n"
        "def leave(code):\n"
        "    print({'torch', 'yaml', 'numpy'} & set(sys.modules), file=sys.stderr)\n"
        "    sys.exit(code)\n"
        "os._exit = leave\n"
        "from nlpcli.__main__ import main\n"
        "main()\n"
    )
    asked = {"_NLPCLI_COMPLETE": "complete_bash", "COMP_WORDS": "nlpcli pre", "COMP_CWORD": "1"}
    for arguments, more in (
        (["man"], {}),
        (["completion", "bash"], {}),
        (["train-fasttext", "--show-config"], {}),
        ([], {}),
        ([], asked),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True,
            env=environment(tmp_path / "store", **more), timeout=60,
        )  # fmt: skip
        assert done.stderr.splitlines()[-1] == "set()", (arguments, more, done.stderr)
