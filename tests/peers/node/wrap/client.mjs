// Drives MCP servers with the official client for Node.js, step by step, and writes down what came.
//
//     client.mjs PLAN       in a folder whose node_modules hold @modelcontextprotocol/sdk
//
// What a plan is, and what is written, stands in tests/peers/mcp-python/client.py, which does the same in Python. This
// client knows the handshake of old only ("mode": "legacy"), and its SDK sends no trace context by itself: a step's
// "trace" goes into params._meta by hand.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const require = createRequire(process.cwd() + "/");
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
const types = require("@modelcontextprotocol/sdk/types.js");

// What the client may answer to the server.
const SAMPLED = { role: "assistant", model: "no-model", content: { type: "text", text: "sampled" }, stopReason: "endTurn" };
const ELICITED = { action: "accept", content: { name: "A Peer", check: true } };
// Codes that the client's SDK gives to what never had an answer.
const WITHOUT_ANSWER = { [types.ErrorCode.ConnectionClosed]: "aborted", [types.ErrorCode.RequestTimeout]: "cancelled" };
const LONGEST_WAIT = 30_000;

class Session {
  constructor(plan) {
    this.plan = plan;
    this.results = [];
    this.requests = [];
    this.notifications = [];
    this.ledger = [];
    // What lets the server go on with the call that was given up last.
    this.release = undefined;
  }

  file(name) {
    return path.join(this.plan.out, name);
  }

  // Has the client answer the server, and keep what it asked.
  listen(client) {
    const answer = (schema, method, result) =>
      client.setRequestHandler(schema, (request) => {
        this.requests.push({ request: method, params: request.params ?? null });
        this.ledger.push({ direction: "to_client", method, outcome: "ok" });
        return result;
      });
    answer(types.ListRootsRequestSchema, "roots/list", {
      roots: [{ uri: `file://${this.plan.root}`, name: "root" }],
    });
    answer(types.CreateMessageRequestSchema, "sampling/createMessage", SAMPLED);
    answer(types.ElicitRequestSchema, "elicitation/create", ELICITED);
    client.fallbackNotificationHandler = async (notification) => {
      this.notifications.push({ notification });
    };
    client.onerror = (error) => {
      // What progress still comes of a call that was given up depends on the clock.
      if (error.message.startsWith("Received a progress notification for an unknown token")) return;
      this.notifications.push({ exception: error.name, text: error.message });
    };
  }

  seen(method) {
    return this.requests.some((one) => one.request === method)
      || this.notifications.some((one) => one.notification?.method === method);
  }

  async run() {
    fs.mkdirSync(this.plan.out, { recursive: true });
    if (this.plan.before) execFileSync(this.plan.before[0], this.plan.before.slice(1));
    const [command, ...args] = this.plan.command;
    const stderr = fs.openSync(this.file("stderr"), "w");
    const transport = new StdioClientTransport({ command, args, env: this.plan.env, cwd: this.plan.cwd, stderr });
    const client = new Client(
      { name: "peer client (Node.js)", version: "1" },
      { capabilities: { roots: { listChanged: true }, sampling: {}, elicitation: {} } },
    );
    this.listen(client);
    try {
      await client.connect(transport);
      this.record("initialize", undefined, "ok");
      this.results.push({
        connected: client.getServerVersion(),
        capabilities: client.getServerCapabilities(),
        instructions: client.getInstructions() ?? null,
      });
      for (const step of this.plan.steps) await this.step(client, step);
    } catch (error) {
      if (!(error instanceof types.McpError)) throw error;
      this.results.push({ connecting: error.message });
    }
    await client.close();
    this.write("transcript.jsonl", [...this.results, ...this.requests, ...this.notifications]);
    this.write("ledger.jsonl", this.ledger);
  }

  async step(client, step) {
    if (step.barrier) {
      fs.writeFileSync(this.file(`${step.barrier}.reached`), "");
      await until(() => fs.existsSync(this.file(`${step.barrier}.passed`)));
    } else if (step.await) {
      await until(() => this.seen(step.await));
    } else if (step.together) {
      this.results.push(...(await Promise.all(step.together.map((each) => this.request(client, each)))));
    } else {
      this.results.push(await this.request(client, step));
    }
  }

