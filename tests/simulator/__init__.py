"""Tests of the simulator, which speak to it with a raw WebSocket client and literal JSON."""
