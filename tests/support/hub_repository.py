"""What the local Hub keeps: repositories, their commits and their files."""

import dataclasses
import hashlib

LFS_SIZE = 1_000_000  # bytes; larger files and all weights travel by LFS, as on the real Hub


@dataclasses.dataclass
class Blob:
    data: bytes
    is_lfs: bool

    @property
    def oid(self):
        """git's name of a blob."""
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()

    @property
    def etag(self):
        return hashlib.sha256(self.data).hexdigest() if self.is_lfs else self.oid


@dataclasses.dataclass
class Repo:
    private: bool = False
    gated: bool = False
    refs: dict = dataclasses.field(default_factory=dict)
    commits: list = dataclasses.field(default_factory=list)
    trees: dict = dataclasses.field(default_factory=dict)

    def commit(self, branch, files, message):
        """Adds a commit whose tree is `files`, and returns its id."""
        text = f"{len(self.commits)}{branch}{message}{sorted(files)}"
        sha = hashlib.sha1(text.encode()).hexdigest()
        self.trees[sha], self.refs[branch] = files, sha
        self.commits.append({"sha": sha, "branch": branch, "message": message})
        return sha

    def sha(self, revision):
        return revision if revision in self.trees else self.refs.get(revision)


def is_lfs(path, size):
    return size > LFS_SIZE or path.endswith(".h5")
