#!/usr/bin/env python3
"""Drives MCP servers with the official Python client, step by step, and writes down what came.

    client.py PLAN

PLAN is a JSON file: {"sessions": [SESSION, ...]}, run one after the other. A session has

    before              a command that is run first
    command, env, cwd   how the server is started
    root                the folder that the client tells as its root
    mode                how the protocol is negotiated: "legacy", "auto" or a version
    steps               what is done, in order (below)
    out                 a folder for what is written:
                          transcript.jsonl  what the client's API returned or raised, in order; then what the server
                                            asked of the client, and what it notified, in the order of arrival
                          ledger.jsonl      a line for each request that was made, in either direction, with its
                                            method, its tool and its outcome as the client saw it
                          stderr            what the server printed there

A step is a request, {"request": METHOD, ...its parameters...}, with, where wanted,

    "meta": {...}           goes into params._meta
    "trace": TRACEPARENT    is the OpenTelemetry context in which the call is made
    "progress": true        asks for progress
    "cancel": "progress"    gives the call up at its first progress
    "cancel": {"fifo": F}   gives the call up as soon as the server has opened the named pipe F to read from it, which
                            ends when the next request has been answered: only then does the server finish its work
    "cancel": {"file": F}   gives the call up as soon as there is a file F; makes a file F.seen when the next request
                            has been answered
    "timeout": SECONDS      gives the call up by itself
    "together": [STEP...]   instead of "request": these requests are made at once, in this order

or {"listen": [STEP...]}, which subscribes to changes of the tools, does these steps, and waits until a change has come;
or {"await": METHOD}, which waits until the server has asked or notified that; or {"barrier": NAME}, which makes a file
NAME.reached in `out` and waits for a file NAME.passed there.

tests/peers/node/wrap/client.mjs does the same with the official client for Node.js.
"""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import anyio
import mcp_types as types
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError
from opentelemetry import context, trace
from opentelemetry.propagate import extract

# What the client may answer to the server.
SAMPLED = {"role": "assistant", "model": "no-model", "content": {"type": "text", "text": "sampled"}, "stopReason": "endTurn"}
ELICITED = {"action": "accept", "content": {"name": "A Peer", "check": True}}
# Codes that the client's SDK gives to what never had an answer.
CLOSED, TIMED_OUT = -32000, -32001
LONGEST_WAIT = 30


