"""Receiving: who comes in, who does not, what is refused and with which status."""

import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from tests.pacs.conftest import Papers, free_port, instance, quick, wait_until, write_study

from liverimg.core.errors import PeerError, UsageError
from liverimg.pacs import dimse
from liverimg.pacs.checkpoint import steady
from liverimg.pacs.door import Door, House
from liverimg.pacs.identify import NoObjectError, file_head, identify_stream
from liverimg.pacs.intake import SpoolReceiver
from liverimg.pacs.names import is_uid, opaque
from liverimg.pacs.peer import Peer, Tls, server_context
from liverimg.pacs.retry import PassingError
from liverimg.pacs.settings import Quota, listener_settings, shipped_quota
from liverimg.pacs.spool import Spool

# Longer than any test: who is shown out for silence is told so in the test that asks for it.
QUIET = {"request_s": 600.0, "idle_s": 600.0}
WIDE = replace(shipped_quota(), floor_mib=1)


@contextmanager
def listening(
    folder: Path,
    *,
    quota: Quota = WIDE,
    tls: ssl.SSLContext | None = None,
    peers: dict | None = None,
    **limits: object,
) -> Iterator[tuple[Door, Spool]]:
    """A listener in this process."""
    spool = Spool(folder / "spool", quota=quota)
    house = House(
        "LIVERIMG",
        "127.0.0.1",
        0,
        peers or {"CT": (), "MR": ()},
        tls,
        replace(listener_settings(), **{**QUIET, **limits}),
    )
    try:
        with Door(house, SpoolReceiver(spool)) as door:
            yield door, spool
    finally:
        spool.close()


def answered(node: AE, door: Door, **request: object) -> Association:
    """Asks for an association, and again where pynetdicom did not see the answer.

    Its thread looks whether the connection stands after it may have been answered; a rejection that came and closed the
    connection before is then taken for a connection that was never made.
    """
    for _ in range(5):
        line = node.associate("127.0.0.1", door.port, **request)
        if line.is_established or line.is_rejected:
            break
    return line


@contextmanager
def associated(door: Door, *, calling: str = "CT", tls: tuple | None = None, **limits: object) -> Iterator[Association]:
    """An association of pynetdicom with the listener."""
    node = AE(ae_title=calling)
    node.connection_timeout = node.acse_timeout = node.dimse_timeout = node.network_timeout = 60
    contexts = [
        build_context(CTImageStorage, ExplicitVRLittleEndian),
        build_context("1.2.840.10008.1.1"),
        build_context("1.2.840.10008.5.1.4.1.2.2.1"),
    ]
    association = answered(node, door, contexts=contexts, ae_title="LIVERIMG", tls_args=tls, **limits)
    try:
        yield steady(association)
    finally:
        if association.is_established:
            with suppress(PassingError):
                association.release()


def stored(spool: Spool) -> list[Path]:
    return sorted(spool.folder.rglob("objects/*.dcm"))


def test_stores_the_bytes_that_came(tmp_path: Path) -> None:
    sent = instance(side_px=64)
    with listening(tmp_path) as (door, spool), associated(door) as line:
        assert line.send_c_store(sent).Status == 0x0000
        (path,) = stored(spool)
        kept = pydicom.dcmread(path)
        assert kept == sent
        assert kept.PixelData == sent.PixelData
        assert kept.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert path.read_bytes()[:132] == bytes(128) + b"DICM"
        assert path.stat().st_mode & 0o077 == 0
        assert spool.folder.stat().st_mode & 0o077 == 0
        assert not list((spool.folder / "incoming").iterdir())


def is_dcmtk(program: str) -> bool:
    """Whether the program on the path is DCMTK's: pynetdicom's has the same name and takes other options."""
    if shutil.which(program) is None:
        return False
    return "dcmtk" in subprocess.run([program, "--version"], check=False, capture_output=True, text=True).stdout


