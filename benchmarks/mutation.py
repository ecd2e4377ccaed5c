"""Each sync, rename, lock, mode and check of the store taken out in turn: do the tests notice?

    python benchmarks/mutation.py [WORD]     (the others keep what is known of them)

Two copies of the repository, each with an environment of its own in which the copy is the
installed package, run the quick tests of the store and of faults once a mutant; WORD: only mutants
whose place or change contains it. Writes benchmarks/results/mutation.json.
"""

from __future__ import annotations

import ast
import copy
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from measure import ROOT, write_result

CALLS = {
    "os.fsync", "fsync_folder", "os.replace", "os.rename", "exchange", "_exchange", "os.fchmod",
    "os.chmod", "fcntl.flock", "self._replace", "_durable_or_back", "os.ftruncate",
}  # fmt: skip
LIMIT_S = 120
"""For one mutant; more where the tests take more than a third of it without one."""
FIRST = ["tests/store/test_mutants.py", "tests/store/test_edges.py"]
READING = ("classifier", "states", "strict_json", "validation")
READERS = [
    "tests/store/test_validation.py",
    "tests/faults/test_malicious.py",
    "tests/faults/test_corruption.py",
]
WORKERS = 2
_FAILED = re.compile(r"^(?:FAILED|ERROR) ([^ \n]+(?:\[[^\n]*?\])?)(?: - |$)", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """A file of the package, the line, what is done there, and the whole text after it."""

    file: str
    line: int
    change: str
    text: str

    @property
    def place(self) -> str:
        """FILE:LINE what"""
        return f"{self.file}:{self.line} {self.change}"


class _Change(ast.NodeTransformer):
    """Makes the ``wanted``-th of all possible changes, in the order of the walk."""

    def __init__(self, wanted: int) -> None:
        self._left, self.made = wanted, ""
        self.line = 0

    def _now(self, node: ast.AST, what: str) -> bool:
        self._left -= 1
        if self._left != -1:
            return False
        self.made, self.line = what, getattr(node, "lineno", 0)
        return True

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call that has an effect is not made; where a truth is wanted, it is no."""
        self.generic_visit(node)
        name = ast.unparse(node.func)
        if name in CALLS and self._now(node, f"no {ast.unparse(node)}"):
            return ast.copy_location(ast.Constant(value=False), node)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        """A check that raises never does."""
        self.generic_visit(node)
        raises = any(isinstance(inner, ast.Raise) for inner in node.body)
        if raises and self._now(node, f"never: if {ast.unparse(node.test)}"):
            return ast.copy_location(
                ast.If(test=ast.Constant(value=False), body=node.body, orelse=node.orelse), node
            )
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """One operand less."""
        self.generic_visit(node)
        for i, operand in enumerate(node.values):
            if self._now(operand, f"without {ast.unparse(operand)}"):
                rest = [value for j, value in enumerate(node.values) if j != i]
                if len(rest) == 1:
                    return rest[0]
                return ast.copy_location(ast.BoolOp(op=node.op, values=rest), node)
        return node


def mutants() -> Iterator[Mutant]:
    """All mutants of nlpcli/store, and of the JSON that it reads."""
    package = ROOT / "nlpcli"
    for path in [*sorted((package / "store").glob("*.py")), package / "text" / "strict_json.py"]:
        tree = ast.parse(path.read_text())
        for number in range(10_000):
            change = _Change(number)
            changed = ast.fix_missing_locations(change.visit(copy.deepcopy(tree)))
            if not change.made:
                break
            yield Mutant(
                str(path.relative_to(ROOT)), change.line, change.made, ast.unparse(changed)
            )


class Workplace:
    """A copy of the repository with an environment in which the copy is the package."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("nlpcli", "tests", "sample_data", "benchmarks"):
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(ROOT / "pyproject.toml", folder)
        environment = folder / "env"
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True
        )
        self._python = environment / "bin" / "python"
        site = next(environment.glob("lib/python*/site-packages"))
        libraries = next(Path(sys.prefix).glob("lib/python*/site-packages"))
        # in a folder that is only put on the path, no editable install is in force
        (site / "first.pth").write_text(f"{folder}\n{libraries}\n")
        program = environment / "bin" / "nlpcli"
        program.write_text(f"#!{self._python}\nfrom nlpcli.__main__ import main\nmain()\n")
        program.chmod(0o755)
        done = self._run("-c", "import nlpcli; print(nlpcli.__file__)")
        if not done[1].startswith(str(folder)):
            raise SystemExit(f"the copy is not what is imported: {done}")

    def _run(self, *arguments: str, limit: float = 10 * LIMIT_S) -> tuple[int, str]:
        """Exit code, or -1 when the time is over, and the output."""
        process = subprocess.Popen(
            [str(self._python), *arguments], cwd=self._folder, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={
                "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
            },
        )  # fmt: skip
        try:
            out, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return -1, "too long"
        return process.returncode, out

    def tests(self, file: str = "", limit: float = 10 * LIMIT_S) -> tuple[int, str]:
        """The quick tests of the store and of faults until one fails, those nearest first."""
        base = str(self._folder / "tmp")
        options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={base}"]
        near = READERS if Path(file).stem in READING else FIRST
        every = [*near, "tests/store", "tests/faults"]
        return self._run("-m", "pytest", *options, *every, limit=limit)

    def try_out(self, mutant: Mutant, limit: float) -> tuple[str, str]:
        """``noticed`` and by which test, ``hangs``, or ``SURVIVES``.

        ``UNCLEAR``: the test that failed passes when it is run once more.
        """
        path = self._folder / mutant.file
        whole = path.read_text()
        path.write_text(mutant.text)
        try:
            code, said = self.tests(mutant.file, limit)
            if code in (0, -1):
                return ("hangs" if code else "SURVIVES"), ""
            failed = _FAILED.search(said)
            if failed is None:
                return "noticed", "nothing runs"
            options = ["-q", "-p", "no:cacheprovider", f"--basetemp={self._folder / 'tmp'}"]
            again, _ = self._run("-m", "pytest", *options, failed[1], limit=limit)
            return ("noticed" if again else "UNCLEAR"), failed[1]
        finally:
            path.write_text(whole)


