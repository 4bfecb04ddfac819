// The program in which the unmodified npm package runs: a call on each line in, its outcome on a line out.
// Run by tests/support/sdk.py as `node sdk_node.cjs <the package's folder>`.
'use strict';

const readline = require('node:readline');

const { WasendClient, WasendUtils } = require(process.argv[2]);

const clients = new Map();

function client(url, key) {
  const whose = `${url} ${key}`;
  if (!clients.has(whose)) clients.set(whose, new WasendClient({ apiKey: key, baseUrl: url, timeout: 20000 }));
  return clients.get(whose);
}

async function outcome(call) {
  if (!call.method) return { ok: Object.getOwnPropertyNames(WasendClient.prototype) };
  try {
    const of = call.url ? client(call.url, call.key) : WasendUtils;
    return { ok: (await of[call.method](...call.args)) ?? null };
  } catch (error) {
    return { error: { type: error.name, text: error.message, status: error.response?.status, body: error.response?.data } };
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await outcome(JSON.parse(line))) + '\n');
  }
})();
