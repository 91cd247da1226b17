"""Calls that have a better form, and words that do not belong in the repository."""

import ast
import re
import subprocess

import pytest

from tests.architecture.source_tree import (
    CODE,
    ROOT,
    dotted,
    families,
    imports,
    parse,
    problems,
    python_files,
)

# written from memory these still look right; each is gone from jax, wrong, or replaced by one of ours
CALLS = {
    "jax.pmap": "jaxrl.core.spmd",
    "jax.random.PRNGKey": "jax.random.key",
    "jax.tree_map": "jax.tree.map",
    "jax.experimental.host_callback": "the chunk loop of the driver",
    "jax.debug.callback": "the chunk loop of the driver",
    "jax.debug.print": "the chunk loop of the driver",
    "jax.pure_callback": "the chunk loop of the driver",
    "jax.experimental.io_callback": "the chunk loop of the driver",
    "chex.dataclass": "jaxrl.core.types.struct.dataclass",
}


def imported_names(tree: ast.Module) -> dict[str, str]:
    """What each name of a file stands for by its imports: `d: jax.debug` after `import jax.debug as d`."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def old_calls(tree: ast.Module) -> list[str]:
    """Names of the table above under any alias, clip with removed keywords, and stubs."""
    found, imported = [], imported_names(tree)
    for node in ast.walk(tree):
        name = dotted(node) if isinstance(node, ast.Attribute | ast.Name) else ""
        head, dot, rest = name.partition(".")
        name = imported.get(head, head) + dot + rest
        if name in CALLS:
            found.append(f"line {node.lineno}: {name}; use {CALLS[name]}")
        if isinstance(node, ast.keyword) and node.arg in ("a_min", "a_max"):
            found.append(f"line {node.value.lineno}: {node.arg}; the keywords of clip are min and max")
        if isinstance(node, ast.Name) and node.id == "NotImplementedError":
            found.append(f"line {node.lineno}: a stub; finish it or leave it out")
    return found


def test_no_old_calls():
    assert problems(lambda path: old_calls(parse(path)), python_files(*CODE)) == {}


@pytest.mark.parametrize(
    "line",
    [
        "jax.pmap(f)",
        "k = jax.random.PRNGKey(0)",
        "jnp.clip(x, a_min=0)",
        "raise NotImplementedError",
        "from jax.experimental import io_callback as x\nx(f)",
        "from jax.experimental import io_callback\nio_callback(f)",
        "import jax.debug as d\nd.callback(f)",
        "from jax import debug\ndebug.callback(f)",
        "from jax import debug as d\nd.print('x')",
        "import jax as j\nj.pure_callback(f)",
        "from jax.random import PRNGKey as Key\nk = Key(0)",
    ],
)
def test_old_calls_are_found(line):
    assert len(old_calls(ast.parse(line))) == 1


LAPACK = re.compile(
    r"^(jnp|jax\.numpy|jax\.scipy|jsp|lax|jax\.lax)\.linalg(\.(?!norm\b)|$)|initializers\.orthogonal$"
)


def lapack_calls(path, tree: ast.Module) -> list[str]:
    """Uses and imports of jax's LAPACK routines; those that are products alone, such as norms, are fine."""
    names = [(node.lineno, dotted(node)) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = [(line, name) for line, name in names if not name.endswith(".linalg")]
    used += [(found.line, found.module) for found in imports(path, tree)]
    return [f"line {line}: {name}; use jaxrl.core.linear" for line, name in used if LAPACK.search(name)]


def test_no_batched_lapack_inside_a_population():
    files = python_files("jaxrl", "experiments")
    assert problems(lambda path: lapack_calls(path, parse(path)), files) == {}


@pytest.mark.parametrize(
    "line",
    [
        "x = jnp.linalg.solve(a, b)",
        "x = jax.scipy.linalg.solve(a, b, assume_a='pos')",
        "from jax.numpy.linalg import qr",
        "from jax.scipy import linalg",
        "init = nn.initializers.orthogonal()",
    ],
)
def test_lapack_calls_are_found(line):
    assert len(lapack_calls(ROOT / "a.py", ast.parse(line))) == 1


def test_norms_and_host_routines_are_no_lapack_calls():
    for line in ("jnp.linalg.norm(x)", "np.linalg.solve(a, b)", "jax.scipy.sparse.linalg.cg(f, b)"):
        assert lapack_calls(ROOT / "a.py", ast.parse(line)) == []


def tracked_text() -> list:
    """Committed text files, as git lists them."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("the tree is no git checkout, so there is no list of its files")
    suffixes = {".py", ".md", ".toml", ".txt", ".in", ".cff", ".yml", ".yaml", ".json", "", ".lock"}
    paths = (ROOT / name for name in done.stdout.decode().split("\0") if name)
    return [path for path in paths if path.suffix in suffixes and path.is_file()]


def test_no_paths_of_one_machine_and_no_package_index():
    pattern = re.compile(r"(?<![\w.])/(work|root|home/\w+)/|https?://[^ ]*/simple/")
    hits = [str(path.relative_to(ROOT)) for path in tracked_text() if pattern.search(path.read_text())]
    assert hits == []


def mentions(text: str, family: str) -> bool:
    """Whether a text refers to a family: by module, by path, or by a name nobody else would use."""
    place = rf"\b(jaxrl|experiments|theory|tests)[./]{family}\b"
    return bool(re.search(rf"{place}|\b{family}\b" if "_" in family else place, text))


@pytest.mark.parametrize("family", families() or [pytest.param("", marks=pytest.mark.skip("no family yet"))])
def test_no_file_outside_a_family_mentions_it(family):
    # a study may compare families; READMEs, pages and records of measurements list them; no other file
    own = re.compile(rf"(^|/){family}(/|[._-]|$)")
    free = re.compile(r"^(experiments|docs)/|^benchmarks/results\.json$|\.md$")
    hits = []
    for path in tracked_text():
        name = path.relative_to(ROOT).as_posix()
        if not own.search(name) and not free.search(name) and mentions(path.read_text(), family):
            hits.append(name)
    assert hits == []


def test_mentions_are_found():
    assert mentions("from jaxrl.toy.method import x", "toy")
    assert mentions("see jaxrl/toy/method.py", "toy")
    assert not mentions("run/toy.json", "toy")
    assert mentions("as in two_words", "two_words")
