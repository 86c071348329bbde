"""The output folder of one study: the only room that knows a file name.

A stage never writes into the folder itself. It fills a :class:`Draft`, which is fsynced and renamed into
place when it is whole. The stage's old provenance is removed before the first rename and the new one written
after the last, so a run killed at any moment leaves either the last whole state or a stage without
provenance, which is simply run again.
"""

from liverimg.workspace.artefact import Artefact, Provenance
from liverimg.workspace.disk import hash_file, hash_tree
from liverimg.workspace.folder import Draft, Workspace

__all__ = ["Artefact", "Draft", "Provenance", "Workspace", "hash_file", "hash_tree"]
