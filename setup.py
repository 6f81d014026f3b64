"""Packaging. ``templates`` stands at the top of the repository, and is installed inside the package."""

import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "webpy_socketio" / "__init__.py").read_text(), re.MULTILINE)[1]

setup(
    name="webpy-socketio",
    version=VERSION,
    description="Socket.IO for web.py: channels, events and sends from anywhere, served by gevent",
    long_description=(HERE / "README.rst").read_text(),
    long_description_content_type="text/x-rst",
    license="BSD-3-Clause",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[
        "webpy_socketio",
        "webpy_socketio.backplane",
        "webpy_socketio.doctor",
        "webpy_socketio.engine",
        "webpy_socketio.templates",
        "webpy_socketio.transports",
        "webpy_socketio.wire",
    ],
    package_dir={"webpy_socketio.templates": "templates"},
    package_data={"webpy_socketio": ["py.typed", "static/*.js"], "webpy_socketio.templates": ["*.html"]},
    install_requires=[
        "web.py>=0.62",
        "gevent>=24.2",
        "websockets>=14",
        "orjson>=3.10",
        "Mako>=1.2",
        "itsdangerous>=2.1",
    ],
    extras_require={
        "gunicorn": ["gunicorn[gevent]>=23"],
        "metrics": ["prometheus-client>=0.20"],
        "redis": ["redis[hiredis]>=8", "msgpack>=1.1"],
        "reload": ["watchfiles"],
        "test": [
            "bottle",
            "build",
            "circus",
            "cryptography",
            "flask",
            "gunicorn[gevent]>=23",
            "hypothesis",
            "msgpack>=1.1",
            "mypy",
            "playwright",
            "prometheus-client>=0.20",
            "pytest",
            "pytest-xdist",
            "python-socketio[client]",
            "redis[hiredis]>=8",
            "ruff",
            "trustme",
            "watchfiles",
            "websocket-client",
        ],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Web Environment",
        "Intended Audience :: Developers",
        "Programming Language :: Python :: 3",
        "Topic :: Internet :: WWW/HTTP :: WSGI",
        "Typing :: Typed",
    ],
)
