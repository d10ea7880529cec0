"""Once imported, no code of this process reaches for the network: it fails instead.

Local pairs of sockets, by which processes of one machine talk, are no concern here. Only numbers
and tuples are used, so that a process that starts with this pays for no import.
"""

import sys

REACHING = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
# IP of version 4, and of version 6 on Linux and on macOS.
FAMILIES = {2, 10, 30}


def _refuse(event, arguments):
    opened = event == "socket.__new__" and int(arguments[1]) in FAMILIES
    local = event == "socket.connect" and isinstance(arguments[1], str | bytes)
    if opened or (event in REACHING and not local):
        raise AssertionError(f"a test reaches for the network: {event} {arguments[1:]}")


sys.addaudithook(_refuse)
