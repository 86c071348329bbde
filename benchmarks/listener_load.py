"""The listener beside pynetdicom's own provider: idle peers in the way, and many objects from four peers at once.

Usage: ``python benchmarks/listener_load.py [--objects N]``

Each receiver runs in a process of its own and syncs every object to the disk before it answers. Printed are the seconds
until a good peer has had its C-ECHO and one C-STORE answered (at most ``--patience``, then "not answered") while others
hold idle connections; then wall seconds, the receiver's processor time for an object and its largest memory.
"""

import argparse
import logging
import multiprocessing
import os
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, build_context, evt

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.pacs.conftest import instance  # noqa: E402

from liverimg.pacs.checkpoint import steady  # noqa: E402
from liverimg.pacs.door import Door, House  # noqa: E402
from liverimg.pacs.intake import SpoolReceiver  # noqa: E402
from liverimg.pacs.peer import Tls, server_context  # noqa: E402
from liverimg.pacs.settings import shipped_quota  # noqa: E402
from liverimg.pacs.spool import Spool  # noqa: E402

PEERS = ("CT", "MR", "US", "PT")
VERIFICATION = "1.2.840.10008.1.1"


def ours(folder: Path, tls: Tls | None, line: Connection) -> None:
    """The listener's door and spool."""
    logging.disable(logging.CRITICAL)
    spool = Spool(folder / "spool", quota=replace(shipped_quota(), floor_mib=1))
    house = House("LIVERIMG", "127.0.0.1", 0, dict.fromkeys(PEERS, ()), server_context(tls) if tls else None)
    with Door(house, SpoolReceiver(spool)) as door:
        line.send(door.port)
        line.recv()
        line.send(usage())


def theirs(folder: Path, tls: Tls | None, line: Connection) -> None:
    """pynetdicom's provider with the shortest honest handler: write, sync, answer."""

    def store(event: evt.Event) -> int:
        path = folder / f"{event.request.AffectedSOPInstanceUID}.dcm"
        with path.open("wb") as stream:
            stream.write(event.encoded_dataset())
            stream.flush()
            os.fsync(stream.fileno())
        return 0

    node = AE(ae_title="LIVERIMG")
    node.maximum_associations = 16
    node.add_supported_context(VERIFICATION)
    node.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
    context = server_context(tls) if tls else None
    server = node.start_server(
        ("127.0.0.1", 0), block=False, ssl_context=context, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    line.send(server.server_address[1])
    line.recv()
    line.send(usage())
    os._exit(0)  # it would wait for the idle ones


def usage() -> tuple[float, float]:
    """Processor seconds and largest memory in MiB of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


class Running:
    """A receiver in its process."""

    def __init__(self, receiver: Callable, tls: Tls | None = None) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.line, far = multiprocessing.Pipe()
        place = (Path(self.folder.name), tls, far)
        self.process = multiprocessing.get_context("spawn").Process(target=receiver, args=place)
        self.process.start()
        self.port = self.line.recv()

    def end(self) -> tuple[float, float]:
        self.line.send("end")
        used = self.line.recv()
        self.process.join(20)
        self.process.kill()
        self.folder.cleanup()
        return used


def send(port: int, datasets: list, *, calling: str, patience_s: float, tls: ssl.SSLContext | None = None) -> int:
    """How many objects were acknowledged."""
    node = AE(ae_title=calling)
    node.connection_timeout = node.acse_timeout = node.dimse_timeout = node.network_timeout = patience_s
    contexts = [build_context(CTImageStorage, ExplicitVRLittleEndian), build_context(VERIFICATION)]
    line = node.associate(
        "127.0.0.1", port, contexts=contexts, ae_title="LIVERIMG", tls_args=(tls, "127.0.0.1") if tls else None
    )
    if not line.is_established or steady(line).send_c_echo().get("Status") != 0:
        return 0
    count = sum(line.send_c_store(ds).get("Status") == 0 for ds in datasets)
    line.release()
    return count


def delay(receiver: Callable, papers: tuple[Tls, ssl.SSLContext] | None, idle: int, patience_s: float) -> str:
    running = Running(receiver, papers[0] if papers else None)
    sockets = []
    for _ in range(idle):
        with suppress(OSError):  # a receiver that accepts nobody while it waits for one has a full queue
            sockets.append(socket.create_connection(("127.0.0.1", running.port), timeout=1))
    time.sleep(0.5)
    start = time.monotonic()
    tls = papers[1] if papers else None
    done = send(running.port, [instance(side_px=512)], calling="CT", patience_s=patience_s, tls=tls)
    took = time.monotonic() - start
    for sock in sockets:
        sock.close()
    running.end()
    return f"{took:.2f} s" if done else "not answered"


def load(receiver: Callable, objects: int) -> str:
    running = Running(receiver)
    each = objects // len(PEERS)
    batches = [[instance(p, 1, n, side_px=512) for n in range(each)] for p in range(len(PEERS))]
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda b=b, t=t: counts.append(send(running.port, b, calling=t, patience_s=60)))
        for b, t in zip(batches, PEERS, strict=True)
    ]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - start
    cpu_s, memory_mib = running.end()
    return f"{sum(counts)} of {objects} in {took:.1f} s, {1000 * cpu_s / objects:.1f} ms each, {memory_mib:.0f} MiB"


def made_papers(folder: Path) -> tuple[Tls, ssl.SSLContext]:
    """A self-signed certificate for the receiver."""
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=test "
        "-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    tls = Tls(certificate=folder / "cert.pem", key=folder / "key.pem")
    return tls, ssl.create_default_context(cafile=folder / "cert.pem")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--patience", type=float, default=30.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        papers = made_papers(Path(folder))
        for name, receiver in (("liverimg", ours), ("pynetdicom", theirs)):
            print(f"{name}, alone: {delay(receiver, None, 0, given.patience)}")
            print(f"{name}, 50 idle sockets: {delay(receiver, None, 50, given.patience)}")
            print(f"{name}, TLS, alone: {delay(receiver, papers, 0, given.patience)}")
            print(f"{name}, TLS, 1 idle peer: {delay(receiver, papers, 1, given.patience)}")
            print(f"{name}, TLS, 50 idle peers: {delay(receiver, papers, 50, given.patience)}")
            print(f"{name}, four peers: {load(receiver, given.objects)}", flush=True)


if __name__ == "__main__":
    main()
