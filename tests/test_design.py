"""The rules of the program's layout, read off the source with ``ast``.

A rule is a function from one parsed source to a list of complaints, so that it can be
shown here to find a made-up violation (``test_rule_finds_a_violation``) as well as to
find none in the package.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "nlpcli"

CORRIDOR = ["errors", "text", "data", "batching", "models", "training", "evaluation"]
MAY_IMPORT = {layer: set(CORRIDOR[: n + 1]) for n, layer in enumerate(CORRIDOR)}
MAY_IMPORT["models"] = {"errors", "batching", "models"}  # ids and tensors; no text, no rows
# other programs' files: read into tokenizers and scorers of ours, never into training
MAY_IMPORT["formats"] = {"errors", "text", "data", "batching", "models", "formats"}
# a stored classifier is a tokenizer and a scorer; both are free of torch
MAY_IMPORT["store"] = {"errors", "text", "models", "store", "formats"}
# what a command makes happen, without a terminal; and the terminal, without a model
MAY_IMPORT["runs"] = {*CORRIDOR, "store", "formats", "runs"}
MAY_IMPORT["shell"] = {"errors", "shell"}
MAY_IMPORT["commands"] = {*MAY_IMPORT["runs"], "shell", "commands"}
MAY_IMPORT["__main__"] = {*MAY_IMPORT["commands"], "__main__"}

TORCH_LAYERS = {"batching", "models", "training"}
TORCH_FREE_FILES = {
    "nlpcli.models.additive",
    "nlpcli.models.quantisation",
    "nlpcli.models.top_label",
    "nlpcli.models.word_vectors",
    "nlpcli.batching.subwords",
    "nlpcli.batching.ngram_counts",
    "nlpcli.models.ngram_lm",
    "nlpcli.models.ngram_sampling",
    "nlpcli.models.ngram_smoothing",
    "nlpcli.models.jelinek_mercer",
}
SHARED_COMMAND_FILES = {
    "opening",
    "opening_tasks",
    "predict_answers",
    "predict_output",
    "asking",
    "pretraining_options",
    "after_training",
    "abstaining",
    "calibrating",
    "cascading",
    "drifting",
    "embedding",
    "eval_candidates",
    "eval_kinds",
    "eval_measured",
    "eval_options",
    "eval_predictions",
    "eval_robustness",
    "eval_tables",
    "eval_tasks",
    "finetune_options",
    "finetune_sources",
    "finetune_tasks",
    "configuring",
    "controlled_sets",
    "label_sets",
    "ngram_options",
    "plotting",
    "regression",
    "reporting",
    "selecting",
    "tagging",
}  # command files may import these
COMMAND_REGISTRY = "app"  # and this one may import every command

FILE_LINES = 350
FUNCTION_LINES = 70  # of the body, which a list of options does not count for; aim: 10 to 40

CONSTRUCTORS = {
    "re.compile", "typer.Typer", "typer.Option", "typer.Argument", "Console", "Path",
    "frozenset", "set", "dict", "tuple", "list", "range", "len", "max", "min", "sorted", "zip",
    "TypeVar", "ParamSpec", "NewType", "namedtuple", "NamedTuple", "Struct", "struct.Struct",
    "MappingProxyType", "field", "dataclasses.field", "auto", "enum.auto", "chr", "ord", "int",
    "float", "str", "bytes", "enumerate", "attrgetter", "itemgetter", "slice", "object",
    "str.maketrans", "dict.fromkeys", "math.log", "math.sqrt", "getattr", "fields",
    "pow", "np.dtype", "np.iinfo", "np.finfo", "np.array", "np.arange",
    *(f"np.{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)),
}  # fmt: skip
PURE_METHODS = {
    "join", "split", "encode", "decode", "format", "lower", "upper", "strip", "keys", "values",
    "items", "union", "maketrans", "replace", "get",
}  # fmt: skip
REGISTRATIONS = {"command", "callback", "add_typer"}  # in commands/: typer's way to name a command


@dataclass(frozen=True)
class Source:
    """One module: dotted name, text and tree."""

    module: str
    text: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def layer(self) -> str:
        """'text' for nlpcli.text.vocab; '' for nlpcli itself."""
        return [*self.module.split("."), ""][1]

    @property
    def is_terminal_side(self) -> bool:
        return self.layer in {"shell", "commands", "__main__"}


def read_package() -> dict[str, Source]:
    """Every module of the package by its dotted name."""
    sources = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        sources[module] = Source(module, path.read_text(encoding="utf-8"), is_package)
    return sources


SOURCES = read_package()


# --- reading the tree -----------------------------------------------------------------


def dotted(node: ast.AST) -> str:
    """'os.environ' for that attribute chain; '' where the chain starts in something else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and dotted(node.test).split(".")[-1] == "TYPE_CHECKING"


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What is run when the module is imported: not function bodies, nor type-only imports."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            defaults = [*child.args.defaults, *filter(None, child.args.kw_defaults)]
            for part in (*child.decorator_list, *defaults):
                yield part
                yield from at_import(part)
        elif isinstance(child, ast.Lambda):
            continue
        elif is_type_checking(child):
            for part in getattr(child, "orelse", []):
                yield part
                yield from at_import(part)
        else:
            yield child
            yield from at_import(child)


