"""A process that was given nothing. In: ports. Out: what each answers to it, as JSON; it needs no library.

It speaks gRPC (HTTP/2 without TLS) and HTTP/1.1, and calls what would run code, change or tell something.
"""

import encodings.idna  # noqa: F401 - loaded at need it would be out of reach of another user
import json
import os
import socket
import struct
import sys

SECONDS = 5.0
NOBODY = 65534
CALLS = (
    "/ray.rpc.NodeInfoGcsService/GetClusterId",
    "/ray.rpc.JobInfoGcsService/AddJob",
    "/ray.rpc.InternalKVGcsService/InternalKVKeys",
    "/ray.rpc.ActorInfoGcsService/GetAllActorInfo",
    "/ray.rpc.NodeManagerService/GetNodeStats",
    "/ray.rpc.NodeManagerService/RequestWorkerLease",
    "/ray.rpc.ObjectManagerService/Pull",
    "/ray.rpc.CoreWorkerService/GetCoreWorkerStats",
    "/ray.rpc.CoreWorkerService/PushTask",
    "/ray.rpc.RayletDriver/Init",
)
PATHS = (
    "/",
    "/api/version",
    "/get_runtime_envs_info",
    "/get_or_create_runtime_env",
    "/ajax-api/2.0/mlflow/experiments/search",
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, DATA, SETTINGS, GOAWAY = 1, 0, 4, 7
STATUS = b"grpc-status"
NAMES = {"0": "OK", "12": "UNIMPLEMENTED", "16": "UNAUTHENTICATED"}


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame of HTTP/2 (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def literal(name: str, value: str) -> bytes:
    """Return a header field that is not indexed (RFC 7541, section 6.2.2); both shorter than 127 characters."""
    return b"\0" + b"".join(bytes((len(text),)) + text.encode() for text in (name, value))


def status_of(answer: bytes) -> str:
    """Return the gRPC status in the frames of an answer; empty where it has not come yet."""
    if STATUS not in answer:
        return ""
    at = answer.index(STATUS) + len(STATUS)
    length = answer[at] if at < len(answer) else 1
    return answer[at + 1 : at + 1 + length].decode(errors="replace") if at + 1 + length <= len(answer) else ""


def call(host: str, port: int, method: str) -> str:
    """Call a gRPC method with an empty message, and return the name or number of its status."""
    fields = {":method": "POST", ":scheme": "http", ":path": method, ":authority": f"{host}:{port}"}
    fields |= {"content-type": "application/grpc", "te": "trailers"}
    head = b"".join(literal(name, value) for name, value in fields.items())
    asked = PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, 4, 1, head) + frame(DATA, 1, 1, bytes(5))
    answer = b""
    try:
        with socket.create_connection((host, port), timeout=SECONDS) as connection:
            connection.sendall(asked)
            while not (status := status_of(answer)):
                if not (more := connection.recv(65536)):
                    return "closed"
                answer += more
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return error.strerror or str(error)
    return NAMES.get(status, f"status {status}")


def ask(host: str, port: int, path: str) -> str:
    """Ask for a page, and return the status line's number."""
    try:
        with socket.create_connection((host, port), timeout=SECONDS) as connection:
            method = "POST" if "runtime_env" in path or "search" in path else "GET"
            lines = (f"{method} {path} HTTP/1.1", f"Host: {host}:{port}", "Content-Type: application/json")
            body = '{"max_results": 1}'
            head = "\r\n".join((*lines, f"Content-Length: {len(body)}", "Connection: close"))
            connection.sendall(f"{head}\r\n\r\n{body}".encode())
            answer = connection.recv(65536)
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return error.strerror or str(error)
    words = answer.split(b"\r\n")[0].split()
    return words[1].decode() if answer.startswith(b"HTTP/1.") and len(words) > 1 else "closed"


def opened(socket_path: str) -> str:
    """Return whether a socket of the file system lets this process in."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        try:
            connection.connect(socket_path)
        except OSError as error:
            return error.strerror or str(error)
    return "connected"


def main() -> None:
    """Read addresses, ports and sockets; print what each answers, to another user where this one may be that."""
    asked = json.loads(sys.argv[1])
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    found = {
        f"{host} {port}": {
            "grpc": {one: call(host, port, one) for one in CALLS},
            "http": {one: ask(host, port, one) for one in PATHS},
        }
        for host, port in asked["ports"]
    }
    print(
        json.dumps({"user": os.getuid(), "ports": found, "sockets": {path: opened(path) for path in asked["sockets"]}})
    )


if __name__ == "__main__":
    main()
