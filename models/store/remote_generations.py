"""Generations of checkpoints in an object store: how one is sent, listed, brought here and removed.

Which of them counts is said by their head. They have the names and the parts they have on disk (``folders``); the
manifest is sent last, so that one without it is not whole. Nothing here is believed before its digest was compared.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from models.errors import ObjectCorrupt
from models.store.folders import MANIFEST_FILE, GenerationFolders
from models.store.generations import GenerationManifest, GenerationName
from models.store.objects import FileObjects
from models.store.sealed import unseal

NUM_STREAMS = 4
"""Parts that are brought here at the same time: one stream does not fill the network, and training waits."""


class RemoteGenerations:
    """The generations under the prefix of an object store.

    All methods raise ``StoreUnavailable`` (retried) and ``CloudRefused`` (not retried).

    Args:
        objects: The prefix.
    """

    def __init__(self, objects: FileObjects) -> None:
        self._objects = objects

    def files(self) -> dict[str, set[str]]:
        """The files of each generation that are there, of whole ones and others; generations oldest first."""
        found: dict[GenerationName, set[str]] = {}
        for key in self._objects.list("step-"):
            folder, _, file = key.partition("/")
            name = GenerationName.parse(folder)
            if name is not None and file:
                found.setdefault(name, set()).add(file)
        return {str(name): found[name] for name in sorted(found)}

    def names(self) -> list[str]:
        """All that are there, whole or not; oldest first."""
        return list(self.files())

    def whole(self) -> set[str]:
        """Those with a manifest; their parts are not looked at."""
        return {name for name, files in self.files().items() if MANIFEST_FILE in files}

    def manifest(self, name: str) -> GenerationManifest:
        """The manifest of a generation.

        Raises:
            ObjectMissing: There is none. Not retried.
            ObjectCorrupt: It is damaged, or another one's. Not retried.
        """
        key = f"{name}/{MANIFEST_FILE}"
        manifest = GenerationManifest.from_body(key, unseal(key, self._objects.get(key).content))
        if manifest.name != name:
            raise ObjectCorrupt(key, f"the manifest of {name}", f"that of {manifest.name}")
        return manifest

    def send_part(self, name: str, part: str, folders: GenerationFolders) -> None:
        """Send one part from disk.

        Raises:
            ObjectMissing: The disk has no such part. Not retried.
            ObjectCorrupt: The part on disk is damaged. Not retried.
        """
        manifest = folders.manifest(name)
        self._objects.put_file(f"{name}/{part}", folders.path(name) / part, manifest.files[part])

    def send_manifest(self, name: str, folders: GenerationFolders) -> None:
        """Send the manifest; with it the generation is whole."""
        self._objects.put(f"{name}/{MANIFEST_FILE}", folders.manifest(name).to_bytes())

    def bring(self, name: str, folders: GenerationFolders) -> GenerationManifest:
        """Put a generation on this disk, in place of one that is there under its name.

        Raises:
            ObjectMissing: Its manifest or a part is not there. Not retried.
            ObjectCorrupt: One of them is damaged; what is on disk stays as it was. Not retried.
        """
        manifest = self.manifest(name)

        def bring_parts(folder: Path) -> None:
            def bring_part(part: str) -> None:
                self._objects.get_file(f"{name}/{part}", folder / part, manifest.files[part])

            with ThreadPoolExecutor(NUM_STREAMS) as pool:
                list(pool.map(bring_part, manifest.files))  # the first error is raised here

        folders.receive(manifest, bring_parts)
        return manifest

    def remove(self, name: str) -> None:
        """Remove a generation, its manifest first: what is left of it is not whole."""
        for key in sorted(self._objects.list(f"{name}/"), key=lambda key: not key.endswith(f"/{MANIFEST_FILE}")):
            self._objects.delete(key)
