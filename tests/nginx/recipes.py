"""Runs the files of ``nginx/`` as they are shipped, but for ports, paths and times, in an nginx of the test's own."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trustme

from tests.conformance.targets import miss
from tests.serving import ROOT, Server, free_port, serve

#: Every file that this nginx can run; tcp_proxy.conf needs another one.
RECIPES = ("native.conf", "tls.conf", "cluster.conf", "stream_proxy.conf")
#: Where the servers of a recipe listen.
UPSTREAMS = {
    "native.conf": ("127.0.0.1:8000",),
    "tls.conf": ("127.0.0.1:8000",),
    "cluster.conf": ("127.0.0.1:8001", "127.0.0.1:8002"),
    "stream_proxy.conf": ("127.0.0.1:8000",),
}
#: What the comments of a recipe ask of the server; without it nothing works at all.
NEEDED = {"stream_proxy.conf": {"proxy_protocol": "true", "trusted_proxies": "127.0.0.1"}}
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
TOP = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 512; }}
{top}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    gzip on;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {site}
}}
"""


class Nginx(Server):
    """A running nginx."""

    def __init__(self, directory: Path, port: int, redirecting: int, is_secure: bool) -> None:
        super().__init__(command(directory), port, {})
        #: The certificate to be trusted, and what trusts it.
        self.authority = directory / "authority.pem"
        self.tls: ssl.SSLContext | None = None
        if is_secure:
            self.url = f"https://127.0.0.1:{port}"
            self.tls = ssl.create_default_context(cafile=self.authority)
        #: The port that sends browsers on to HTTPS.
        self.redirecting = redirecting
        #: The servers behind it.
        self.servers: tuple[Server, ...] = ()


def find_nginx() -> str:
    """Where nginx is. Skips the test if there is none, or fails where it must be there."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        miss("nginx is not installed")
    return str(program)


def command(directory: Path) -> list[str]:
    """How nginx is called."""
    return [find_nginx(), "-p", str(directory), "-c", "nginx.conf", "-e", "stderr"]


@contextmanager
def behind_nginx(
    recipe: str, app: str | Path, changes: Mapping[str, str] | None = None, **settings: object
) -> Iterator[Nginx]:
    """Run an application, in as many processes as a recipe has servers, and nginx before it."""
    with ExitStack() as stack:
        wanted = {**NEEDED.get(recipe, {}), **settings}
        servers = tuple(stack.enter_context(serve(app, **wanted)) for _ in UPSTREAMS[recipe])
        addresses = [f"127.0.0.1:{server.port}" for server in servers]
        nginx = stack.enter_context(run_nginx(recipe, addresses, changes or {}))
        nginx.servers = servers
        yield nginx


@contextmanager
def run_nginx(recipe: str, addresses: Sequence[str], changes: Mapping[str, str]) -> Iterator[Nginx]:
    """Run nginx on a recipe.

    :param addresses: of the servers, as nginx writes them.
    :param changes: other texts in the recipe to be replaced, each of which has to be there.
    """
    port, redirecting = free_port(), free_port()
    given = dict(zip(UPSTREAMS[recipe], addresses, strict=True))
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        directory = Path(name)
        is_secure = recipe == "tls.conf"
        if is_secure:
            make_certificate(directory)
        changes = {
            **{f"    server {shipped};": f"    server {address};" for shipped, address in given.items()},
            **(places_with_tls(directory, port, redirecting) if is_secure else places(port)),
            **changes,
        }
        write(directory, recipe, changed(recipe, changes))
        with Nginx(directory, port, redirecting, is_secure) as nginx:
            yield nginx


def places(port: int) -> dict[str, str]:
    """The changes that make a recipe listen here."""
    return {"listen 80;": f"listen 127.0.0.1:{port};", "listen [::]:80;": ""}


def places_with_tls(directory: Path, port: int, redirecting: int) -> dict[str, str]:
    """The same for one that encrypts, and listens elsewhere to say so."""
    shipped = "/etc/letsencrypt/live/chat.example.com"
    return {
        **places(redirecting),
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
        "listen [::]:443 ssl http2;": "",
        f"{shipped}/fullchain.pem": f"{directory}/chain.pem",
        f"{shipped}/privkey.pem": f"{directory}/key.pem",
    }


def make_certificate(directory: Path) -> None:
    """Certify this host."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(directory / "authority.pem")
    certificate.private_key_pem.write_to_path(directory / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(directory / "chain.pem", append=True)


def changed(recipe: str, changes: Mapping[str, str]) -> str:
    """A recipe with some texts replaced."""
    text = (ROOT / "nginx" / recipe).read_text()
    for shipped, wanted in changes.items():
        assert shipped in text, f"{recipe} has no {shipped!r}"
        text = text.replace(shipped, wanted)
    return text.replace("root /srv/chat;", f"root {ROOT}/example;")


def write(directory: Path, recipe: str, text: str) -> None:
    """Write a whole configuration with a recipe in it, at the place that the recipe is for."""
    (directory / recipe).write_text(text)
    include = f"include {recipe};"
    if recipe == "stream_proxy.conf":
        module = f"load_module {STREAM_MODULE};\n" if STREAM_MODULE.exists() else ""
        whole = module + TOP.format(top=include, site="")
    else:
        whole = TOP.format(top="", site=include)
    if os.getuid() == 0:  # else its workers could not read what is this user's
        whole += "user root;\n"
    (directory / "nginx.conf").write_text(whole)


def check(directory: Path) -> subprocess.CompletedProcess[str]:
    """What nginx itself says of a configuration."""
    return subprocess.run([*command(directory), "-t"], capture_output=True, text=True, check=False)
