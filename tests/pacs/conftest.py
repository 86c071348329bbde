"""An archive in this process, one from Debian's packages, certificates, and studies small enough to send often."""

import json
import secrets
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from liverimg.pacs.peer import Peer, Tls

ROOT = "1.2.826.0.1.3680043.8.498.77"


def free_port() -> int:
    """A port nobody listens on now, below those that the system gives away to whoever connects somewhere."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def instance(study: int = 1, series: int = 1, number: int = 1, *, side_px: int = 16, seed: int = 0) -> Dataset:
    """A CT slice of a phantom."""
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.StudyInstanceUID = f"{ROOT}.{study}"
    ds.SeriesInstanceUID = f"{ROOT}.{study}.{series}"
    ds.SOPInstanceUID = f"{ROOT}.{study}.{series}.{number}"
    ds.PatientName, ds.PatientID = "PHANTOM^SECRET", "PHANTOM-4711"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID = "20260102", "101112", "ACC1", "1"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "CT", series, number
    ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName = "", "", ""
    ds.StudyDescription = "liver"
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 2.5 * number], [1, 0, 0, 0, 1, 0]
    ds.FrameOfReferenceUID, ds.PixelSpacing, ds.SliceThickness = f"{ROOT}.{study}.9", [1, 1], 2.5
    ds.Rows = ds.Columns = side_px
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope = -1024, 1
    noise = np.random.default_rng((seed, study, series, number)).integers(0, 4096, (side_px, side_px))
    ds.PixelData = noise.astype("<u2").tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def write_study(folder: Path, *, study: int = 1, series: int = 1, slices: int = 4, side_px: int = 16) -> Path:
    """A study of some series as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for s in range(1, series + 1):
        for n in range(1, slices + 1):
            instance(study, s, n, side_px=side_px).save_as(folder / f"{s}-{n}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two series of four slices."""
    return write_study(tmp_path / "study", series=2)


def quick(peer: Peer, **settings: object) -> Peer:
    """A peer with short waits."""
    shorter = {"first_wait_s": 0.05, "longest_wait_s": 0.2, "answer_s": 20.0, **settings}
    return replace(peer, settings=replace(peer.settings, **shorter))


# ---- certificates ----


@dataclass(frozen=True)
class Papers:
    """A certificate authority and what it signed, as files."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    stranger: Path
    stranger_key: Path
    stranger_ca: Path

    @property
    def client_tls(self) -> Tls:
        return Tls(ca=self.ca, certificate=self.client, key=self.client_key)

    @property
    def server_tls(self) -> Tls:
        return Tls(ca=self.ca, certificate=self.server, key=self.server_key)


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def _authority(folder: Path, name: str) -> None:
    _openssl(
        folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
    )  # fmt: skip


def _signed(folder: Path, name: str, ca: str) -> None:
    _openssl(
        folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr",
    )  # fmt: skip
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    _openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
        "-days", "2", "-extfile", "names", "-out", f"{name}.pem",
    )  # fmt: skip


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Made anew, good for two days."""
    if shutil.which("openssl") is None:
        pytest.skip("the program openssl, which makes certificates for tests, is not on this machine")
    folder = tmp_path_factory.mktemp("papers")
    _authority(folder, "ca")
    _authority(folder, "otherca")
    for name, ca in (("server", "ca"), ("client", "ca"), ("stranger", "otherca")):
        _signed(folder, name, ca)
    return Papers(*(folder / n for n in (
        "ca.pem", "server.pem", "server.key", "client.pem", "client.key", "stranger.pem", "stranger.key", "otherca.pem",
    )))  # fmt: skip


# ---- Orthanc ----

ORTHANC = "Orthanc"
PLUGIN = "libOrthancDicomWeb.so"


@dataclass(frozen=True)
class Archive:
    """A running Orthanc."""

    dimse: Peer
    web: Peer
    move_port: int
    folder: Path
    process: subprocess.Popen

    def rest(self, path: str, *, method: str = "GET", body: bytes | None = None) -> object:
        """Its own interface, for a look from outside."""
        request = urllib.request.Request(f"{self.web.url.removesuffix('/dicom-web')}{path}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def clear(self) -> None:
        for study in self.rest("/studies"):
            self.rest(f"/studies/{study}", method="DELETE")


def _plugins() -> Path | None:
    found = [p for d in ("/usr/share/orthanc/plugins", "/usr/lib/orthanc") for p in Path(d).glob(f"{PLUGIN}*")]
    return found[0].parent if found else None


@contextmanager
def running_orthanc(folder: Path, **more: object) -> Iterator[Archive]:
    """Orthanc on loopback; skips where it is not installed."""
    program, plugins = shutil.which(ORTHANC), _plugins()
    if program is None or plugins is None:
        pytest.skip("Orthanc with its DICOMweb plugin (Debian: orthanc, orthanc-dicomweb) is not on this machine")
    http, dicom, move = free_port(), free_port(), free_port()
    settings = {
        "Name": "test", "DicomAet": "ORTHANC", "DicomPort": dicom, "HttpPort": http, "RemoteAccessAllowed": False,
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "Plugins": [str(plugins)],
        "DicomAlwaysAllowEcho": False, "DicomAlwaysAllowStore": False, "DicomCheckCalledAet": True,
        "DicomModalities": {"us": {
            "AET": "LIVERIMG", "Host": "127.0.0.1", "Port": move, "AllowEcho": True, "AllowFind": True,
            "AllowMove": True, "AllowGet": True, "AllowStore": True, "UseDicomTls": bool(more.get("DicomTlsEnabled")),
        }},
        "OverwriteInstances": False, "StableAge": 1, "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}, **more,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("w") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        for port in (http, dicom):
            while True:
                assert process.poll() is None, (folder / "orthanc.log").read_text()[-2000:]
                assert time.monotonic() < deadline, "Orthanc does not come up"
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
        yield Archive(
            dimse=quick(Peer(host="127.0.0.1", port=dicom, ae_title="ORTHANC")),
            web=quick(Peer(url=f"http://127.0.0.1:{http}/dicom-web")),
            move_port=move,
            folder=folder,
            process=process,
        )
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def tls_front(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """A port that takes TLS in front of one that does not, as hospitals put it before their archives.

    Debian's Orthanc 1.10 crashes at the first request when it has to speak HTTPS by itself.
    """
    front = socket.create_server(("127.0.0.1", 0))

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(1 << 16):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    def serve(raw: socket.socket) -> None:
        with (
            suppress(OSError),
            context.wrap_socket(raw, server_side=True) as outer,
            socket.create_connection(("127.0.0.1", port)) as inner,
        ):
            back = threading.Thread(target=copy, args=(inner, outer), daemon=True)
            back.start()
            copy(outer, inner)
            back.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(front.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield front.getsockname()[1]
    finally:
        front.close()


@pytest.fixture(scope="module")
def orthanc_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as archive:
        yield archive


@pytest.fixture
def orthanc(orthanc_process: Archive) -> Archive:
    """An empty Orthanc."""
    orthanc_process.clear()
    return orthanc_process


def wait_until(condition: Callable[[], object], *, within_s: float = 300.0) -> object:
    """The first true value of a condition."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return value