def test_takes_what_dcmtk_sends(tmp_path: Path) -> None:
    if not is_dcmtk("storescu"):
        pytest.skip("storescu (Debian: dcmtk) is not on this machine")
    folder = write_study(tmp_path / "study", slices=3, side_px=200)
    with listening(tmp_path) as (door, spool):
        command = ["storescu", "-aet", "CT", "-aec", "LIVERIMG", "+sd", "127.0.0.1", str(door.port), str(folder)]
        subprocess.run(command, check=True, timeout=300)
        subprocess.run(
            ["echoscu", "-aet", "CT", "-aec", "LIVERIMG", "127.0.0.1", str(door.port)], check=True, timeout=300
        )
        kept = {ds.SOPInstanceUID: ds.PixelData for ds in map(pydicom.dcmread, stored(spool))}
    assert kept == {ds.SOPInstanceUID: ds.PixelData for ds in map(pydicom.dcmread, folder.iterdir())}


def test_names_in_the_spool_say_nothing(tmp_path: Path) -> None:
    with listening(tmp_path) as (door, spool), associated(door) as line:
        line.send_c_store(instance())
        names = "".join(str(p.relative_to(spool.folder)) for p in spool.folder.rglob("*"))
    assert "1.2.826" not in names
    assert "PHANTOM" not in names


def test_answers_an_echo_and_says_what_it_does_not_do(tmp_path: Path) -> None:
    with listening(tmp_path) as (door, _), associated(door) as line:
        assert line.send_c_echo().Status == 0x0000
        # Questions are not among our services: that context is not accepted.
        assert {str(c.abstract_syntax) for c in line.accepted_contexts} == {CTImageStorage, "1.2.840.10008.1.1"}


@pytest.mark.parametrize(
    ("calling", "called", "reason"),
    [("EVE", "LIVERIMG", 3), ("CT", "SOMEBODY", 7)],
)
def test_strangers_stay_outside(tmp_path: Path, calling: str, called: str, reason: int) -> None:
    with listening(tmp_path) as (door, _):
        node = AE(ae_title=calling)
        line = answered(node, door, contexts=[build_context("1.2.840.10008.1.1")], ae_title=called)
        assert line.is_rejected
        assert (line.acceptor.primitive.result, line.acceptor.primitive.result_source) == (1, 1)
        assert line.acceptor.primitive.diagnostic == reason


def test_a_title_belongs_to_its_address(tmp_path: Path) -> None:
    with listening(tmp_path, peers={"CT": ("192.0.2.1",), "MR": ("127.0.0.1",)}) as (door, _):
        with associated(door, calling="CT") as line:
            assert line.is_rejected
        with associated(door, calling="MR") as line:
            assert line.is_established


def test_places_are_limited_and_come_free_again(tmp_path: Path) -> None:
    with listening(tmp_path, associations=3, associations_per_peer=2) as (door, _):
        with associated(door) as one, associated(door) as two:
            assert one.is_established
            assert two.is_established
            with associated(door) as third:
                assert third.is_rejected, "a peer has two places"
                answer = third.acceptor.primitive
                assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)
            with associated(door, calling="MR") as other:
                assert other.is_established
        wait_until(lambda: door.associations == 0)
        with associated(door) as again:
            assert again.is_established


# ---- idle peers ----


def test_fifty_idle_sockets_stand_in_nobodys_way(tmp_path: Path) -> None:
    with listening(tmp_path) as (door, spool):
        idle = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(50)]
        # Every wait of the good peer ends long before those of the idle ones, and none is repeated.
        peer = quick(
            Peer(host="127.0.0.1", port=door.port, ae_title="LIVERIMG", own_title="CT"),
            attempts=1,
            connect_s=60.0,
            answer_s=60.0,
        )
        dimse.echo(peer)
        with associated(door) as line:
            assert line.send_c_store(instance()).Status == 0x0000
        assert len(stored(spool)) == 1
        for sock in idle:  # all of them were still there meanwhile
            sock.settimeout(0)
            with pytest.raises(BlockingIOError):
                sock.recv(1)
            sock.close()


