"""Gives every line back, and asks its cache for a PONG twenty times a second, so that both links carry something."""

import os
import socket
import sys
import threading
import time


def ask(address: tuple[str, int]) -> None:
    while True:
        try:
            with socket.create_connection(address, timeout=1) as cache:
                while True:
                    cache.sendall(b"PING\r\n")
                    if not cache.recv(64):
                        break
                    time.sleep(0.05)
        except OSError:
            time.sleep(0.05)


def echo(connection: socket.socket) -> None:
    with connection:
        try:
            while data := connection.recv(4096):
                connection.sendall(data)
        except OSError:
            pass


host, _, port = os.environ["CACHE"].rpartition(":")
listening = socket.create_server((sys.argv[1], int(sys.argv[2])))
threading.Thread(target=ask, args=((host, int(port)),), daemon=True).start()
while True:
    accepted, _ = listening.accept()
    threading.Thread(target=echo, args=(accepted,), daemon=True).start()
