"""What the code of curator never does, read from its syntax: run what it has read, or hand text to a shell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import curator

PACKAGE = Path(curator.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
RUN_WHAT_THEY_READ = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml", "code"}
NEVER_CALLED = {"eval", "exec", "compile", "__import__", "input", "os.system", "os.popen", "tempfile.mktemp"}
STARTS = {"run", "Popen", "call", "check_call", "check_output"}


def offences(source: str) -> Iterator[str]:
    """What a module does that it must not."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        yield from (f"imports {name}" for name in names if name.partition(".")[0] in RUN_WHAT_THEY_READ)
        if isinstance(node, ast.Call):
            yield from _offences_of_call(node)
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from _trusting({key.value: value for key, value in pairs if isinstance(key, ast.Constant)})


def _offences_of_call(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    if name in NEVER_CALLED:
        yield f"calls {name}"
    yield from _trusting(keywords)
    if last == "from_pretrained" and "**ONLY_DATA" not in ast.unparse(call):
        yield "from_pretrained without ONLY_DATA"
    if name in ("np.load", "numpy.load") and "allow_pickle" not in keywords:
        yield "np.load without allow_pickle=False"
    if name == "torch.load" and "weights_only" not in keywords:
        yield "torch.load without weights_only=True"
    if name.startswith("subprocess.") and last in STARTS and not (call.args and isinstance(call.args[0], ast.List)):
        yield f"{name} without a list of words"


def _trusting(settings: dict[object, ast.expr]) -> Iterator[str]:
    safe = {"allow_pickle": False, "weights_only": True, "shell": False, "trust_remote_code": False}
    for name, value in settings.items():
        if name in safe and not (isinstance(value, ast.Constant) and value.value is safe[name]):
            yield f"{name} is not {safe[name]}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_runs_what_it_reads(path):
    assert list(offences(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import loads",
        "import yaml.loader",
        "eval(text)",
        "exec(text)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "Model.from_pretrained(folder)",
        "Model.from_pretrained(folder, trust_remote_code=True, **ONLY_DATA)",
        "options = {'trust_remote_code': True}",
        "subprocess.run(command)",
        "subprocess.run('ls')",
        "subprocess.Popen(['ls'], shell=True)",
        "os.system('ls')",
        "tempfile.mktemp()",
    ],
)
def test_the_test_finds_what_it_looks_for(source):
    assert list(offences(source))


def test_text_for_the_terminal_goes_through_one_door():
    """`say` escapes what could steer a terminal; rules for make are no text for people."""
    callers = [
        f"{path.name}: {ast.unparse(node)}"
        for path in (PACKAGE / "cli").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("click.echo", "click.secho", "print")
        and path.name not in ("output.py", "app.py")
    ]
    assert callers == ["bank.py: click.echo(app.open().bank_dependencies(name), nl=False)"]