def try_all(todo: list[Mutant], folder: Path) -> dict[str, dict[str, str]]:
    """What became of the mutants: their places, and the test that told."""
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in todo:
        waiting.put(mutant)
    found: dict[str, dict[str, str]] = {k: {} for k in ("noticed", "hangs", "UNCLEAR", "SURVIVES")}
    places = [Workplace(folder / str(i)) for i in range(WORKERS)]
    begun = time.perf_counter()
    code, said = places[0].tests()
    if code:
        raise SystemExit(f"the tests fail without a mutant:\n{said[-2000:]}")
    limit = max(LIMIT_S, 3 * (time.perf_counter() - begun))

    def work(place: Workplace) -> None:
        while True:
            try:
                mutant = waiting.get_nowait()
            except queue.Empty:
                return
            outcome, test = place.try_out(mutant, limit)
            if outcome == "hangs":  # or the machine was busy
                outcome, test = place.try_out(mutant, limit)
            found[outcome][mutant.place] = test
            print(outcome, mutant.place, f"({test})" if test else "", flush=True)

    threads = [threading.Thread(target=work, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def main() -> None:
    """Prints the survivors."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    todo = [mutant for mutant in mutants() if word in mutant.place]
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = try_all(todo, Path(folder))
    print(*sorted(found["SURVIVES"]), *sorted(found["UNCLEAR"]), sep="\n")
    if word:
        _keep_others(found, word)
    result = {
        "mutants": sum(map(len, found.values())),
        "noticed": len(found["noticed"]) + len(found["hangs"]),
        "hangs": sorted(found["hangs"]), "survivors": sorted(found["SURVIVES"]),
        "unclear": found["UNCLEAR"], "noticed_by": found["noticed"],
        "seconds": round(time.perf_counter() - begun),
    }  # fmt: skip
    write_result("mutation", result)


def _keep_others(found: dict[str, dict[str, str]], word: str) -> None:
    """Adds what is known of the mutants that were not asked for."""
    path = ROOT / "benchmarks" / "results" / "mutation.json"
    if not path.is_file():
        return
    known = json.loads(path.read_text())
    there = {mutant.place for mutant in mutants()}
    for name, places in (
        ("noticed", known["noticed_by"]), ("hangs", dict.fromkeys(known["hangs"], "")),
        ("SURVIVES", dict.fromkeys(known["survivors"], "")), ("UNCLEAR", known["unclear"]),
    ):  # fmt: skip
        found[name] |= {p: t for p, t in places.items() if word not in p and p in there}


if __name__ == "__main__":
    main()
