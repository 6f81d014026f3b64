"""What the files of ``nginx/`` say is understood by nginx, and holds for pages, files and large messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conformance.wire import PollingClient
from tests.nginx.recipes import RECIPES, UPSTREAMS, Nginx, behind_nginx, changed, check, run_nginx, write
from tests.serving import ROOT, free_port

SITES = [recipe for recipe in RECIPES if recipe != "stream_proxy.conf"]
MAX_PAYLOAD = 1_000_000
NGINX_LIMIT = 1 << 20


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest) -> Iterator[Nginx]:
    """A site whose servers are down."""
    addresses = [f"127.0.0.1:{free_port()}" for _ in UPSTREAMS[request.param]]
    with run_nginx(request.param, addresses, {}) as nginx:
        yield nginx


def verified(nginx: Nginx) -> str | bool:
    """Whom requests shall trust."""
    return str(nginx.authority) if nginx.tls else True


def test_every_file_is_tested() -> None:
    files = {path.name for path in (ROOT / "nginx").glob("*.conf")}
    assert files == {*RECIPES, "tcp_proxy.conf"}


@pytest.mark.parametrize("recipe", ["native.conf", "cluster.conf", "stream_proxy.conf"])
def test_nginx_takes_the_file_as_it_is(recipe: str, tmp_path: Path) -> None:
    write(tmp_path, recipe, (ROOT / "nginx" / recipe).read_text())
    done = check(tmp_path)
    assert (done.returncode, "warn" in done.stderr) == (0, False), done.stderr


def test_the_one_with_tls_lacks_but_the_certificate(tmp_path: Path) -> None:
    write(tmp_path, "tls.conf", (ROOT / "nginx" / "tls.conf").read_text())
    done = check(tmp_path)
    assert re.findall(r"\[emerg\].*", done.stderr) == re.findall(r"\[emerg\].*fullchain.pem.*", done.stderr) != []


def test_the_old_one_lacks_but_its_module(tmp_path: Path) -> None:
    text = (ROOT / "nginx" / "tcp_proxy.conf").read_text().replace("include mime.types;", "")
    for content, result in ((text, 1), (re.sub(r"(?ms)^tcp \{\n.*?^\}\n", "", text), 0)):
        (tmp_path / "nginx.conf").write_text(content)
        done = check(tmp_path)
        assert done.returncode == result, done.stderr
        assert ('unknown directive "tcp"' in done.stderr) is bool(result)


def test_files_come_from_nginx(site: Nginx) -> None:
    answer = requests.get(f"{site.url}/static/chat.css", verify=verified(site), timeout=5)
    assert answer.content == (ROOT / "example" / "static" / "chat.css").read_bytes()
    assert answer.headers["Content-Type"] == "text/css"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    known = {"If-None-Match": answer.headers["ETag"]}
    again = requests.get(f"{site.url}/static/chat.css", headers=known, verify=verified(site), timeout=5)
    assert again.status_code == 304
    assert requests.get(f"{site.url}/static/none.css", verify=verified(site), timeout=5).status_code == 404


def test_everything_else_comes_from_the_server(site: Nginx) -> None:
    for path in ("/", "/socket.io/?EIO=4&transport=polling"):
        assert requests.get(site.url + path, verify=verified(site), timeout=5).status_code == 502


@pytest.mark.parametrize("recipe", ["native.conf", "stream_proxy.conf"])
def test_the_largest_message_passes_and_a_larger_one_is_refused(recipe: str) -> None:
    with behind_nginx(recipe, "conformance") as nginx:
        client = PollingClient(nginx)
        client.join()
        around = len('42["message",""]')
        client.echoes("x" * (MAX_PAYLOAD - around))
        assert client.post("4" * (MAX_PAYLOAD + 1)).status == 413
        assert PollingClient(nginx).post("4" * (NGINX_LIMIT + 1)).status == 413


def test_plain_http_is_sent_on_to_https() -> None:
    with run_nginx("tls.conf", [f"127.0.0.1:{free_port()}"], {}) as nginx:
        plain = f"http://127.0.0.1:{nginx.redirecting}"
        answer = requests.get(f"{plain}/rooms/1?a=b", allow_redirects=False, timeout=5)
        assert (answer.status_code, answer.headers["Location"]) == (301, "https://127.0.0.1/rooms/1?a=b")
        proof = requests.get(f"{plain}/.well-known/acme-challenge/none", allow_redirects=False, timeout=5)
        assert proof.status_code == 404


def test_the_two_sites_differ_in_encryption_only() -> None:
    start, end = "    # A location with a proxy_set_header", "\nserver {\n    listen 80;"
    secure = changed("tls.conf", {}).partition(start)[2].partition(end)[0]
    plain = changed("native.conf", {}).partition(start)[2].partition("\n# Only a request")[0]
    assert secure.strip() == plain.strip() != ""
