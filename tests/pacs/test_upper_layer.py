"""The receiving half of the upper layer protocol, held against pynetdicom's classes and against nonsense."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import UID, CTImageStorage, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom.dimse_messages import C_STORE_RSP
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, MaximumLengthNotification
from pynetdicom.presentation import build_context

from liverimg.pacs import upper_layer as ul
from liverimg.pacs.association import KNOWN, STORAGE_CLASSES, choose
from liverimg.pacs.commands import C_STORE, Command, Status, answer, read_command
from liverimg.pacs.upper_layer import ProtocolError


def request_bytes(*, most: int = 16384) -> bytes:
    """An association request as pynetdicom writes it."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID(ul.APPLICATION_CONTEXT)
    primitive.calling_ae_title, primitive.called_ae_title = "CT", "LIVERIMG"
    contexts = [
        build_context(CTImageStorage),
        build_context(CTImageStorage, JPEG2000Lossless),
        build_context("1.2.3.4"),
        build_context(CTImageStorage, "1.2.840.10008.1.2.1.99"),
    ]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    length = MaximumLengthNotification()
    length.maximum_length_received = most
    primitive.user_information = [length]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return pdu.encode()


def test_reads_a_request_as_the_peer_library_writes_it() -> None:
    request = ul.read_request(request_bytes()[ul.HEAD_BYTES :])
    assert (request.called, request.calling, request.most_pdu_bytes) == ("LIVERIMG", "CT", 16384)
    assert request.application == ul.APPLICATION_CONTEXT
    assert [c.number for c in request.contexts] == [1, 3, 5, 7]
    assert request.contexts[1].transfer_syntaxes == (JPEG2000Lossless,)
    # The first syntax that the peer names; no class that is no storage, no deflated.
    assert choose(request) == {1: ImplicitVRLittleEndian, 3: JPEG2000Lossless}


def test_the_peer_library_reads_the_acceptance() -> None:
    request = ul.read_request(request_bytes()[ul.HEAD_BYTES :])
    encoded = ul.accept(request, choose(request), known=KNOWN, pdu_bytes=262144, uid="1.2.3")
    pdu = A_ASSOCIATE_AC()
    pdu.decode(encoded)
    primitive = pdu.to_primitive()
    assert [c.result for c in primitive.presentation_context_definition_results_list] == [0, 0, 3, 4]
    assert primitive.maximum_length_received == 262144
    assert pdu.called_ae_title == "LIVERIMG"
    assert pdu.calling_ae_title == "CT"


def test_the_peer_library_reads_the_rejection() -> None:
    pdu = A_ASSOCIATE_RJ()
    pdu.decode(ul.reject(ul.STRANGER))
    assert (pdu.result, pdu.source, pdu.reason_diagnostic) == (1, 1, 3)


def test_a_peer_without_limit_gets_one() -> None:
    assert ul.read_request(request_bytes(most=0)[ul.HEAD_BYTES :]).most_pdu_bytes == 1 << 16


@pytest.mark.parametrize("cut", [0, 10, 67, 70, 90, 200])
def test_a_cut_request_is_refused(cut: int) -> None:
    with pytest.raises(ProtocolError):
        ul.read_request(request_bytes()[ul.HEAD_BYTES :][:cut])


@settings(max_examples=300)
@given(st.data())
def test_a_spoilt_request_is_refused_or_read_but_never_raises_otherwise(data: st.DataObject) -> None:
    body = bytearray(request_bytes()[ul.HEAD_BYTES :])
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        request = ul.read_request(bytes(body))
    except ProtocolError:
        return
    encoded = ul.accept(request, choose(request), known=KNOWN, pdu_bytes=4096, uid="1.2.3")
    assert ul.read_head(encoded[: ul.HEAD_BYTES]) == (2, len(encoded) - ul.HEAD_BYTES)


@given(st.binary(max_size=300))
def test_nonsense_never_raises_anything_else(data: bytes) -> None:
    for read in (ul.read_request, read_command, lambda d: list(ul.fragments(memoryview(d)))):
        try:
            read(data)
        except ProtocolError:
            continue


def test_fragments_are_found() -> None:
    values = [(1, 0x03, b"command"), (1, 0x00, b"da"), (1, 0x02, b"ta")]
    body = b"".join(struct.pack(">LBB", len(v) + 2, c, h) + v for c, h, v in values)
    found = [(f.context, f.is_command, f.is_last, bytes(f.value)) for f in ul.fragments(memoryview(body))]
    assert found == [(1, True, True, b"command"), (1, False, False, b"da"), (1, False, True, b"ta")]


def test_the_peer_library_reads_the_answer_to_a_store() -> None:
    command = Command(C_STORE, 7, CTImageStorage, "1.2.3.4.5", has_data=True)
    encoded = answer(command, Status.OUT_OF_RESOURCES, "the disk is full")
    pdus = ul.data(1, encoded, most_pdu_bytes=40)
    assert len(pdus) > len(encoded) + 6 * 2, "a small peer gets it in pieces"
    from io import BytesIO

    from pynetdicom.dsutils import decode

    message = C_STORE_RSP()
    message.command_set = decode(BytesIO(encoded), True, True)
    primitive = message.message_to_primitive()
    assert primitive.Status == 0xA700
    assert primitive.MessageIDBeingRespondedTo == 7
    assert primitive.AffectedSOPInstanceUID == "1.2.3.4.5"
    assert primitive.ErrorComment == "the disk is full"
    assert read_command(encoded).field == 0x8001


def test_storage_classes_are_those_of_images_and_reports() -> None:
    assert {CTImageStorage, "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"} <= STORAGE_CLASSES
    assert "1.2.840.10008.1.20.1" not in STORAGE_CLASSES  # storage commitment
    assert "1.2.840.10008.1.3.10" not in STORAGE_CLASSES  # media directory