def imports_of(source: Source, nodes: Iterator[ast.AST]) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of each import; 'from a import b' gives 'a.b'."""
    package = source.module.split(".") if source.is_package else source.module.split(".")[:-1]
    for node in nodes:
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for name in node.names:
                yield node.lineno, f"{stem}.{name.name}"


def all_imports(source: Source) -> Iterator[tuple[int, str]]:
    return imports_of(source, ast.walk(source.tree))


def import_time_imports(source: Source) -> Iterator[tuple[int, str]]:
    return imports_of(source, at_import(source.tree))


def said(source: Source, line: int, what: str) -> str:
    return f"{source.module} line {line}: {what}"


def is_library(name: str, *libraries: str) -> bool:
    return name.split(".")[0] in libraries


# --- the rules ------------------------------------------------------------------------


def layers(source: Source) -> list[str]:
    """Imports go one way along the corridor."""
    wrong = []
    allowed = MAY_IMPORT.get(source.layer, set())
    if source.layer and source.layer not in MAY_IMPORT:
        wrong.append(said(source, 1, f"no layer is called {source.layer!r}"))
    for line, name in all_imports(source):
        parts = name.split(".")
        if parts[0] != "nlpcli" or len(parts) < 2 or parts[1].startswith("__version"):
            continue
        if parts[1] not in allowed:
            wrong.append(said(source, line, f"{source.layer or 'nlpcli'} imports {name}"))
    return wrong


def commands_apart(source: Source) -> list[str]:
    """Command files import no other command file."""
    if source.layer != "commands" or source.module.split(".")[-1] == COMMAND_REGISTRY:
        return []
    return [
        said(source, line, f"a command file imports {name}")
        for line, name in all_imports(source)
        if name.startswith("nlpcli.commands")
        and [*name.split("."), ""][2] not in SHARED_COMMAND_FILES
    ]


def torch_in_its_layers(source: Source) -> list[str]:
    """torch at module level in batching, models and training; in functions in runs, commands."""
    if source.layer in TORCH_LAYERS and source.module not in TORCH_FREE_FILES:
        return []
    late = source.is_terminal_side or source.layer == "runs"
    found = import_time_imports if late else all_imports
    return [
        said(source, line, f"imports {name} here")
        for line, name in found(source)
        if is_library(name, "torch")
    ]


def empty_inits(source: Source) -> list[str]:
    """Package __init__ files import nothing and hold at most a docstring and the version."""
    if not source.is_package:
        return []
    wrong = []
    for node in source.tree.body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_version = isinstance(node, ast.Assign) and dotted(node.targets[0]) == "__version__"
        if not (is_docstring or (is_version and source.module == "nlpcli")):
            wrong.append(said(source, node.lineno, f"{type(node).__name__} in an __init__"))
    return wrong


def terminal_only_in_commands(source: Source) -> list[str]:
    """Only commands and __main__ print, exit, read argv or environment, or know terminals."""
    if source.is_terminal_side:
        return []
    names = {"os.environ", "os.environb", "sys.argv", "sys.exit", "os._exit", "SystemExit"}
    calls = {"print", "input", "exit", "quit", "os.getenv"}
    members = {f"{module}.{name}" for module, name in (n.split(".") for n in names if "." in n)}
    wrong = [
        said(source, line, f"imports {name}")
        for line, name in all_imports(source)
        if is_library(name, "typer", "rich", "click") or name in members or name == "os.getenv"
    ]
    for node in ast.walk(source.tree):
        if dotted(node) in names:
            wrong.append(said(source, getattr(node, "lineno", 0), f"uses {dotted(node)}"))
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            if called in calls or called.endswith(".isatty"):
                wrong.append(said(source, node.lineno, f"calls {called}"))
    return wrong


def no_dumping_ground(source: Source) -> list[str]:
    """A file is called after what it does."""
    vague = set(source.module.split(".")) & {"util", "utils", "common", "helpers", "misc"}
    return [said(source, 1, f"a module called {name}") for name in sorted(vague)]


def sizes(source: Source) -> list[str]:
    """Files and functions that can be read in one sitting."""
    wrong = []
    lines = len(source.text.splitlines())
    if lines > FILE_LINES:
        wrong.append(said(source, 1, f"{lines} lines, the limit is {FILE_LINES}"))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
            if length > FUNCTION_LINES:
                what = f"{node.name} has {length} lines, the limit is {FUNCTION_LINES}, the aim 40"
                wrong.append(said(source, node.lineno, what))
    return wrong


def docstrings(source: Source, parent: ast.AST | None = None) -> list[str]:
    """Every public class, function and method states its contract."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    wrong: list[str] = []
    for node in ast.iter_child_nodes(parent or source.tree):
        if not isinstance(node, kinds) or node.name.startswith("_"):
            continue
        is_overload = any(dotted(d).endswith("overload") for d in node.decorator_list)
        if not ast.get_docstring(node) and not is_overload:
            wrong.append(said(source, node.lineno, f"{node.name} has no docstring"))
        if isinstance(node, ast.ClassDef):
            wrong.extend(docstrings(source, node))
    return wrong


