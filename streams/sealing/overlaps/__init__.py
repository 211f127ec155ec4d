"""Audio of two sockets for the same time: equal audio is kept once, other audio side by side."""