def test_an_idle_tls_peer_stands_in_nobodys_way(tmp_path: Path, papers: Papers) -> None:
    with listening(tmp_path, tls=server_context(papers.server_tls)) as (door, _):
        silent = socket.create_connection(("127.0.0.1", door.port))  # never says hello
        halfway = socket.create_connection(("127.0.0.1", door.port))
        halfway.sendall(b"\x16\x03\x01\x02\x00")  # the head of a hello
        done = papers.client_tls
        shaken = ssl.create_default_context(cafile=done.ca)
        shaken.load_cert_chain(done.certificate, done.key)
        mute = shaken.wrap_socket(socket.create_connection(("127.0.0.1", door.port)), server_hostname="127.0.0.1")
        many = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(50)]
        peer = Peer(host="127.0.0.1", port=door.port, ae_title="LIVERIMG", own_title="CT", tls=papers.client_tls)
        dimse.echo(quick(peer, attempts=1, connect_s=60.0, answer_s=60.0))
        for sock in (silent, halfway, mute, *many):
            sock.close()


def test_the_silent_are_shown_out(tmp_path: Path) -> None:
    with listening(tmp_path, request_s=0.3) as (door, _):
        with socket.create_connection(("127.0.0.1", door.port), timeout=120) as sock:
            assert sock.recv(1) == b""
        # One byte at a time does not buy time.
        with socket.create_connection(("127.0.0.1", door.port), timeout=120) as sock:
            ended = False
            for _ in range(2000):
                try:
                    sock.sendall(b"\x01")
                except OSError:
                    ended = True
                    break
                time.sleep(0.05)
            assert ended


def test_a_crowd_pushes_out_the_longest_waiting(tmp_path: Path) -> None:
    with listening(tmp_path, waiting=5) as (door, _):
        crowd = [socket.create_connection(("127.0.0.1", door.port), timeout=120) for _ in range(8)]
        assert crowd[0].recv(1) == b""
        with associated(door) as line:
            assert line.is_established
        for sock in crowd:
            sock.close()


def test_a_peer_that_falls_silent_loses_its_place(tmp_path: Path) -> None:
    with listening(tmp_path, idle_s=0.3) as (door, _), associated(door) as line:
        assert line.accepted_contexts, "it had one"
        wait_until(lambda: door.associations == 0)
        wait_until(lambda: not line.is_established)


# ---- TLS ----


def test_tls_both_ways(tmp_path: Path, papers: Papers) -> None:
    with listening(tmp_path, tls=server_context(papers.server_tls)) as (door, spool):
        peer = quick(
            Peer(host="127.0.0.1", port=door.port, ae_title="LIVERIMG", own_title="CT", tls=papers.client_tls),
            attempts=1,
            answer_s=60.0,
        )
        dimse.echo(peer)
        nobody = replace(peer, tls=Tls(ca=papers.ca))
        stranger = replace(peer, tls=Tls(ca=papers.ca, certificate=papers.stranger, key=papers.stranger_key))
        distrustful = replace(peer, tls=replace(papers.client_tls, ca=papers.stranger_ca))
        plain = replace(peer, tls=None)
        for wrong in (nobody, stranger, distrustful, plain):
            with pytest.raises(PeerError):
                dimse.echo(wrong)
        context = ssl.create_default_context(cafile=papers.ca)
        context.load_cert_chain(papers.client, papers.client_key)
        with associated(door, tls=(context, "127.0.0.1")) as line:
            sent = instance(side_px=300)
            assert line.send_c_store(sent).Status == 0x0000
        assert pydicom.dcmread(stored(spool)[0]).PixelData == sent.PixelData


def test_a_certificate_for_another_name_is_refused(tmp_path: Path, papers: Papers) -> None:
    with listening(tmp_path, tls=server_context(papers.server_tls)) as (door, _):
        peer = quick(Peer(host="127.0.0.1", port=door.port, ae_title="LIVERIMG", own_title="CT"), attempts=1)
        dimse.echo(replace(peer, tls=replace(papers.client_tls, name="localhost")))
        with pytest.raises(PeerError):
            dimse.echo(replace(peer, tls=replace(papers.client_tls, name="pacs.example")))


# ---- refusals ----


def without(*keywords: str) -> Dataset:
    spoilt = instance()
    for keyword in keywords:
        delattr(spoilt, keyword)
    return spoilt


def hostile_study() -> Dataset:
    spoilt = instance()
    with pydicom.config.disable_value_validation():
        spoilt.StudyInstanceUID = UID("../../../etc/passwd", validation_mode=0)
    return spoilt