def no_code_in_data(source: Source) -> list[str]:
    """Nothing that is read can run: no pickle by any name, no eval, no exec."""
    wrong = [
        said(source, line, f"imports {name}")
        for line, name in all_imports(source)
        if is_library(name, "pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve")
        or is_library(name, "marshal")
        or name in {"torch.load", "torch.save"}
    ]
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        if called in {"eval", "exec", "torch.load", "torch.save"}:
            wrong.append(said(source, node.lineno, f"calls {called}"))
        if any(
            keyword.arg == "allow_pickle" and not _is_false(keyword) for keyword in node.keywords
        ):
            wrong.append(said(source, node.lineno, f"{called} with allow_pickle"))
    return wrong


def _is_false(keyword: ast.keyword) -> bool:
    return isinstance(keyword.value, ast.Constant) and keyword.value.value is False


MACHINE_PATH = re.compile(r"(?<![\w.*])/(?:work|root|opt|home)(?![\w-])")
REGISTRY = re.compile(
    r"https?://(?:[\w.-]*\.)?(?:pypi\.org|pythonhosted\.org|pytorch\.org|huggingface\.co|hf\.co"
    r"|fbaipublicfiles\.com|localhost|127\.0\.0\.1)"
)


def no_place_named(source: Source) -> list[str]:
    """No path of some machine and no registry's address."""
    return [
        said(source, number, f"names {found.group()}")
        for number, line in enumerate(source.text.splitlines(), 1)
        for found in (*MACHINE_PATH.finditer(line), *REGISTRY.finditer(line))
    ]


def nothing_at_import(source: Source) -> list[str]:
    """Importing a module makes constants and definitions, and does nothing else."""
    wrong = []
    registers = source.layer == "commands"
    for statement in source.tree.body:
        if isinstance(statement, ast.If) and "__name__" in ast.dump(statement.test):
            continue
        if isinstance(statement, ast.For | ast.While | ast.With) and not registers:
            wrong.append(said(source, statement.lineno, f"{type(statement).__name__} at the top"))
        for node in _run_at_import(statement):
            name = dotted(node.func)
            method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if name in CONSTRUCTORS or method in PURE_METHODS or name in _classes(source):
                continue
            if registers and (method in REGISTRATIONS or _is_registration(node)):
                continue
            wrong.append(said(source, node.lineno, f"calls {name or ast.unparse(node)} at import"))
    return wrong


