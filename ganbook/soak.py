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


def soak(names: tuple[str, ...], seeds: int, at_once: int = 1, arithmetic: str = "own") -> dict[str, dict]:
    """Run chapters in quick mode with the seeds 0 to seeds − 1, one thread each, and note each run in the records.

    What passed with the chapter's present code is not run again; what failed is. The notebook of a failed run
    stays in _build/soak. Returns what is now noted of these runs: {"NAME, seed N": row}.
    """
    if arithmetic == "avx2" and platform.machine() not in ("x86_64", "AMD64"):
        raise InputError(f"this CPU ({platform.machine()}) has no AVX2 to be held to: leave --avx2 out")
    chosen, folder = choose(names), BUILD / "soak"
    runs = {f"{name}, seed {seed}": (name, str(seed)) for name in chosen for seed in range(seeds)}
    with locked(folder):
        noted = read_soak()
        rows = {name: fresh(noted, name, digest(path), arithmetic) for name, path in chosen.items()}

        def keep(run: str, row: dict) -> None:
            name, seed = runs[run]
            rows[name][seed] = {key: row[key] for key in ("claims", "seconds", "error")} | where_and_when()
            write(SOAK, as_lines(noted).encode())
            if row["error"]:
                print(f"{run} failed in {row['error']}\n  see {row['notebook']}", flush=True)
            else:
                Path(row["notebook"]).unlink()

        jobs = {
            run: (chosen[name], folder / f"{name}-{arithmetic}-{seed}.ipynb", True, int(seed))
            for run, (name, seed) in runs.items()
            if not has_passed(rows[name], seed)
        }
        run_apart(jobs, at_once, ONE_THREAD | ARITHMETICS[arithmetic], keep, SOAK)
    return {run: rows[name][seed] for run, (name, seed) in runs.items()}


def has_passed(rows: dict[str, dict], seed: str) -> bool:
    return seed in rows and not rows[seed]["error"]


def read_soak() -> dict:
    """{chapter: {"code": digest, arithmetic: {seed: row}}}"""
    return json.loads(SOAK.read_text()) if SOAK.exists() else {}


def fresh(noted: dict, name: str, code: str, arithmetic: str) -> dict[str, dict]:
    """The rows of a chapter, to be read and filled in. Those of another code are forgotten."""
    if noted.get(name, {}).get("code") != code:
        noted[name] = {"code": code}
    return noted[name].setdefault(arithmetic, {})


def digest(chapter: Path) -> str:
    """Tells whether a chapter's code has changed; text, outputs and papermill's parameters do not count."""
    cells = code_of(nbformat.read(chapter, as_version=4))
    own = [cell.source for cell in cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    return hashlib.sha256("\n\n".join(own).encode()).hexdigest()[:16]


def where_and_when() -> dict:
    return {
        "processor": processor(),
        "torch": version("torch"),
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def as_lines(noted: dict) -> str:
    """JSON with one run a line, so that a change shows what it changed."""
    chapters = []
    for name, entry in sorted(noted.items()):
        parts = [f'  "code": {json.dumps(entry["code"])}']
        for arithmetic in (key for key in ARITHMETICS if entry.get(key)):
            rows = sorted(entry[arithmetic].items(), key=lambda item: int(item[0]))
            lines = ",\n".join(f'   "{seed}": {json.dumps(row, ensure_ascii=False)}' for seed, row in rows)
            parts.append(f'  "{arithmetic}": {{\n{lines}\n  }}')
        chapters.append(f' "{name}": {{\n' + ",\n".join(parts) + "\n }")
    return "{\n" + ",\n".join(chapters) + "\n}\n"


def format_soak(rows: dict[str, dict]) -> str:
    """A line for each chapter: with how many seeds it passed. Each failure is named below."""
    lines, failed = [], [f"{job} failed in {row['error']}" for job, row in rows.items() if row["error"]]
    for name in dict.fromkeys(job.split(",")[0] for job in rows):
        own = [row for job, row in rows.items() if job.startswith(f"{name},")]
        passed = [row for row in own if not row["error"]]
        claims = f", {passed[0]['claims']} claims each" if passed else ""
        lines.append(f"{name}: {len(passed)} of {len(own)} seeds{claims}")
    return "\n".join(lines + failed)