  // Makes a request; gives the line of the transcript.
  async request(client, step) {
    const release = this.release;
    this.release = undefined;
    const abort = new AbortController();
    const options = { signal: abort.signal };
    if (step.timeout) options.timeout = step.timeout * 1000;
    if (step.progress) {
      options.onprogress = (progress) => {
        // What still comes of a call that was given up depends on the clock.
        if (abort.signal.aborted) return;
        this.notifications.push({ progress });
        if (step.cancel === "progress") abort.abort("given up");
      };
    }
    let line, outcome;
    const settled = new AbortController();
    const givingUp = this.givingUp(step, abort, settled.signal);
    try {
      const result = await this.call(client, step, options);
      line = { request: step.request, result };
      outcome = result.isError ? "tool_error" : "ok";
    } catch (error) {
      if (abort.signal.aborted) {
        line = { request: step.request, cancelled: true };
        outcome = "cancelled";
      } else {
        line = { request: step.request, error: { code: error.code, message: error.message, data: error.data } };
        outcome = WITHOUT_ANSWER[error.code] ?? String(error.code);
      }
    }
    settled.abort();
    await givingUp;
    release?.();
    this.record(step.request, step.request === "tools/call" ? step.name : undefined, outcome);
    return line;
  }

  // Gives a call up when the server is at it.
  async givingUp(step, abort, settled) {
    const { fifo, file } = step.cancel ?? {};
    if (!fifo && !file) return;
    const found = await until(() => settled.aborted || (fifo ? openToWrite(fifo) : fs.existsSync(file)));
    if (settled.aborted) return;
    this.release = fifo ? () => fs.closeSync(found) : () => fs.writeFileSync(file + ".seen", "");
    abort.abort("given up");
  }

  // The call of the API that makes a request.
  call(client, step, options) {
    const trace = step.trace ? { traceparent: step.trace } : {};
    const _meta = step.meta || step.trace ? { ...step.meta, ...trace } : undefined;
    const params = (more) => JSON.parse(JSON.stringify({ ...more, _meta }));
    switch (step.request) {
      case "tools/call":
        return client.callTool(params({ name: step.name, arguments: step.arguments }), undefined, options);
      case "tools/list":
        return client.listTools(params({}), options);
      case "resources/list":
        return client.listResources(params({}), options);
      case "resources/templates/list":
        return client.listResourceTemplates(params({}), options);
      case "resources/read":
        return client.readResource(params({ uri: step.uri }), options);
      case "resources/subscribe":
        return client.subscribeResource(params({ uri: step.uri }), options);
      case "resources/unsubscribe":
        return client.unsubscribeResource(params({ uri: step.uri }), options);
      case "prompts/list":
        return client.listPrompts(params({}), options);
      case "prompts/get":
        return client.getPrompt(params({ name: step.name, arguments: step.arguments }), options);
      case "completion/complete":
        return client.complete({ ref: { type: "ref/prompt", name: step.prompt }, argument: step.argument }, options);
      case "logging/setLevel":
        return client.setLoggingLevel(step.level, options);
      case "ping":
        return client.ping(options);
    }
    throw new Error(`no such request: ${JSON.stringify(step)}`);
  }

  record(method, tool, outcome) {
    this.ledger.push({ direction: "to_server", method, tool, outcome });
  }

  write(name, lines) {
    fs.writeFileSync(this.file(name), lines.map((line) => JSON.stringify(line) + "\n").join(""));
  }
}

// A named pipe, if somebody reads from it.
function openToWrite(fifo) {
  try {
    return fs.openSync(fifo, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}

async function until(condition) {
  const deadline = Date.now() + LONGEST_WAIT;
  for (;;) {
    const answer = condition();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${condition}`);
    await sleep(5);
  }
}

for (const session of JSON.parse(fs.readFileSync(process.argv[2], "utf8")).sessions) {
  await new Session(session).run();
}
process.exit(0);