def plain(value):
    """A value of the API as JSON has it."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return value


class Session:
    def __init__(self, plan):
        self.plan = plan
        self.out = Path(plan["out"])
        self.results = []
        self.requests = []
        self.notifications = []
        self.ledger = []
        # What lets the server go on with the call that was given up last.
        self.release = None
        # Whether the server asks in its results, which are no requests of its own.
        self.asked_in_results = False

    # -- what the server sends ----------------------------------------------

    def asked(self, method, params):
        self.requests.append({"request": method, "params": plain(params)})
        if not self.asked_in_results:
            self.ledger.append({"direction": "to_client", "method": method, "outcome": "ok"})

    async def roots(self, context):
        self.asked("roots/list", None)
        return types.ListRootsResult.model_validate({"roots": [{"uri": f"file://{self.plan['root']}", "name": "root"}]})

    async def sampling(self, context, params):
        self.asked("sampling/createMessage", params)
        return types.CreateMessageResult.model_validate(SAMPLED)

    async def elicitation(self, context, params):
        self.asked("elicitation/create", params)
        return types.ElicitResult.model_validate(ELICITED)

    async def message(self, message):
        if isinstance(message, Exception):
            self.notifications.append({"exception": type(message).__name__, "text": str(message)})
        elif message.method != "notifications/progress":
            # Progress goes to who asked for it; what comes of a call that was given up depends on the clock.
            self.notifications.append({"notification": plain(message)})

    def seen(self, method):
        return [one for one in self.requests if one["request"] == method] + [
            one for one in self.notifications if one.get("notification", {}).get("method") == method
        ]

    # -- what the client does -----------------------------------------------

    async def run(self):
        plan = self.plan
        self.out.mkdir(parents=True, exist_ok=True)
        if "before" in plan:
            subprocess.run(plan["before"], check=True)
        command, *args = plan["command"]
        server = StdioServerParameters(command=command, args=args, env=plan.get("env"), cwd=plan.get("cwd"))
        with open(self.out / "stderr", "w") as errlog:
            try:
                async with Client(
                    stdio_client(server, errlog=errlog),
                    mode=plan.get("mode", "legacy"),
                    cache=None,
                    client_info=types.Implementation(name="peer client (Python)", version="1"),
                    list_roots_callback=self.roots,
                    sampling_callback=self.sampling,
                    elicitation_callback=self.elicitation,
                    message_handler=self.message,
                ) as client:
                    self.connected(client)
                    for step in plan["steps"]:
                        await self.step(client, step)
            except (MCPError, OSError) as error:
                self.results.append({"connecting": str(error)})
        self.write("transcript.jsonl", self.results + self.requests + self.notifications)
        self.write("ledger.jsonl", self.ledger)

    def connected(self, client):
        """The handshake: who answered, and the requests that it took."""
        self.asked_in_results = client.protocol_version >= "2026"
        self.results.append({
            "connected": client.protocol_version,
            "server": plain(client.server_info),
            "capabilities": plain(client.server_capabilities),
            "instructions": client.instructions,
        })
        match self.plan.get("mode", "legacy"), client.protocol_version:
            case "auto", version if version >= "2026":
                self.record("server/discover", None, "ok")
            case "auto" | "legacy" as mode, _:
                self.record("initialize", None, "ok", probed=mode == "auto")

    async def step(self, client, step):
        if "barrier" in step:
            (self.out / (step["barrier"] + ".reached")).touch()
            await until((self.out / (step["barrier"] + ".passed")).exists)
        elif "await" in step:
            await until(lambda: self.seen(step["await"]))
        elif "listen" in step:
            async with client.listen(tools_list_changed=True) as subscription:
                self.record("subscriptions/listen", None, "ok")
                for each in step["listen"]:
                    await self.step(client, each)
                self.results.append({"heard": type(await anext(aiter(subscription))).__name__})
        elif "together" in step:
            results = [None] * len(step["together"])

            async def one(index, step):
                results[index] = await self.request(client, step)

            async with anyio.create_task_group() as group:
                for index, each in enumerate(step["together"]):
                    group.start_soon(one, index, each)
                    # The next request goes out after this one.
                    await anyio.wait_all_tasks_blocked()
            self.results += results
        else:
            self.results.append(await self.request(client, step))

    async def request(self, client, step):
        """Makes a request; gives the line of the transcript."""
        release, self.release = self.release, None
        token = context.attach(extract({"traceparent": step["trace"]})) if "trace" in step else None
        scope = anyio.CancelScope()
        line = {"request": step["request"], "cancelled": True}
        outcome = "cancelled"
        try:
            with scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(self.giving_up, step, scope)
                    try:
                        result = await self.call(client, step, scope)
                        line = {"request": step["request"], "result": plain(result)}
                        outcome = "tool_error" if getattr(result, "is_error", False) else "ok"
                    except MCPError as error:
                        line = {"request": step["request"], "error": plain(error.error)}
                        outcome = {CLOSED: "aborted", TIMED_OUT: "cancelled"}.get(error.code, str(error.code))
                    group.cancel_scope.cancel()
        finally:
            if token is not None:
                context.detach(token)
        if release:
            release()
        self.record(step["request"], step.get("name") if step["request"] == "tools/call" else None, outcome)
        return line

    async def call(self, client, step, scope):
        """The call of the API that makes a request."""
        meta = step.get("meta")
        match step["request"]:
            case "tools/call":

                async def progressed(progress, total, message):
                    # What still comes of a call that was given up depends on the clock.
                    if scope.cancel_called:
                        return
                    self.notifications.append({"progress": [progress, total, message]})
                    if step.get("cancel") == "progress":
                        scope.cancel()

                return await client.call_tool(
                    step["name"],
                    step.get("arguments"),
                    step.get("timeout"),
                    progressed if step.get("progress") else None,
                    meta=meta,
                )
            case "tools/list":
                return await client.list_tools(meta=meta)
            case "resources/list":
                return await client.list_resources(meta=meta)
            case "resources/templates/list":
                return await client.list_resource_templates(meta=meta)
            case "resources/read":
                return await client.read_resource(step["uri"], meta=meta)
            case "resources/subscribe":
                return await client.subscribe_resource(step["uri"], meta=meta)
            case "resources/unsubscribe":
                return await client.unsubscribe_resource(step["uri"], meta=meta)
            case "prompts/list":
                return await client.list_prompts(meta=meta)
            case "prompts/get":
                return await client.get_prompt(step["name"], step.get("arguments"), meta=meta)
            case "completion/complete":
                ref = types.PromptReference(name=step["prompt"])
                return await client.complete(ref, step["argument"])
            case "logging/setLevel":
                return await client.set_logging_level(step["level"], meta=meta)
            case "ping":
                return await client.send_ping(meta=meta)
        raise ValueError(f"no such request: {step}")

    async def giving_up(self, step, scope):
        """Gives a call up when the server is at it."""
        match step.get("cancel"):
            case {"fifo": fifo}:
                pipe = await until(lambda: open_to_write(fifo))
                self.release = lambda: os.close(pipe)
                scope.cancel()
            case {"file": file}:
                await until(Path(file).exists)
                self.release = Path(file + ".seen").touch
                scope.cancel()

    def record(self, method, tool, outcome, **more):
        line = {"direction": "to_server", "method": method, "outcome": outcome} | more
        self.ledger.append(line | {"tool": tool} if tool else line)

    def write(self, name, lines):
        with open(self.out / name, "w") as file:
            for line in lines:
                file.write(json.dumps(line, sort_keys=True) + "\n")


def open_to_write(fifo):
    """A named pipe, if somebody reads from it."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


async def until(condition):
    with anyio.fail_after(LONGEST_WAIT):
        while not (answer := condition()):
            await anyio.sleep(0.005)
    return answer


async def main():
    # The deprecated requests are among those that servers of this day still take.
    warnings.simplefilter("ignore")
    for session in json.loads(Path(sys.argv[1]).read_text())["sessions"]:
        await Session(session).run()


anyio.run(main)