@pytest.mark.parametrize(
    ("quota", "make", "status"),
    [
        ({"instance_mib": 0.05}, lambda: instance(side_px=256), 0xA700),
        ({"spool_mib": 0.5}, instance, 0xA700),
        ({"floor_mib": 1 << 30}, instance, 0xA700),
        ({"studies": 0}, instance, 0xA700),
        ({}, lambda: without("StudyInstanceUID"), 0xC000),
        ({}, lambda: without("SeriesInstanceUID"), 0xC000),
        ({}, hostile_study, 0xC000),
    ],
)
def test_refusals_have_the_right_status(tmp_path: Path, quota: dict, make: Callable[[], Dataset], status: int) -> None:
    with listening(tmp_path, quota=replace(WIDE, **quota)) as (door, spool), associated(door) as line:
        answer = line.send_c_store(make())
        assert answer.Status == status
        assert answer.ErrorComment
        assert "PHANTOM" not in answer.ErrorComment
        # The association goes on, and nothing is left behind.
        assert line.send_c_echo().Status == 0x0000
        assert not stored(spool)
        assert not list((spool.folder / "incoming").iterdir())


def test_the_quota_of_a_study_lets_known_objects_through(tmp_path: Path) -> None:
    with listening(tmp_path, quota=replace(WIDE, study_instances=2)) as (door, spool), associated(door) as line:
        assert [line.send_c_store(instance(number=n)).Status for n in (1, 2, 3, 1)] == [0, 0, 0xA700, 0]
        assert len(stored(spool)) == 2


def test_another_object_than_announced_is_refused(tmp_path: Path) -> None:
    with listening(tmp_path) as (door, spool):
        raw = RawPeer(door.port)
        raw.associate()
        body = encoded(instance(number=2))
        raw.store("1.2.3.4", body)
        assert raw.status() == 0xA900
        raw.store("not a uid", body)
        assert raw.status() == 0xC000
        raw.close()
        assert not stored(spool)


def encoded(ds: Dataset) -> bytes:
    """A data set in Explicit VR Little Endian, without a file's head."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, ds)
    return stream.getvalue()


class RawPeer:
    """A peer that does as it likes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)

    def associate(self) -> None:
        def item(kind: int, value: bytes) -> bytes:
            return struct.pack(">BxH", kind, len(value)) + value

        context = struct.pack(">Bxxx", 1) + item(0x30, CTImageStorage.encode()) + item(0x40, b"1.2.840.10008.1.2.1")
        body = (
            struct.pack(">Hxx", 1) + b"LIVERIMG".ljust(16) + b"CT".ljust(16) + bytes(32)
            + item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, context)
            + item(0x50, item(0x51, struct.pack(">L", 16384)))
        )  # fmt: skip
        self.pdu(1, body)
        assert self.read()[0] == 2

    def pdu(self, kind: int, body: bytes, *, length: int | None = None) -> None:
        self.socket.sendall(struct.pack(">BxL", kind, len(body) if length is None else length) + body)

    def read(self) -> tuple[int, bytes]:
        head = self._exactly(6)
        kind, length = struct.unpack(">BxL", head)
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionError("closed")
            data += piece
        return data

    def value(self, control: int, value: bytes, *, context: int = 1) -> None:
        self.pdu(4, struct.pack(">LBB", len(value) + 2, context, control) + value)

    def store(self, uid: str, data: bytes, *, pieces: int = 3, stop_after: int | None = None) -> None:
        named = uid.encode() + b"\0" * (len(uid) % 2)
        elements = [(0x0002, CTImageStorage.encode()), (0x0100, b"\x01\x00"), (0x0110, b"\x07\x00")]
        elements += [(0x0700, b"\x00\x00"), (0x0800, b"\x01\x00"), (0x1000, named)]
        command = b"".join(struct.pack("<HHL", 0, tag, len(v)) + v for tag, v in elements)
        self.value(0x01, command[:11])
        self.value(0x03, command[11:])
        size = len(data) // pieces + 1
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        for number, part in enumerate(parts[:stop_after]):
            self.value(0x02 if number == len(parts) - 1 else 0x00, part)

    def status(self) -> int:
        kind, body = self.read()
        assert kind == 4
        at = body.index(struct.pack("<HHL", 0, 0x0900, 2))
        return struct.unpack_from("<H", body, at + 8)[0]

    def close(self) -> None:
        self.socket.close()


