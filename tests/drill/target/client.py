"""The traffic worker: a line every 20 ms to the address in its arguments, over and over."""

import socket
import sys
import time

while True:
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1) as entry:
            while True:
                entry.sendall(b"hello\n")
                if not entry.recv(64):
                    break
                time.sleep(0.02)
    except OSError:
        time.sleep(0.05)
