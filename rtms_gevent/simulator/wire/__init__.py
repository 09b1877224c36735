"""The simulator's sockets: WebSockets, handshakes, negotiation, keep-alives, network faults."""
