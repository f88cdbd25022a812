"""A Hugging Face hub out of a folder, on this machine: as much of it as models need."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_a_token_that_may_write"


class LocalHub:
    """Repositories in a folder, served until ``close``.

    ``ROOT/user/name/commits/SHA/`` holds the files of a commit, ``refs/BRANCH`` says which commit
    a branch is at.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[tuple[str, str]] = []
        """(method, path) of every request, in order."""
        self.gated: set[str] = set()
        self.failing: int | None = None
        """A status with which everything is answered."""
        hub = self

        class Handler(Answers):
            served = hub

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()

    def fetched(self) -> set[str]:
        """The names of the files whose content was asked for."""
        found = (re.search(r"/resolve/[^/]+/(.+)$", p) for m, p in self.asked if m == "GET")
        return {match[1] for match in found if match}

    def folder(self, repo: str, revision: str = "main") -> Path | None:
        """The files of a branch or a commit."""
        place = self.root / repo
        ref = place / "refs" / revision
        commit = ref.read_text() if ref.is_file() else revision
        files = place / "commits" / commit
        return files if files.is_dir() else None

    def create(self, repo: str, private: bool = False) -> None:
        (self.root / repo / "refs").mkdir(parents=True)
        (self.root / repo / "private").write_text(str(int(private)))
        self.commit(repo, "main", {".gitattributes": b""})

    def commit(self, repo: str, branch: str, files: dict[str, bytes]) -> str:
        """A commit on a branch, with these files changed."""
        place = self.root / repo
        digest = hashlib.sha1(branch.encode())
        for name, content in sorted(files.items()):
            digest.update(name.encode() + content)
        before, commit = self.folder(repo, branch), digest.hexdigest()
        new = place / "commits" / commit
        if before != new:
            if before is None:
                new.mkdir(parents=True)
            else:
                shutil.copytree(before, new)
            for name, content in files.items():
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                (new / name).write_bytes(content)
        (place / "refs" / branch).write_text(commit)
        return commit


class Answers(BaseHTTPRequestHandler):
    """What the hub answers."""

    served: LocalHub

    def do_HEAD(self) -> None:
        self._read(body=False)

    def do_GET(self) -> None:
        self._read(body=True)

    def _read(self, body: bool) -> None:
        path = self._noted()
        if self.served.failing:
            return self._json({}, self.served.failing)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            return self._described(match[1], match[2] or "main")
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(match[1], match[2], match[3], body)
        return self._json({}, HTTPStatus.NOT_FOUND)

    def _visible(self, repo: str) -> bool:
        mark = self.served.root / repo / "private"
        return mark.is_file() and (mark.read_text() == "0" or self._knows_who())

    def _described(self, repo: str, revision: str) -> None:
        files = self.served.folder(repo, revision)
        if not self._visible(repo) or files is None:
            return self._json({}, HTTPStatus.NOT_FOUND, "RepoNotFound")
        names = [str(f.relative_to(files)) for f in files.rglob("*") if f.is_file()]
        private = (self.served.root / repo / "private").read_text() == "1"
        return self._json(
            {
                "id": repo,
                "private": private,
                "sha": files.name,
                "siblings": [{"rfilename": name} for name in names],
            }
        )

    def _file(self, repo: str, revision: str, name: str, body: bool) -> None:
        if not self._visible(repo):
            return self._json({}, HTTPStatus.NOT_FOUND, "RepoNotFound")
        if repo in self.served.gated:
            return self._json({}, HTTPStatus.FORBIDDEN, "GatedRepo")
        files = self.served.folder(repo, revision)
        if files is None:
            return self._json({}, HTTPStatus.NOT_FOUND, "RevisionNotFound")
        if not (files / name).is_file():
            return self._json({}, HTTPStatus.NOT_FOUND, "EntryNotFound")
        content = (files / name).read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("X-Repo-Commit", files.name)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("Content-Length", str((files / name).stat().st_size))
        self.end_headers()
        if body:
            self.wfile.write(content)
        return None

    def do_POST(self) -> None:
        path = self._noted()
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.served.failing:
            return self._json({}, self.served.failing)
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if not self._knows_who():
            return self._json({"error": "Invalid username or password."}, HTTPStatus.UNAUTHORIZED)
        if path == "/api/repos/create":
            return self._create(json.loads(text))
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit|branch)/(.+)", path)
        assert match, path
        repo, verb, branch = match.groups()
        if verb == "preupload":
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(text)["files"]
            ]
            return self._json({"files": files})
        if verb == "branch":
            return self._branch(repo, branch)
        return self._commit(repo, branch, [json.loads(line) for line in text.splitlines()])

    def _create(self, asked: dict[str, Any]) -> None:
        user = asked.get("organization") or "someone"
        repo = f"{user}/{asked['name']}"
        if user == "another":
            return self._json({"error": "You have no rights there."}, HTTPStatus.FORBIDDEN)
        there = (self.served.root / repo).is_dir()
        if not there:
            private = asked.get("private") or asked.get("visibility") == "private"
            self.served.create(repo, private=bool(private))
        url = {"url": f"{self.served.endpoint}/{repo}"}
        return self._json(url, HTTPStatus.CONFLICT if there else HTTPStatus.OK)

    def _branch(self, repo: str, branch: str) -> None:
        ref = self.served.root / repo / "refs" / branch
        if ref.exists():
            return self._json({}, HTTPStatus.CONFLICT)
        ref.write_text((ref.parent / "main").read_text())
        return self._json({})

    def _commit(self, repo: str, branch: str, lines: list[dict[str, Any]]) -> None:
        files = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"])
            for line in lines
            if line["key"] == "file"
        }
        commit = self.served.commit(repo, branch, files)
        url = f"{self.served.endpoint}/{repo}/commit/{commit}"
        return self._json({"commitUrl": url, "commitOid": commit})

    def _noted(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.served.asked.append((self.command, path))
        return path

    def _knows_who(self) -> bool:
        return bool(self.headers.get("Authorization") == f"Bearer {TOKEN}")

    def _json(self, data: dict[str, Any], status: int = 200, code: str | None = None) -> None:
        content = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing: a test has no log."""
