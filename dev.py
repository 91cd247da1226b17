#!/usr/bin/env python3
"""Sets jaxrl up, runs it and tests it with nothing but Python and pip.

    python3 dev.py demo     environment, the main job, and where its figures are
    python3 dev.py test     environment, the fast test suite (--all adds the slow tests)
    python3 dev.py notebook environment, the notebooks in Jupyter (a name opens one, e.g. tour)

Every verb makes the environment it needs first, may be run twice, and may be interrupted and run again.
Standard library only, and valid Python 3.8, so that a too old interpreter can be told what is missing.
"""

import argparse
import contextlib
import errno
import fcntl
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / ".jaxrl-stamp"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
OLDEST, BEYOND = (3, 11), (3, 14)  # the first that will do, the first that is not tested
NAMES = ("python3.13", "python3.12", "python3.11", "python3")
INTERRUPTED = "installing"
DEMO = ("baselines/ppo_cartpole", "baselines/ppo_inverted_pendulum")
FAST = "not slow and not gpu and not multiprocess and not peers and not network"
ALL = "not gpu and not peers and not network"
UNOPTIMISED = "--xla_backend_optimization_level=0"  # the fast tests compile far longer than they compute
CACHES = (".cache", ".pytest_cache", ".ruff_cache", ".hypothesis", "build", "dist", "site", "out")
QUIET = {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}  # advertisements of plugins


class Stop(Exception):
    """One sentence for the terminal, and the exit status."""

    def __init__(self, message, status=2):
        super().__init__(message)
        self.status = status


def say(text):
    """One line at once, even into a pipe."""
    print(f"dev.py: {text}", flush=True)


def run(*command, env=None, check=True):
    """Runs a child in the repository with nothing on its standard input; returns its exit status.

    The child is always waited for: it may be saving a checkpoint, or hold half an installed package.
    """
    say(" ".join(map(str, command)))
    with subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL) as child:
        try:
            status = child.wait()
        except KeyboardInterrupt:  # the terminal has told the child too
            child.wait()
            raise
        except SystemExit:  # SIGTERM went to this process alone
            child.terminate()
            child.wait()
            raise
    if check and status:
        name = Path(command[0]).name
        raise Stop(f"{name} failed with exit status {status}", status if status > 0 else 128 - status)
    return status


def answer(*command):
    """What a command prints, or None when it cannot run (a pyenv shim of an inactive version exits 127)."""
    quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        return subprocess.check_output(command, env=plain_environment(), **quiet).decode("utf-8").strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def version(interpreter):
    """(major, minor, micro) of an interpreter, or None when it does not run."""
    text = answer(interpreter, "-c", "import sys; print(*sys.version_info[:3])")
    return tuple(map(int, text.split())) if text else None


def installed():
    """(version, number of packages) of `.venv`, or (None, 0) where it is no whole environment.

    An interpreter in a folder without `pyvenv.cfg` runs, but with the packages of the one that it links to.
    """
    if not (VENV / "pyvenv.cfg").is_file():
        return None, 0
    return version(PYTHON), len(list(VENV.glob("lib/python*/site-packages/*.dist-info/METADATA")))


def find_interpreter(chosen):
    """The path and version of `chosen`, or of the first that will do: $PYTHON, this one, PATH's newest."""
    names = [chosen] if chosen else [os.environ.get("PYTHON"), sys.executable, *NAMES]
    found = []
    for name in filter(None, names):
        path = shutil.which(name)
        has = path and VENV not in Path(path).absolute().parents and version(path)
        if has and OLDEST <= has < BEYOND:
            return os.path.abspath(path), has
        if has:
            found.append("{} is {}.{}.{}".format(name, *has))
    what = ", ".join(found) or f"{chosen or 'no python3 on PATH'} does not run"
    raise Stop(f"jaxrl needs Python 3.11 to 3.13, but {what}; install one or name it with --python PATH")


def find_uv():
    """uv, when it is on PATH and runs."""
    path = shutil.which("uv")
    return path if path and answer(path, "--version") is not None else None


def fingerprint(interpreter_version):
    """What an environment depends on; the folder too, because an editable install points at it."""
    digest = hashlib.sha256()
    for part in (LOCK.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), os.fsencode(str(ROOT))):
        digest.update(hashlib.sha256(part).digest())
    digest.update(repr(interpreter_version).encode())
    return digest.hexdigest()


