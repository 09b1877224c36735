"""Every state times every message from either side, for both conversations."""

import itertools

import pytest

from rtms_gevent.enums import MessageType
from rtms_gevent.errors import LocalProtocolError, RemoteProtocolError
from rtms_gevent.protocol import messages
from rtms_gevent.protocol.media import MediaState
from rtms_gevent.protocol.messages import (
    ClientReady,
    KeepAliveResponse,
    StreamCloseRequest,
)
from rtms_gevent.protocol.signaling import SignalingState
from rtms_gevent.protocol.state import State

from .helpers import decode, encode
from .test_messages import RECEIVED, SENT
from .test_packets import PACKETS

IDLE, HANDSHAKING, READY, CLOSING, CLOSED = State

#: Numbers that have no class to be read by.
UNREAD = set(MessageType) - set(messages.RECEIVED) - {MessageType.UNDEFINED}

#: One message of each number, by whether we send it.
SAMPLES = {
    True: {document["msg_type"]: message for document, message in SENT},
    False: {
        **{int(number): decode({"msg_type": int(number)}) for number in UNREAD},
        **{document["msg_type"]: message for document, message in RECEIVED + PACKETS},
    },
}

UPDATES = {6, 8, 9, 11, 20, 29}
MEDIA = {14, 15, 16, 17, 18}

# What PROTOCOL's pages allow, written once more: (state, we send?, numbers) -> next state.
LEGAL = {
    SignalingState: {
        (IDLE, True): {1: HANDSHAKING},
        (HANDSHAKING, False): {2: READY},
        (READY, True): {**dict.fromkeys((5, 7, 28), READY), 21: CLOSING},
        (READY, False): dict.fromkeys(UPDATES, READY),
        (CLOSING, False): {**dict.fromkeys(UPDATES, CLOSING), 22: CLOSED},
        (CLOSED, False): dict.fromkeys(UPDATES, CLOSED),
    },
    MediaState: {
        (IDLE, True): {3: HANDSHAKING},
        (HANDSHAKING, False): {4: READY},
        (READY, False): dict.fromkeys(MEDIA | {8}, READY),
    },
}
CONVERSATIONS = {
    "signaling": SignalingState,
    "audio": lambda: MediaState("audio"),
}
#: Not part of the tables: keep-alives are always answered, what is not known always passes.
ALWAYS = {12, *range(23, 28)}


def in_state(make, state):
    conversation = make()
    conversation.state = state
    return conversation


@pytest.mark.parametrize("make", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize(
    ("state", "sends", "number"),
    [
        (state, sends, number)
        for state, sends in itertools.product(State, (True, False))
        for number in sorted(SAMPLES[sends].keys() - ALWAYS)
    ],
    ids=lambda value: value.name if isinstance(value, State) else str(value),
)
def test_every_edge_moves_or_raises(make, state, sends, number):
    conversation, message = in_state(make, state), SAMPLES[sends][number]
    target = LEGAL[type(conversation)].get((state, sends), {}).get(number)
    step = conversation.sending if sends else conversation.received
    if target is not None:
        assert step(message) is None
        assert conversation.state is target
    else:
        with pytest.raises(LocalProtocolError if sends else RemoteProtocolError) as caught:
            step(message)
        assert conversation.state is state
        assert MessageType(number).name in str(caught.value)
        assert state.value in str(caught.value)


@pytest.mark.parametrize("make", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"timestamp": 1738392033699},
        {"timestamp": 1738392033699, "sequence": 7},
        {"timestamp": "soon", "sequence": None, "newer": {"a": [1]}},
    ],
)
def test_keep_alives_are_answered_in_every_state_with_all_they_carried(make, state, fields):
    conversation = in_state(make, state)
    answer = conversation.received(decode({"msg_type": 12, **fields}))
    assert encode(answer) == {"msg_type": 13, **fields}
    assert conversation.state is state


@pytest.mark.parametrize("make", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(
    "document",
    [{"msg_type": 0}, {"msg_type": 30}, {"msg_type": 25}, {"msg_type": "?"}, {}],
)
def test_what_is_not_known_may_always_arrive(make, state, document):
    conversation = in_state(make, state)
    assert conversation.received(decode(document)) is None
    assert conversation.state is state


@pytest.mark.parametrize("make", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("state", State)
def test_we_do_not_answer_unasked(make, state):
    with pytest.raises(LocalProtocolError):
        in_state(make, state).sending(KeepAliveResponse())


def test_begins_idle_and_says_which_socket():
    conversation = MediaState("unified")
    assert conversation.state is IDLE
    with pytest.raises(LocalProtocolError) as caught:
        conversation.sending(ClientReady(stream_id="s"))
    assert str(caught.value) == "cannot send CLIENT_READY_ACK on the unified socket: it is idle"


def test_a_stream_from_beginning_to_end():
    conversation = SignalingState()
    conversation.sending(SAMPLES[True][1])
    conversation.received(decode({"msg_type": 2, "status_code": 0}))
    conversation.sending(ClientReady(stream_id="s"))
    conversation.received(decode({"msg_type": 8, "state": 2}))
    conversation.sending(ClientReady(stream_id="s"))
    conversation.sending(StreamCloseRequest(stream_id="s"))
    conversation.received(decode({"msg_type": 22, "status_code": 0}))
    conversation.received(decode({"msg_type": 8, "state": 4, "reason": 20}))
    assert conversation.state is CLOSED
