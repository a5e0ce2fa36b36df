"""Set up secondshift on a machine that has only python3 and pip, then run it: `python3 start.py VERB ...`.
`python3 start.py test [pytest arguments]` checks the project; every other verb goes to the `secondshift` command.
All it installs lies in .start/ beside this file, from hash-pinned requirements: delete that folder to undo it."""
import sys
if sys.version_info < (3, 11) or sys.platform == "win32":
    sys.exit("start.py: secondshift needs Python 3.11 or newer on Linux or macOS (Windows: inside WSL). This is Python "
             "%d.%d at %s.\nName a newer one: python3.11 start.py demo" % (*sys.version_info[:2], sys.executable))
import ast, fcntl, hashlib, os, re, shutil, signal, ssl, subprocess, time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PRIVATE, PIP, LIMIT_S = HERE / ".start", (sys.executable, "-m", "pip"), 1800
UV_NAMES = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS", "cert":
            "SSL_CERT_FILE", "timeout": "UV_HTTP_TIMEOUT", "trusted-host": "UV_INSECURE_HOST", "proxy": "ALL_PROXY"}
CHECKS = {"lint": "ruff check .", "imports": "lint-imports --no-logo", "types": "pyright", "tests": "pytest -n 3"}
HELP = f"""The private environment is not ready. Needed: a package index (your own pip settings are used), pip (Debian:
apt install python3-pip) and 1 GB of disk. The same command carries on from here; to begin anew, delete {PRIVATE}"""

def say(text):
    print("start.py: " + text, file=sys.stderr, flush=True)

def call(*command, **more):
    return subprocess.run([str(part) for part in command], cwd=HERE, timeout=LIMIT_S, **more)

def uv_environment(listing, environ):
    """The caller's pip settings (what `pip config list` prints) in uv's words; what is already set for uv wins."""
    pip = {}
    for section in ("global", "install", ":env:"):  # the later wins, as in pip
        found = re.findall(rf"^{section}\.([\w-]+)=(['\"].*)$", listing, re.MULTILINE)
        pip.update((name, ast.literal_eval(value).split()) for name, value in found)
    links = [link for link in pip.get("find-links", []) if "://" in link or os.path.exists(link)]
    pip["find-links"] = [",".join(links)] if links else []  # pip only warns of a missing folder, uv would stop
    env = {UV_NAMES[name]: " ".join(value) for name, value in pip.items() if value and name in UV_NAMES}
    if "SSL_CERT_FILE" not in {*env, *environ} and ssl.get_default_verify_paths().cafile:
        env["UV_NATIVE_TLS"] = env["UV_SYSTEM_CERTS"] = "true"  # trust what this machine trusts, as pip does
    env["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # any index may serve a file: its pinned hash proves it
    return {**env, "UV_CACHE_DIR": str(PRIVATE / "cache"), "UV_PYTHON_DOWNLOADS": "never", **environ}

def find_uv(env):
    on_path = shutil.which("uv")
    said = call(on_path, "--version", env=env, capture_output=True, text=True).stdout if on_path else ""
    if re.match(r"uv (0\.([5-9]|\d\d)|[1-9])", said):  # older ones lack a variable used here
        return on_path
    say("installing uv, the package installer, into .start/uv")
    call(*PIP, "install", "--quiet", "--upgrade", "--no-deps", "--only-binary", ":all:", "--require-hashes",
         "--target", PRIVATE / "uv", "-r", "requirements/uv.txt", check=True,
         env={**os.environ, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_ROOT_USER_ACTION": "ignore"})
    return PRIVATE / "uv" / "bin" / "uv"

def build(home, pins, usable):
    say(f"making a private environment in .start/{home.name} (once; usually well under a minute)")
    began, target = time.monotonic(), ("--python", home / "bin" / "python")
    env = uv_environment(call(*PIP, "config", "list", capture_output=True, text=True).stdout, os.environ)
    uv = find_uv(env)
    if not usable:  # a finished one is mended in place instead: a night may be running in it
        shutil.rmtree(home, ignore_errors=True)
        call(uv, "venv", "--quiet", "--python", sys.executable, home, env=env, check=True)
    call(uv, "pip", "sync", "--require-hashes", *target, pins, env=env, check=True)
    call(uv, "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", *target, "-e", ".", env=env, check=True)
    shutil.rmtree(PRIVATE / "uv", ignore_errors=True)  # 40 MB, fetched again in seconds when needed
    say(f"ready in {time.monotonic() - began:.1f} s")

def environment(kind):
    """The folder of programs of the environment `kind` ("run" or "dev"), made or brought up to date first if needed."""
    pins, home, stamp = HERE / "requirements" / f"{kind}.txt", PRIVATE / kind, PRIVATE / kind / "stamp"
    wanted = [hashlib.sha256((HERE / "pyproject.toml").read_bytes() + pins.read_bytes()).hexdigest(), str(HERE)]
    read = lambda: stamp.read_text().split("\n") if stamp.exists() else [""]
    if read() != wanted:
        PRIVATE.mkdir(exist_ok=True)
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.alarm(LIMIT_S)  # how long another start.py may take to let go of the lock
        with open(PRIVATE / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            signal.alarm(0)
            if (found := read()) != wanted:  # scripts in it name their folder: a moved one is made anew
                build(home, pins, usable=found[-1] == str(HERE))
                stamp.write_text("\n".join(wanted))
    return home / "bin"

def check(tools, arguments):
    """Run every group of checks, also after one failed; returns the first failing group's exit code, or 0."""
    env, codes = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}, {}
    for name, command in CHECKS.items():
        say(f"{name}: {command} ...")
        codes[name] = call(*command.split(), *(arguments if name == "tests" else ()), env=env).returncode
    say(" | ".join(f"{name} {'FAILED' if code else 'ok'}" for name, code in codes.items()))
    return next(filter(None, codes.values()), 0)

def main(arguments):
    testing = arguments[:1] == ["test"]
    try:
        tools = environment("dev" if testing else "run")
        if not testing:
            os.execv(tools / "secondshift", ["secondshift", *arguments])
    except (OSError, subprocess.SubprocessError, KeyboardInterrupt) as problem:
        sys.exit(f"start.py: {str(problem) or 'stopped'}\n{HELP}")
    sys.exit(check(tools, arguments[1:]))

if __name__ == "__main__":
    main(sys.argv[1:])