@pytest.mark.parametrize(
    ("kind", "body", "length"),
    [
        (4, b"", 1 << 30),  # a PDU of a gigabyte
        (9, b"", 0),  # no such type
        (1, bytes(100), None),  # a second request
        (4, b"", None),  # data without data
        (4, struct.pack(">LBB", 200, 1, 0), None),  # longer than its PDU
        (4, struct.pack(">LBB", 4, 9, 3) + b"xx", None),  # a context that was not agreed upon
        (4, struct.pack(">LBB", 4, 1, 0) + b"xx", None),  # data without a command
        (4, struct.pack(">LBB", 4, 1, 3) + b"xx", None),  # a command of two bytes
    ],
)
def test_whoever_breaks_the_protocol_is_cut_off(tmp_path: Path, kind: int, body: bytes, length: int | None) -> None:
    with listening(tmp_path) as (door, _):
        raw = RawPeer(door.port)
        raw.associate()
        raw.pdu(kind, body, length=length)
        assert raw.read()[0] == 7, "an abort"
        with pytest.raises(ConnectionError):
            raw.read()
        raw.close()
        wait_until(lambda: door.associations == 0)
        with associated(door) as line:
            assert line.is_established


def test_an_endless_command_is_cut_off(tmp_path: Path) -> None:
    with listening(tmp_path) as (door, _):
        raw = RawPeer(door.port)
        raw.associate()
        with pytest.raises((ConnectionError, AssertionError)):
            for _ in range(100):
                raw.value(0x01, bytes(4096))
            raise AssertionError
        wait_until(lambda: door.associations == 0)


def test_half_an_object_leaves_nothing(tmp_path: Path) -> None:
    with listening(tmp_path) as (door, spool):
        raw = RawPeer(door.port)
        raw.associate()
        raw.store("1.2.3", bytes(9000), stop_after=2)
        wait_until(lambda: list((spool.folder / "incoming").iterdir()))
        raw.close()
        wait_until(lambda: not list((spool.folder / "incoming").iterdir()))
        assert not stored(spool)


def test_three_thousand_nested_sequences_are_no_object(tmp_path: Path) -> None:
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    nested = (b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff" + item) * 3000
    with listening(tmp_path) as (door, spool):
        raw = RawPeer(door.port)
        raw.associate()
        raw.store("1.2.3", nested)
        assert raw.status() == 0xC000
        raw.close()
        assert not stored(spool)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_spoilt_objects_are_taken_or_refused_but_never_raise(data: st.DataObject) -> None:
    body = bytearray(encoded(instance()))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, 700))] = data.draw(st.integers(0, 255))
    head = file_head(
        sop_class=CTImageStorage, sop_instance="1.2", transfer_syntax=ExplicitVRLittleEndian, implementation="1.2"
    )
    try:
        found = identify_stream(BytesIO(head + body))
    except NoObjectError:
        return
    assert all(is_uid(uid) for uid in (found.study, found.series, found.sop_instance, found.sop_class))


def test_closing_shows_everyone_out(tmp_path: Path) -> None:
    with listening(tmp_path) as (door, _):
        raw = RawPeer(door.port)
        raw.associate()
    with pytest.raises((ConnectionError, OSError)):
        raw.read()
    assert not [t for t in threading.enumerate() if t.name in ("door", "peer")]


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        spool = Spool(tmp_path / "spool")
        with pytest.raises(UsageError, match="can't be listened on"):
            Door(House("LIVERIMG", "127.0.0.1", port, {"CT": ()}), SpoolReceiver(spool))
        spool.close()


def test_the_study_of_an_object_is_opaque(tmp_path: Path) -> None:
    with listening(tmp_path) as (door, spool), associated(door) as line:
        line.send_c_store(instance(study=3))
        assert spool.studies() == [opaque(instance(study=3).StudyInstanceUID)]
