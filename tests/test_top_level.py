"""The files of the top level agree with each other."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from ganbook.__main__ import cli

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "constraints.txt").read_text().splitlines()
EXTRAS = PROJECT["optional-dependencies"]


def pins():
    found = {}
    for line in LOCK:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        found.setdefault(requirement.name.lower(), []).append(specifier.version)
    return found


def test_the_lock_names_packages_and_versions_and_nothing_else():
    assert not [line for line in LOCK if re.search(r"://|--|@", line)]
    assert "torch" in pins() and "jupyter-book" in pins()


def test_every_requirement_is_pinned_to_a_version_that_it_allows():
    for line in [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]:
        requirement = Requirement(line)
        versions = pins()[requirement.name.lower()]
        assert all(requirement.specifier.contains(version) for version in versions), line


def test_pins_that_matter():
    assert (pins()["jupyter-book"], pins()["nbval"]) == (["1.0.4.post1"], ["0.11.0"])


def test_who_installs_the_package_keeps_his_torch_numpy_and_matplotlib():
    for line in PROJECT["dependencies"]:
        assert all(s.operator == ">=" for s in Requirement(line).specifier), f"{line} has an upper pin"


def test_environment_yml_takes_the_same_pins_from_the_same_source():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert "pip" in conda
    assert pip["pip"][0] == "-c constraints.txt"
    named = re.fullmatch(r"-e \.\[(.*)\]", pip["pip"][1]).group(1).split(",")
    assert set(named) == {"book", "dev"} <= set(EXTRAS)
    (python,) = [entry.split("=")[1] for entry in conda if entry.startswith("python=")]
    minimum = PROJECT["requires-python"].removeprefix(">=")
    assert tuple(map(int, python.split("."))) >= tuple(map(int, minimum.split(".")))


def test_the_repository_has_one_address():
    """pyproject.toml says where the repository lives; everything else repeats it."""
    address = PROJECT["urls"]["Repository"]
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["repository"]["url"] == address
    owner = address.removeprefix("https://github.com/")
    notebooks = list((ROOT / "book").glob("*.ipynb"))
    for path in [*notebooks, *(ROOT / "book").glob("*.md"), ROOT / "README.md", ROOT / "CITATION.cff"]:
        for found in re.findall(r"github(?:\.com)?/([\w.-]+/ganbook)", path.read_text()):
            assert found == owner, path
    for path in notebooks:
        text = path.read_text()
        assert f"colab.research.google.com/github/{owner}/blob/main/book/{path.name}" in text
        assert f"git+{address}" in text


def test_version_is_the_same_everywhere():
    import ganbook

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert ganbook.__version__ == PROJECT["version"] == citation["version"]


@pytest.mark.parametrize("vendor, library", [("book/_static/vendor", "mathjax"), ("tests/vendor", "axe-core")])
def test_vendored_files_are_the_ones_that_were_fetched(vendor, library):
    import hashlib

    vendor = ROOT / vendor
    sums = dict(reversed(line.split("  ")) for line in (vendor / "SHA256SUMS").read_text().splitlines())
    files = {str(p.relative_to(vendor)) for p in vendor.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    assert files == set(sums)
    for name, expected in sums.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == expected, name
    assert (vendor / library / "LICENSE").exists()


def test_readme_names_the_two_commands():
    readme = (ROOT / "README.md").read_text()
    assert "make book" in readme and "make test" in readme


def test_readme_names_every_recipe():
    from ganbook.recipes import RECIPES

    readme = (ROOT / "README.md").read_text()
    assert len(RECIPES) > 10 and [name for name in [*RECIPES, "cyclegan"] if f"`{name}`" not in readme] == []


def test_the_readmes_program_runs(capsys):
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert "steps=1000" in program and "% 100 == 0" in program
    names = {}
    exec(program.replace("steps=1000", "steps=2").replace("% 100 == 0", "% 1 == 0"), names)
    assert names["pictures"].shape == (64, 1, 28, 28)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["1", "2"]


@pytest.mark.parametrize("module", sorted(path.stem for path in (ROOT / "ganbook").glob("*.py")))
def test_imports_run_downwards(module):
    """The floors of the package: a module imports from floors below its own."""
    floors = [
        {"__init__", "errors", "claims", "theme"},
        {
            "machine",
            "data",
            "toys",
            "mlp",
            "dcgan",
            "modern",
            "augmentation",
            "convolution",
            "objectives",
            "divergences",
            "checkpoints",
        },
        {
            "avatars",
            "folders",
            "conditional",
            "penalties",
            "training",
            "team",
            "sampling",
            "latent",
            "metrics",
            "records",
            "published",
        },
        {"plots", "recipes", "tags", "classifiers", "health", "cyclegan", "runner"},
        {"datasets"},
        {"runs", "book", "soak", "drawings", "export", "cover"},
        {
            "volumes",
            "widgets",
            "studies",
            "guidelines",
            "conditioning",
            "recording",
            "evaluation",
            "translation",
        },
        {"table", "diseases", "diffusion", "stacked", "small_data", "worksheets", "twins"},
        {"__main__"},
        {"pages"},
    ]
    level = {name: i for i, floor in enumerate(floors) for name in floor}
    text = (ROOT / "ganbook" / f"{module}.py").read_text()
    imported = set(re.findall(r"from ganbook\.(\w+) import", text))
    assert all(level[name] < level[module] for name in imported), imported
    for library, home in (("matplotlib", "plots"), ("ipywidgets", "widgets")):
        assert not re.search(rf"^\s*(?:import|from) {library}", text, re.M) or module == home


def test_nothing_but_the_chapters_imports_their_exercises():
    for path in (ROOT / "ganbook").rglob("*.py"):
        assert path.parent.name == "exercises" or "ganbook.exercises" not in path.read_text(), path


WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_pinned_bounded_and_allowed_little(path):
    workflow = yaml.safe_load(path.read_text())
    used = re.findall(r"uses: (\S+)", path.read_text())
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}|\./\.github/workflows/\w+\.yml", action) for action in used), (
        used
    )
    assert workflow["permissions"] == {"contents": "read"}, "what a job may do beyond reading, it says itself"
    for job in workflow["jobs"].values():
        assert "timeout-minutes" in job or "uses" in job or not any("run" in step for step in job["steps"])
        for step in job.get("steps", []):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}
    assert "secrets." not in path.read_text()


def test_workflows_call_commands_that_exist():
    targets = set(re.findall(r"^([\w ]+):", (ROOT / "Makefile").read_text(), re.M))
    targets = {word for words in targets for word in words.split()}
    said = "\n".join(path.read_text() for path in WORKFLOWS)
    assert set(re.findall(r"\bmake (\w+)", said)) <= targets
    assert set(re.findall(r"ganbook (record|study|run|site)", said)) <= set(cli.commands)


def test_a_release_publishes_the_package_before_the_book():
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    assert jobs["publish"]["needs"] == "build" and jobs["site"]["needs"] == "publish"
    said = [step.get("run", "") for step in jobs["build"]["steps"]]
    assert said.index(".ci/run") < said.index("make dist")
