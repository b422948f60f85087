#!/usr/bin/env python3
"""An MCP server over stdio whose tools are faults: each does what no server should.

    faulty.py [MORE...]         what else stands there is ignored

It needs nothing but Python, speaks the protocol of 2025-11-25, and answers in the order in which it is asked.
"""

import json
import os
import signal
import sys
import time


def echo(id, arguments):
    """Answers with its argument `text`, as a server should."""
    answer(id, arguments.get("text", ""))


def fail(id, arguments):
    """Answers that the tool failed, with its argument `text` for a reason."""
    send({"id": id, "result": {"content": content(arguments.get("text", "")), "isError": True}})


def refuse(id, arguments):
    """Refuses with an error of JSON-RPC, with its argument `text` for a reason."""
    send({"id": id, "error": {"code": -32000 - 77, "message": arguments.get("text", ""), "data": arguments}})


def crash(id, arguments):
    """Ends without an answer."""
    os._exit(3)


def be_killed(id, arguments):
    """Ends by a signal, without an answer."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang(id, arguments):
    """Never answers; what comes later is answered."""


def flood(id, arguments):
    """Answers after two megabytes on stderr."""
    for number in range(32768):
        sys.stderr.write(f"{number:08} " + "flood " * 9 + "\n")
    sys.stderr.flush()
    answer(id, "flooded")


def half(id, arguments):
    """Writes half an answer and ends."""
    write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"te' % id)
    os._exit(1)


def twice(id, arguments):
    """Answers twice, and to a request that nobody made."""
    answer(id, "once")
    answer(id, "again")
    answer(987654, "nobody asked")


held = []


def hold(id, arguments):
    """Answers when two have been asked for, the second first."""
    held.append((id, arguments.get("text", "")))
    if len(held) == 2:
        while held:
            answer(*held.pop())


def garbage(id, arguments):
    """Answers amid lines that are no messages."""
    write(b"this is not JSON\n\n{}\n[]\nnull\n17\n\"text\"\n{\"jsonrpc\":\"2.0\"}\n")
    write(b'{"jsonrpc":"2.0","id":{},"result":[]}\n{"jsonrpc":"1.0","id":[1],"method":7}\n')
    write(b"[" * 5000 + b"\n" + b"x" * 3_000_000 + b"\n")
    answer(id, "amid garbage")
    write(b"{\"jsonrpc\":\"2.0\",\"method\":\n")


def binary(id, arguments):
    """Answers amid bytes that are no text."""
    write(bytes(range(256)) * 40 + b"\r\n\xff\xfe\0\0\n")
    answer(id, "amid bytes")
    write(b"\r\n\xc3")


def stay(id, arguments):
    """Answers with its process id, and then stays whatever becomes of stdin, until it is ended."""
    answer(id, str(os.getpid()))
    sys.stdin.buffer.read()
    time.sleep(600)


TOOLS = {
    tool.__name__: tool
    for tool in (echo, fail, refuse, crash, be_killed, hang, flood, half, twice, hold, garbage, binary, stay)
}


def write(data):
    while data:
        data = data[os.write(1, data) :]


def send(message):
    write(json.dumps({"jsonrpc": "2.0"} | message, ensure_ascii=False).encode() + b"\n")


def content(text):
    return [{"type": "text", "text": text}]


def answer(id, text):
    send({"id": id, "result": {"content": content(text)}})


def handle(message):
    id, method, params = message.get("id"), message.get("method"), message.get("params", {})
    match method:
        case "initialize":
            server = {"name": "faulty", "version": "1"}
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": server}
            send({"id": id, "result": result})
        case "tools/list":
            schema = {"type": "object"}
            tools = [{"name": name, "description": tool.__doc__, "inputSchema": schema} for name, tool in TOOLS.items()]
            send({"id": id, "result": {"tools": tools}})
        case "tools/call" if params.get("name") in TOOLS:
            TOOLS[params["name"]](id, params.get("arguments", {}))
        case "ping":
            send({"id": id, "result": {}})
        case _ if id is not None and method is not None:
            send({"id": id, "error": {"code": -32601, "message": f"no such method: {method}"}})


for line in sys.stdin.buffer:
    handle(json.loads(line))