@contextlib.contextmanager
def exclusive():
    """One set-up at a time; a second caller waits and then finds the stamp."""
    with open(ROOT / ".venv.lock", "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is running, waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def writable(folder):
    """Whether files can be made in a folder (tried, because permissions do not bind root)."""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def home_folder():
    """The caller's home, or None where there is none, as for a user id without an account."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def caches_are_writable():
    """Whether programs can keep caches where they do so by default."""
    home = home_folder()
    chosen = os.environ.get("XDG_CACHE_HOME") or (home and home / ".cache")
    return bool(chosen) and writable(chosen)


def plain_environment():
    """The caller's environment, without colours where there is no terminal, in UTF-8.

    Under LC_ALL=C Python 3.11 does not even start from a folder whose name is not ASCII: it reads the file
    that makes the project importable, which names the folder, in the encoding of the locale.
    """
    env = dict(os.environ, PYTHONUNBUFFERED="1")
    if env.get("LC_ALL") in ("C", "POSIX"):
        env["LC_ALL"] = "C.UTF-8"
    if not sys.stdout.isatty():
        env.setdefault("NO_COLOR", "1")
    return env


def install_environment():
    """For pip and uv: their own caches, or folders in `.venv` where those cannot be written."""
    env = plain_environment()
    if not caches_are_writable():
        env.setdefault("PIP_CACHE_DIR", str(VENV / ".cache" / "pip"))
        env.setdefault("UV_CACHE_DIR", str(VENV / ".cache" / "uv"))
    return env


def run_environment():
    """For programs of the project: a HOME that can be written."""
    env = plain_environment()
    home = home_folder()
    if home is None or not writable(home / ".cache"):
        env["HOME"] = str(ROOT / ".cache" / "home")
        os.makedirs(env["HOME"], exist_ok=True)
    return env


def set_up(chosen=None, with_uv=True):
    """Makes `.venv` hold the lock and this project; nothing is left to do when its stamp says so."""
    if VENV.is_symlink() or (VENV.exists() and not VENV.is_dir()):
        raise Stop(".venv is a link or a file and no folder; remove it, then run the same command again")
    if not chosen and ready(*installed()):
        return
    with exclusive():
        stamp = read_stamp()
        if stamp == INTERRUPTED:
            remove(VENV)  # half an installed package cannot be told from a whole one
        has, packages = installed()
        if stamp.partition("\n")[0] == fingerprint(has) and not ready(has, packages):
            has = None  # made and then damaged
        keep = has is not None and OLDEST <= has < BEYOND and not chosen
        interpreter, wanted = (PYTHON, has) if keep else find_interpreter(chosen)
        if has == wanted and ready(has, packages):
            return
        started = time.time()
        if has != wanted and VENV.exists():
            remove(VENV)
        VENV.mkdir(exist_ok=True)
        STAMP.write_text(INTERRUPTED)
        if has != wanted:
            make_venv(interpreter, wanted)
        install(with_uv)
        STAMP.write_text(f"{fingerprint(wanted)}\n{installed()[1]}")
        say(f"environment ready in {time.time() - started:.0f} s")


def read_stamp():
    """What the last set-up noted, "" where there was none."""
    return STAMP.read_text() if STAMP.exists() else ""


def ready(has, packages):
    """Whether an environment of that version holds the lock, with no fewer packages than it was made with."""
    made, _, count = read_stamp().partition("\n")
    return has is not None and made == fingerprint(has) and count.isdigit() and packages >= int(count)


def make_venv(interpreter, has):
    """An empty environment with pip in it."""
    say("creating .venv with Python {}.{}.{}".format(*has))
    if answer(interpreter, "-c", "import venv, ensurepip") is None:
        package = "python{}.{}-venv".format(*has)
        raise Stop(
            f"{interpreter} lacks ensurepip; install {package} (Debian, Ubuntu: apt install {package})"
        )
    run(interpreter, "-m", "venv", VENV, env=plain_environment())


def install(with_uv=True):
    """The lock with every hash checked, then the project; two calls, for pip allows no `-e` beside hashes."""
    env = install_environment()
    project = ("--no-deps", "--no-build-isolation", "-e", ".")
    uv = find_uv() if with_uv else None
    if uv:
        base = (uv, "pip", "install", "--python", PYTHON)
        locked = run(*base, "--compile-bytecode", "--require-hashes", "-r", LOCK.name, env=env, check=False)
        if locked == 0 and run(*base, *project, env=env, check=False) == 0:
            return
        say("uv failed; trying pip, which reads its own configuration")
    if answer(PYTHON, "-m", "pip", "--version") is None:
        run(PYTHON, "-m", "ensurepip", "--upgrade", env=env)
    base = (PYTHON, "-m", "pip", "install", "--no-input", "--disable-pip-version-check")
    for words in (("--require-hashes", "-r", LOCK.name), project):
        if run(*base, *words, env=env, check=False):
            raise Stop(
                "set-up failed, pip's reason is above: check the network, the package index that pip is set"
                " up with and the free space, then run the same command again",
                1,
            )


def jaxrl(*words):
    """The project's own command line."""
    run(VENV / "bin" / "jaxrl", *words, env=run_environment())


def demo(options, rest):
    """The main job: the first experiments, on real input, their figures and one page."""
    started = time.time()
    for number, experiment in enumerate(DEMO, 1):
        say(f"experiment {number} of {len(DEMO)}: {experiment}")
        jaxrl("run", experiment, "quick")
    jaxrl("report", "--index")
    say(f"main job done in {time.time() - started:.0f} s")
    for experiment in DEMO:
        folders = (ROOT / "runs" / experiment).glob("*/*/figures")
        for figure in sorted(max(folders, key=lambda folder: folder.stat().st_mtime).glob("*.png")):
            say(f"figure {figure.relative_to(ROOT)}")
    say("page   out/index.html")


def reproduce(options, rest):
    """Runs experiments, all or those named, and publishes their tables."""
    jaxrl("reproduce", *rest)


def test(options, rest):
    """The tests, on up to four cores; words after the verb go to pytest, on one core then.

    The fast ones compile without optimisation, with --all they compile as programs of users do.
    XLA_FLAGS of the caller, also an empty one, is used in place of that.
    """
    cores = min(4, os.cpu_count() or 1)
    spread = ("-n", str(cores), "--dist", "worksteal") if cores > 1 and not rest else ()
    env = run_environment()
    if not options.all:
        env.setdefault("XLA_FLAGS", UNOPTIMISED)
    run(PYTHON, "-m", "pytest", "-m", ALL if options.all else FAST, *spread, *rest, env=env)


def notebook(options, rest):
    """The notebooks in Jupyter, all or the one named; --execute runs them and keeps what they show."""
    known = sorted(path.stem for path in (ROOT / "notebooks").glob("*.py"))
    names = [word for word in rest if word != "--execute"]
    for name in names:
        if name not in known:
            raise Stop(f"notebook {name!r} does not exist; there are {', '.join(known)}")
    if "--execute" in rest:
        for name in names or known:
            form = ("--set-formats", "ipynb,py:percent", "--execute", "--run-path", ROOT)
            run(PYTHON, "-m", "jupytext", *form, f"notebooks/{name}.py", env=run_environment())
        return
    place = [f"notebooks/{name}.ipynb" for name in names[:1]] or ["notebooks"]
    root = ("--allow-root",) if os.geteuid() == 0 else ()
    run(PYTHON, "-m", "jupyter", "lab", *root, *place, env=run_environment())


def lint(options, rest):
    """Style, format, the list of public names, types."""
    env = plain_environment()
    run(PYTHON, "-m", "ruff", "check", ".", env=env)
    run(PYTHON, "-m", "ruff", "format", "--check", ".", env=env)
    run(PYTHON, "tests/reliability/api_snapshot.py", "--check", env=env)
    run(PYTHON, "-m", "basedpyright", env=env)


def docs(options, rest):
    """The pages of docs/, strictly: a broken link is an error."""
    run(PYTHON, "-m", "mkdocs", "build", "--strict", env=dict(plain_environment(), **QUIET))
    say("page site/index.html")


def lock(options, rest):
    """Maintainers: resolves requirements.lock anew for every supported Python."""
    uv = find_uv()
    if uv is None:
        raise Stop("lock needs uv on PATH, which resolves for every Python and platform at once")
    extras = ("--extra", "dev", "--extra", "docs", "--extra", "notebook")
    extras += ("--no-strip-extras",)  # pip before 24 needs them in the lock
    form = ("--universal", "--generate-hashes", "--no-emit-find-links", "--no-header", "--quiet")
    run(uv, "pip", "compile", "pyproject.toml", "build.in", *extras, *form, *rest, "-o", LOCK.name)


def doctor(options, rest):
    """What a bug report needs; the bootstrap's part comes first because it may be what fails."""
    say(f"Python {platform.python_version()} at {sys.executable}")
    say(f"uv: {find_uv() or 'not found, pip is used'}")
    set_up(options.python)
    jaxrl("doctor", *rest)


def clean(options, rest):
    """Removes what can be made again; never runs/ or datasets/."""
    for folder in (VENV, *(ROOT / name for name in CACHES)):
        if folder.exists():
            remove(folder)


def remove(folder):
    """Deletes a folder and says so."""
    say(f"removing {folder.name}")
    shutil.rmtree(folder)


def refusal(error):
    """What the file system refused, and what to do about it, in one sentence."""
    what = f"{error.filename or 'a file'}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{what}; free some space, then run the same command again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{what}; this user cannot write this checkout: make one of your own (git clone)"
    return f"{what}; mend it, then run the same command again"


VERBS = (demo, test, notebook, lint, docs, lock, reproduce, doctor, clean)
NEED_NO_ENVIRONMENT = (lock, doctor, clean)


def main(arguments=None):
    """Exit status of one verb."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    verbs = {verb.__name__: verb for verb in VERBS}
    parser.add_argument("verb", choices=["setup", *verbs])
    parser.add_argument(
        "--python", help="interpreter for .venv (default: $PYTHON, then the one that runs this)"
    )
    parser.add_argument("--pip", action="store_true", help="install with pip, also where uv is on PATH")
    parser.add_argument("--all", action="store_true", help="test: the slow and multi-process tests too")
    options, rest = parser.parse_known_args(arguments)
    if rest and options.verb not in ("test", "notebook", "lock", "reproduce", "doctor"):
        parser.error(f"{options.verb} takes no further words: {' '.join(rest)}")
    verb = verbs.get(options.verb)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        if verb not in NEED_NO_ENVIRONMENT:
            set_up(options.python, not options.pip)
        if verb:
            verb(options, rest)
    except Stop as stop:
        print(f"dev.py: {stop}", file=sys.stderr)
        return stop.status
    except OSError as error:
        print(f"dev.py: {refusal(error)}", file=sys.stderr)
        return 6
    except KeyboardInterrupt:
        print("dev.py: interrupted; run the same command again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
