"""The Hub's HTTP protocol: each route of `hub_server.HubServer` as one method."""

import base64
import hashlib
import http.server
import json
import re
import time
import urllib.parse

from hub_repository import Blob, Repo, is_lfs


class HubError(Exception):
    def __init__(self, status, code=None, message=""):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    hub = None  # the HubServer

    ROUTES = (
        ("GET", r"/api/whoami-v2", "whoami"),
        ("POST", r"/api/validate-yaml", "validate_yaml"),
        ("POST", r"/api/repos/create", "create_repo"),
        (
            "POST",
            r"/api/(?:models|spaces)/(?P<repo>[^/]+/[^/]+)/preupload/(?P<rev>[^/]+)",
            "preupload",
        ),
        ("POST", r"/api/(?:models|spaces)/(?P<repo>[^/]+/[^/]+)/commit/(?P<rev>[^/]+)", "commit"),
        (
            "POST",
            r"/api/(?:models|spaces)/(?P<repo>[^/]+/[^/]+)/branch/(?P<rev>[^/]+)",
            "create_branch",
        ),
        ("GET", r"/api/(?:models|spaces)/(?P<repo>[^/]+/[^/]+)/tree/(?P<rev>[^/]+)", "tree"),
        ("GET", r"/api/(?:models|spaces)/(?P<repo>[^/]+/[^/]+)(/revision/(?P<rev>[^/]+))?", "info"),
        ("POST", r"/(?:spaces/)?(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch", "lfs_batch"),
        ("PUT", r"/lfs/(?P<oid>\w{64})", "lfs_put"),
        ("POST", r"/lfs/verify", "lfs_verify"),
        ("GET", r"/cdn/(?P<oid>\w{64})", "cdn"),
        ("GET", r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<path>.+)", "resolve"),
    )

    def log_message(self, *args):
        pass

    def do_GET(self):
        self._answer("GET")

    def do_HEAD(self):
        self._answer("HEAD")

    def do_POST(self):
        self._answer("POST")

    def do_PUT(self):
        self._answer("PUT")

    def _answer(self, method):
        self.body, self.method = self._read_body(), method
        self.spoil = self.hub.take_fault(method, self.path)
        path = urllib.parse.urlsplit(self.path).path
        try:
            if self.spoil and self.spoil.status:
                self._send(self.spoil.status, b"spoiled", self.spoil.headers)
                return
            for verb, pattern, name in self.ROUTES:
                match = re.fullmatch(pattern, path)
                if match and verb == ("GET" if method == "HEAD" else method):
                    groups = match.groupdict()
                    for key in ("rev", "path"):
                        if groups.get(key):
                            groups[key] = urllib.parse.unquote(groups[key])
                    getattr(self, name)(**groups)
                    return
            raise HubError(404, None, f"no route {method} {path}")
        except HubError as error:
            headers = {"X-Error-Message": error.message}
            if error.code:
                headers["X-Error-Code"] = error.code
            self._send(error.status, json.dumps({"error": error.message}).encode(), headers)
        except ConnectionError:
            self.close_connection = True  # the client was killed

    def _read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status, body=b"", headers=None, length=None):
        with self.hub.lock:
            self.hub.requests.append((self.method, self.path, status))
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.method == "HEAD":
            return
        if self.spoil and self.spoil.cut_after is not None:
            self.wfile.write(body[: self.spoil.cut_after])
            self.wfile.flush()
            self.close_connection = True
            return
        if self.spoil and self.spoil.corrupt:
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :]
        if self.spoil and self.spoil.pause:
            half = len(body) // 2
            self.wfile.write(body[:half])
            self.wfile.flush()
            time.sleep(self.spoil.pause)
            body = body[half:]
        self.wfile.write(body)

    def _json(self, value, status=200):
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    # Who asks, and what they may see

    def _user(self):
        header = self.headers.get("Authorization")
        if not header:
            return None
        user = self.hub.tokens.get(header.removeprefix("Bearer "))
        if user is None:
            raise HubError(401, None, "Invalid credentials in Authorization header")
        return user

    def _repo(self, repo_id, write=False):
        user = self._user()
        repo = self.hub.repos.get(repo_id)
        if repo is None or (repo.private and user != repo_id.split("/")[0]):
            raise HubError(404 if user else 401, "RepoNotFound", "Repository not found")
        if write and user != repo_id.split("/")[0]:
            raise HubError(403, None, "you are not allowed to write to this repository")
        return repo

    def _sha(self, repo, revision):
        sha = repo.sha(revision or "main")
        if sha is None:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha

    # Routes

    def whoami(self):
        user = self._user()
        if user is None:
            raise HubError(401, None, "Invalid username or password.")
        self._json({"type": "user", "name": user, "orgs": []})

    def validate_yaml(self):
        text = json.loads(self.body)["content"]
        errors = [] if text.startswith("---\n") else [{"message": "no front matter"}]
        self._json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def create_repo(self):
        user, request = self._user(), json.loads(self.body)
        if user is None:
            raise HubError(401, None, "Invalid username or password.")
        if request.get("organization") not in (None, user):
            raise HubError(403, None, "you may not create a model under this namespace")
        repo_id = f"{user}/{request['name']}"
        with self.hub.lock:
            if repo_id in self.hub.repos:
                status = 409
            else:
                status = 200
                private = request.get("private") or request.get("visibility") == "private"
                repo = self.hub.repos[repo_id] = Repo(private=bool(private))
                repo.commit("main", {}, "initial commit")
        self._json({"url": f"{self.hub.url}/{repo_id}"}, status)

    def create_branch(self, repo, rev):
        stored = self._repo(repo, write=True)
        if rev in stored.refs:
            raise HubError(409, None, "Reference already exists")
        stored.refs[rev] = stored.refs["main"]
        self._json({})

    def preupload(self, repo, rev):
        stored = self._repo(repo, write=True)
        tree = stored.trees[self._sha(stored, rev)]
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if is_lfs(file["path"], file["size"]) else "regular",
                "shouldIgnore": False,
                "oid": tree[file["path"]].etag if file["path"] in tree else None,
            }
            for file in json.loads(self.body)["files"]
        ]
        self._json({"files": modes})

    def lfs_batch(self, repo):
        self._repo(repo, write=True)
        objects = []
        for item in json.loads(self.body)["objects"]:
            if item["oid"] not in self.hub.lfs:
                item["actions"] = {
                    "upload": {"href": f"{self.hub.url}/lfs/{item['oid']}"},
                    "verify": {"href": f"{self.hub.url}/lfs/verify"},
                }
            objects.append(item)
        self._json({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid):
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise HubError(400, None, "content does not match its oid")
        self.hub.lfs[oid] = self.body
        self._send(200)

    def lfs_verify(self):
        item = json.loads(self.body)
        if len(self.hub.lfs.get(item["oid"], b"")) != item["size"]:
            raise HubError(404, None, "object not found")
        self._json({})

    def commit(self, repo, rev):
        stored = self._repo(repo, write=True)
        tree, message = dict(stored.trees[self._sha(stored, rev)]), ""
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                message = value["summary"]
            elif item["key"] == "file":
                tree[value["path"]] = Blob(base64.b64decode(value["content"]), False)
            elif item["key"] == "lfsFile":
                if value["oid"] not in self.hub.lfs:
                    raise HubError(400, None, f"LFS object {value['oid']} was not uploaded")
                tree[value["path"]] = Blob(self.hub.lfs[value["oid"]], True)
            elif item["key"] == "deletedFile":
                del tree[value["path"]]
        with self.hub.lock:
            sha = stored.commit(rev, tree, message)
        url = f"{self.hub.url}/{repo}/commit/{sha}"
        self._json({"success": True, "commitOid": sha, "commitUrl": url, "hookOutput": ""})

    def info(self, repo, rev):
        stored = self._repo(repo)
        sha = self._sha(stored, rev)
        files = [{"rfilename": path} for path in stored.trees[sha]]
        answer = {"id": repo, "sha": sha, "private": stored.private, "gated": stored.gated}
        self._json({**answer, "siblings": files, "tags": [], "downloads": 0})

    def tree(self, repo, rev):
        stored = self._repo(repo)
        entries = []
        for path, blob in stored.trees[self._sha(stored, rev)].items():
            entry = {"type": "file", "path": path, "size": len(blob.data), "oid": blob.oid}
            if blob.is_lfs:
                entry["lfs"] = {"oid": blob.etag, "size": len(blob.data), "pointerSize": 130}
            entries.append(entry)
        self._json(entries)

    def resolve(self, repo, rev, path):
        stored = self._repo(repo)
        if stored.gated:
            status = 403 if self._user() else 401
            raise HubError(status, "GatedRepo", "Access to this model is restricted.")
        sha = self._sha(stored, rev)
        blob = stored.trees[sha].get(path)
        if blob is None:
            raise HubError(404, "EntryNotFound", "Entry not found")
        headers = {"ETag": f'"{blob.etag}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if not blob.is_lfs:
            self._file(blob.data, headers)
            return
        self.hub.lfs.setdefault(blob.etag, blob.data)
        headers["X-Linked-Etag"], headers["X-Linked-Size"] = f'"{blob.etag}"', str(len(blob.data))
        self._send(302, b"", {**headers, "Location": f"{self.hub.cdn_url}/cdn/{blob.etag}"})

    def cdn(self, oid):
        if self.headers.get("Authorization"):
            raise HubError(400, None, "a signed address takes no token")
        self._file(self.hub.lfs[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})

    def _file(self, data, headers):
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if not match:
            self._send(200, data, headers)
            return
        start = int(match[1])
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._send(206, data[start:], headers)
