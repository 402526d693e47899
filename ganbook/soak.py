"""The chapters with many seeds, and with another CPU's arithmetic: what holds by luck alone is found out."""

import hashlib
import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import nbformat

from ganbook.checkpoints import locked, write
from ganbook.errors import InputError
from ganbook.machine import commit, processor
from ganbook.records import RECORDS
from ganbook.runner import BUILD, ONE_THREAD, choose, code_of, run_apart

SOAK = RECORDS / "soak.json"
# What the libraries are told so that they compute as on a CPU that has neither AVX-512 nor products in bfloat16:
# PyTorch's own loops, oneDNN, MKL, and NumPy's OpenBLAS.
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}
ARITHMETICS = {"own": {}, "avx2": AVX2}


def soak(names: tuple[str, ...], seeds: int, at_once: int = 1, arithmetic: str = "own") -> dict:
    """Run chapters in quick mode with the seeds 0 to seeds − 1, one thread each, and note each run in the records.

    What passed with the chapter's present code and the installed torch is not run again; what failed is. The
    notebook of a failed run stays in _build/soak. Returns what is now noted: {(chapter, seed): row}.
    """
    if arithmetic == "avx2" and platform.machine() not in ("x86_64", "AMD64"):
        raise InputError(f"this CPU ({platform.machine()}) has no AVX2 to be held to: leave --avx2 out")
    chosen, folder, here = choose(names), BUILD / "soak", here_and_now()
    runs = {f"{name}, seed {seed}": (name, str(seed)) for name in chosen for seed in range(seeds)}
    with locked(folder):
        noted = read_soak()
        rows = {name: fresh(noted, name, digest(path), arithmetic) for name, path in chosen.items()}

        def keep(run: str, row: dict) -> None:
            name, seed = runs[run]
            if digest(chosen[name]) != noted[name]["code"]:
                print(f"{run} is not noted: the chapter was edited meanwhile", flush=True)
                return
            rows[name][seed] = {key: row[key] for key in ("claims", "seconds", "error")} | here
            keep_soak(noted)
            if row["error"]:
                print(f"{run} failed in {row['error']}\n  see {row['notebook']}", flush=True)
            else:
                Path(row["notebook"]).unlink()

        jobs = {
            run: (chosen[name], folder / f"{name}-{arithmetic}-{seed}.ipynb", True, int(seed))
            for run, (name, seed) in runs.items()
            if not has_passed(rows[name].get(seed), here)
        }
        run_apart(jobs, at_once, ONE_THREAD | ARITHMETICS[arithmetic], keep, SOAK)
    return {(name, int(seed)): rows[name][seed] for name, seed in runs.values() if seed in rows[name]}


def here_and_now() -> dict:
    """What a run hangs on beside the chapter, as it is before the first one."""
    return {
        "processor": processor(),
        "torch": version("torch"),
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def has_passed(row: dict | None, here: dict) -> bool:
    return row is not None and not row["error"] and row["torch"] == here["torch"]


def read_soak() -> dict:
    """{chapter: {"code": digest, arithmetic: {seed: row}}}"""
    try:
        return json.loads(SOAK.read_bytes()) if SOAK.exists() else {}
    except ValueError as error:
        raise InputError(f"{SOAK} is not JSON ({error}): restore it, or remove it and run all anew") from None


def keep_soak(noted: dict) -> None:
    try:
        write(SOAK, as_lines(noted).encode())
    except OSError as error:
        raise InputError(f"{SOAK} cannot be written ({error.strerror}): make room, then go on") from error


def fresh(noted: dict, name: str, code: str, arithmetic: str) -> dict[str, dict]:
    """The rows of a chapter, to be read and filled in. Those of another code are forgotten."""
    if noted.get(name, {}).get("code") != code:
        noted[name] = {"code": code}
    return noted[name].setdefault(arithmetic, {})


def digest(chapter: Path) -> str:
    """Tells whether a chapter's code has changed; text, outputs, papermill's parameters, blank lines and where
    cells end do not count.
    """
    cells = code_of(nbformat.read(chapter, as_version=4))
    own = [cell.source for cell in cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    lines = [line for source in own for line in source.splitlines() if line.strip()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def as_lines(noted: dict) -> str:
    """JSON with one run a line, so that a change shows what it changed."""
    chapters = []
    for name, entry in sorted(noted.items()):
        parts = [f'  "code": {json.dumps(entry["code"])}']
        for arithmetic in (key for key in ARITHMETICS if entry.get(key)):
            rows = sorted(entry[arithmetic].items(), key=lambda item: int(item[0]))
            lines = ",\n".join(f'   "{seed}": {json.dumps(row)}' for seed, row in rows)
            parts.append(f'  "{arithmetic}": {{\n{lines}\n  }}')
        chapters.append(f' "{name}": {{\n' + ",\n".join(parts) + "\n }")
    return "{\n" + ",\n".join(chapters) + "\n}\n"


def format_soak(rows: dict[tuple[str, int], dict]) -> str:
    """A line for each chapter: with how many seeds it passed. Each failure is named below."""
    lines = []
    for chapter in dict.fromkeys(name for name, _ in rows):
        own = [row for (name, _), row in rows.items() if name == chapter]
        passed = [row["claims"] for row in own if not row["error"]]
        claims = f", claims: {' or '.join(map(str, sorted(set(passed))))}" if passed else ""
        lines.append(f"{chapter}: {len(passed)} of {len(own)} seeds{claims}")
    failed = [(name, seed, row["error"]) for (name, seed), row in rows.items() if row["error"]]
    return "\n".join([*lines, *(f"{name}, seed {seed} failed in {error}" for name, seed, error in failed)])
