"""Tells the pipelines SDK where a step's files are when /minio, /s3 and /gcs cannot be its own.

Loaded by caudal_mounts.pth, only when CAUDAL_MOUNT_ROOT is set: that directory stands for the root.
"""

import importlib.machinery
import os
import sys

_MODULES = ('kfp.dsl.types.artifact_types', 'kfp.components.types.artifact_types')
_PREFIXES = {
    '_GCS_LOCAL_MOUNT_PREFIX': '/gcs/',
    '_MINIO_LOCAL_MOUNT_PREFIX': '/minio/',
    '_S3_LOCAL_MOUNT_PREFIX': '/s3/',
    'WORKSPACE_MOUNT_PATH': '/kfp-workspace',
}


def _move(module):
    root = os.environ.get('CAUDAL_MOUNT_ROOT', '').rstrip('/')
    for name, prefix in _PREFIXES.items():
        if root and getattr(module, name, None) == prefix:
            setattr(module, name, root + prefix)
    if root and hasattr(module, 'WORKSPACE_MOUNT_PATH'):
        _mend_workspace(module.Artifact, root)


def _mend_workspace(artifact, root):
    """An artifact's path in the workspace is made from its path outside, which has moved."""
    inner = artifact._get_path

    def _get_path(self):
        path = inner(self)
        if path and self.metadata.get('_kfp_workspace') is True:
            path = path.replace('/.artifacts' + root + '/', '/.artifacts/', 1)
        return path

    artifact._get_path = _get_path


class _Loader:
    """The module's own loader, and `_move` after it."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def create_module(self, spec):
        return self._inner.create_module(spec)

    def exec_module(self, module):
        self._inner.exec_module(module)
        _move(module)


class _Finder:

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in _MODULES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


sys.meta_path.insert(0, _Finder)
