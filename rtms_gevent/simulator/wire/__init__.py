"""What goes over the simulator's sockets, and what is made to go wrong there."""