def _run_at_import(statement: ast.stmt) -> Iterator[ast.Call]:
    """Calls run at import; decorators are left out, they are part of a definition."""
    holder = ast.Module(body=[statement], type_ignores=[])
    decorators = {
        id(inner)
        for node in ast.walk(holder)
        for decorator in getattr(node, "decorator_list", [])
        for inner in ast.walk(decorator)
    }
    for node in at_import(holder):
        if isinstance(node, ast.Call) and id(node) not in decorators:
            yield node


def _classes(source: Source) -> set[str]:
    """Classes of this module, and imported names that are spelled like classes."""
    imported = {name.split(".")[-1] for _, name in all_imports(source)}
    defined = {node.name for node in source.tree.body if isinstance(node, ast.ClassDef)}
    return defined | {name for name in imported if re.fullmatch(r"[A-Z]\w*[a-z]\w*", name)}


def _is_registration(node: ast.Call) -> bool:
    """app.command('x')(function)"""
    inner = node.func
    return (
        isinstance(inner, ast.Call)
        and isinstance(inner.func, ast.Attribute)
        and inner.func.attr in REGISTRATIONS
    )


RULES: list[Callable[[Source], list[str]]] = [
    layers,
    commands_apart,
    torch_in_its_layers,
    empty_inits,
    terminal_only_in_commands,
    no_dumping_ground,
    sizes,
    docstrings,
    no_code_in_data,
    no_place_named,
    nothing_at_import,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_package_keeps_the_rule(rule: Callable[[Source], list[str]]) -> None:
    complaints = [complaint for source in SOURCES.values() for complaint in rule(source)]
    assert not complaints, "\n" + "\n".join(complaints)


def closure(start: str, sources: dict[str, Source]) -> dict[str, str]:
    """Modules that importing ``start`` imports, each with the module that asked for it."""
    asked = {start: ""}
    todo = [start]
    while todo:
        module = todo.pop()
        if module not in sources:
            continue
        for _, name in import_time_imports(sources[module]):
            target = (
                name
                if name in sources or not is_library(name, "nlpcli")
                else name[: name.rfind(".")]
            )
            if target not in asked:
                asked[target] = module
                todo.append(target)
    return asked


@pytest.mark.parametrize(
    "module",
    [
        name
        for name, source in SOURCES.items()
        if source.layer not in TORCH_LAYERS or name in TORCH_FREE_FILES
    ],
)
def test_importing_it_does_not_reach_torch(module: str) -> None:
    reached = closure(module, SOURCES)
    trails = []
    for name in (name for name in reached if is_library(name, "torch")):
        trail = [name]
        while reached[trail[-1]]:
            trail.append(reached[trail[-1]])
        trails.append(" <- ".join(trail))
    assert trails == []


def test_the_package_was_found() -> None:
    assert {"nlpcli", "nlpcli.errors", "nlpcli.text", "nlpcli.commands"} <= set(SOURCES)


# --- the rules can fail ---------------------------------------------------------------

LONG_FUNCTION = "def f():\n    '''Long.'''\n" + "    pass\n" * FUNCTION_LINES
VIOLATIONS = [
    (layers, "nlpcli.text.x", "from nlpcli.data.rows import Row"),
    (layers, "nlpcli.text.x", "from ..data import rows"),
    (layers, "nlpcli.text.x", "def f():\n    import nlpcli.store.store"),
    (layers, "nlpcli.models.x", "from nlpcli.text.vocab import Vocab"),
    (layers, "nlpcli.store.x", "from nlpcli.training import loop"),
    (layers, "nlpcli.training.x", "from nlpcli import store"),
    (layers, "nlpcli.formats.x", "from nlpcli.training import loop"),
    (layers, "nlpcli.formats.x", "from nlpcli.commands.opening import open_model"),
    (layers, "nlpcli.evaluation.x", "from nlpcli.commands.app import app"),
    (layers, "nlpcli.extras.x", ""),
    (commands_apart, "nlpcli.commands.x", "from nlpcli.commands.predict import predict"),
    (commands_apart, "nlpcli.commands.x", "from . import predict"),
    (torch_in_its_layers, "nlpcli.text.x", "def f():\n    import torch"),
    (torch_in_its_layers, "nlpcli.commands.x", "from torch import nn"),
    (torch_in_its_layers, "nlpcli.models.additive", "import torch.nn.functional as F"),
    (terminal_only_in_commands, "nlpcli.data.x", "print('x')"),
    (terminal_only_in_commands, "nlpcli.data.x", "import os\nx = os.environ['A']"),
    (terminal_only_in_commands, "nlpcli.data.x", "from sys import argv"),
    (terminal_only_in_commands, "nlpcli.data.x", "from rich.table import Table"),
    (terminal_only_in_commands, "nlpcli.data.x", "def f():\n    raise SystemExit(1)"),
    (no_dumping_ground, "nlpcli.text.utils", ""),
    (sizes, "nlpcli.text.x", LONG_FUNCTION),
    (sizes, "nlpcli.text.x", "x = 1\n" * (FILE_LINES + 1)),
    (docstrings, "nlpcli.text.x", "def f(): pass"),
    (docstrings, "nlpcli.text.x", "class A:\n    '''A.'''\n    def f(self): pass"),
    (no_code_in_data, "nlpcli.store.x", "import pickle"),
    (no_code_in_data, "nlpcli.store.x", "import torch\ntorch.load('x')"),
    (no_code_in_data, "nlpcli.store.x", "eval('1')"),
    (no_code_in_data, "nlpcli.store.x", "np.load('x', allow_pickle=True)"),
    (no_place_named, "nlpcli.store.x", "x = '/" + "home/me/models'"),
    (no_place_named, "nlpcli.store.x", "x = 'https://" + "huggingface.co/bert'"),
    (nothing_at_import, "nlpcli.text.x", "import logging\nlogging.basicConfig()"),
    (nothing_at_import, "nlpcli.text.x", "import torch\ntorch.manual_seed(1)"),
    (nothing_at_import, "nlpcli.text.x", "def f(x=open('x')): pass"),
    (nothing_at_import, "nlpcli.text.x", "class A:\n    x = load()"),
]


@pytest.mark.parametrize(("rule", "module", "text"), VIOLATIONS)
def test_rule_finds_a_violation(
    rule: Callable[[Source], list[str]], module: str, text: str
) -> None:
    assert rule(Source(module, text)) != []


def test_empty_inits_finds_a_violation() -> None:
    assert empty_inits(Source("nlpcli.text", "from nlpcli.text import vocab", is_package=True))
    assert empty_inits(Source("nlpcli.text", "__version__ = '1'", is_package=True))
    assert not empty_inits(Source("nlpcli", "'''Doc.'''\n__version__ = '1'", is_package=True))


def test_closure_finds_torch_behind_another_module() -> None:
    sources = {
        "nlpcli.commands.x": Source("nlpcli.commands.x", "from nlpcli.training.loop import run"),
        "nlpcli.training.loop": Source("nlpcli.training.loop", "import torch"),
    }
    assert "torch" in closure("nlpcli.commands.x", sources)
    inside = Source("nlpcli.commands.x", "def f():\n    from nlpcli.training.loop import run")
    assert "torch" not in closure("nlpcli.commands.x", {**sources, "nlpcli.commands.x": inside})


@pytest.mark.parametrize(
    "text",
    [
        "import re\nX = re.compile('a')",
        "from dataclasses import dataclass, field\n@dataclass(frozen=True)\nclass A:\n"
        "    x: list[int] = field(default_factory=list)",
        "X = frozenset('abc')\nY = {c: ord(c) for c in 'abc'}",
        "def f():\n    import logging\n    logging.basicConfig()",
        "if __name__ == '__main__':\n    main()",
    ],
)
def test_constants_and_definitions_are_not_actions(text: str) -> None:
    assert nothing_at_import(Source("nlpcli.text.x", text)) == []
