"""What several test files need."""

import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from ganbook import datasets
from ganbook.book import assemble_and_build
from ganbook.runs import Plan, train

TOP = Path(__file__).parent.parent


@pytest.fixture
def one_thread():
    """Small networks only lose by sharing out the work, and their weights depend on how it is shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SMALL = Plan(
    "acgan",
    data="avatars",
    networks={"image_size": 16, "width_g": 4, "width_d": 4},
    steps=4,
    batch_size=6,
    save_every=2,
)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A folder of the run SMALL, to be read and copied."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "AVATARS", 16)
        train(folder, SMALL, progress=False)
    return folder


@pytest.fixture(scope="session")
def site(tmp_path_factory, worker_id) -> Path:
    """The book as HTML, from the stored outputs of its chapters. Processes that test side by side share one."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "site"
    built = folder / "_build" / "html"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"), pytest.MonkeyPatch.context() as patch:
        if not (folder / "whole").exists():
            patch.chdir(TOP)
            assemble_and_build(Path(), folder / "source", folder / "_build")
            (folder / "whole").touch()
    return built


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def address(site):
    """Where a plain static server has the site: http://127.0.0.1:PORT."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


# Not for the session: while Playwright runs, nothing else in this process can have an event loop.
@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium, the one that the system has."""
    where = shutil.which("chromium") or shutil.which("google-chrome")
    if not where:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=where, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, address):
    """visit("book/intro.html", **how) opens a page of the site; how: as for Playwright's new_context.

    Every other host is refused. The test fails if a page asked for one, if a request failed, or if the console
    showed an error.
    """
    wrong, contexts = [], []

    def refuse(route):
        wrong.append(f"asked for {route.request.url}")
        route.abort()

    def failed(request) -> bool:  # whoever leaves a page aborts what it still loads
        return request.failure != "net::ERR_ABORTED"

    def open_page(path: str, **how):
        context = chromium.new_context(**{"viewport": {"width": 1_440, "height": 900}, **how})
        contexts.append(context)
        context.route(lambda url: url.startswith("http") and not url.startswith(address), refuse)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "requestfailed", lambda request: wrong.append(f"failed: {request.url}") if failed(request) else None
        )
        page.on("response", lambda r: wrong.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
        page.goto(f"{address}/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong, wrong
