"""What one read has brought, in batches: media of one type together, all else one by one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..errors import FrameError
from .fast_media import FastMediaDecoder
from .packets import MediaPacket
from .state import ConnectionState

__all__ = ["BatchReader", "MessageReceiver", "PacketBatch", "PacketReceiver"]


class PacketBatch(list[MediaPacket]):
    """Packets of one media type, in their order; never empty.

    Both attributes are those of most batches until they are set.
    """

    #: Whether their metadata may differ. Else all have the same object.
    is_mixed = False
    #: Whether nothing comes after them in the same read, so that they may be delivered at once.
    is_last = True


class PacketReceiver(Protocol):
    """Who gets media."""

    def receive(self, batch: PacketBatch) -> None:
        """Take all packets of a batch, or raise and take none.

        Called by the hub. May switch to another greenlet where the batch is the last of its read.
        """


class MessageReceiver(Protocol):
    """Who gets what is not usual media. Called by the hub; must neither wait nor raise."""

    def receive_message(self, payload: memoryview) -> None:
        """Take one message, which lies there until this returns."""

    def skipped(self, problem: Exception) -> None:
        """Note that a packet was lost, since its receiver raised ``problem``."""


class BatchReader:
    """Groups the messages of one socket, read by read."""

    __slots__ = ("_decode", "_media", "_messages", "_state")

    def __init__(
        self,
        decoder: FastMediaDecoder,
        state: ConnectionState,
        media: PacketReceiver,
        messages: MessageReceiver,
    ) -> None:
        """Begin to read.

        Args:
            decoder: Finds the packets in usual messages of media.
            state: Whether media may come now.
            media: Gets usual media.
            messages: Gets all else, in the order in which everything came.
        """
        self._decode = decoder.decode
        self._state = state
        self._media = media
        self._messages = messages

    def read(self, messages: Iterable[tuple[int, bytearray | bytes, int, int]]) -> None:
        """Hand on the messages of one read.

        Args:
            messages: Opcode, buffer, and where in it the message begins and stops.

        Raises:
            FrameError: ``messages`` did; what came before was handed on.
        """
        # Functions in attributes are not called there: Python takes a long way to do that. And a
        # list of our own is slower to append to than Python's.
        state, decode = self._state, self._decode
        packets: list[MediaPacket] = []
        kind, metadata, is_mixed = None, None, False
        try:
            for _, buffer, start, stop in messages:
                if state.accepts_media:
                    try:
                        packet = decode(buffer, start, stop)
                    except Exception:  # noqa: BLE001 - the long way tells what is wrong
                        packet = None
                    if packet is not None:
                        if packet[3] is metadata:  # of the same type, too
                            packets.append(packet)
                            continue
                        metadata = packet[3]
                        if packet[0] is kind:
                            packets.append(packet)
                            is_mixed = True
                            continue
                        if packets:
                            self._hand_on(packets, is_mixed)
                        kind, packets, is_mixed = packet[0], [packet], False
                        continue
                if packets:
                    self._hand_on(packets, is_mixed)
                    kind, packets, metadata = None, [], None
                self._messages.receive_message(memoryview(buffer)[start:stop])
        except FrameError:
            if packets:
                self._hand_on(packets, is_mixed)
            raise
        if packets:
            batch = PacketBatch(packets)
            if is_mixed:
                batch.is_mixed = True
            try:
                self._media.receive(batch)
            except Exception as problem:  # noqa: BLE001 - reported there
                self._hand_on_singly(packets, problem)

    def _hand_on(self, packets: list[MediaPacket], is_mixed: bool) -> None:
        """Hand on packets that are not the last of a read."""
        batch = PacketBatch(packets)
        batch.is_mixed, batch.is_last = is_mixed, False
        try:
            self._media.receive(batch)
        except Exception as problem:  # noqa: BLE001 - reported there
            self._hand_on_singly(packets, problem)

    def _hand_on_singly(self, packets: list[MediaPacket], problem: Exception) -> None:
        """Hand on one by one what could not be handed on together, but for what spoils it."""
        if len(packets) == 1:
            self._messages.skipped(problem)
            return
        for packet in packets:
            self._hand_on([packet], False)
