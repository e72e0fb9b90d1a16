// OpenClaw's plugin memory-lancedb, asked over a pipe to store, recall and forget.
//   node lancedb_plugin.mjs PACKAGE LANCEDB FOLDER
// All of it is real but the embeddings, which come from a server elsewhere: here from the words.

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [pack, lancedb, folder] = process.argv.slice(2);
const DIMENSIONS = 1536;

// As `FnvEmbedder` of the test makes them: both sides have to have one model.
function embed(text) {
  const vector = new Array(DIMENSIONS).fill(0);
  for (const word of text.toLowerCase().split(/\s+/).filter(Boolean)) {
    let hash = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(word)) {
      hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    }
    vector[hash % DIMENSIONS] += 1;
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((each) => each / length);
}

globalThis.fetch = async (url, options) => {
  if (!String(url).endsWith("/embeddings")) throw new Error(`asked for ${url}`);
  const asked = JSON.parse(options.body);
  const data = [asked.input].flat().map((text, index) => ({ index, embedding: embed(text) }));
  if (asked.encoding_format === "base64") {
    for (const each of data) {
      each.embedding = Buffer.from(new Float32Array(each.embedding).buffer).toString("base64");
    }
  }
  const headers = { "content-type": "application/json" };
  return new Response(JSON.stringify({ object: "list", data, model: asked.model }), { headers });
};

const here = createRequire(join(pack, "package.json"));
const { createJiti } = await import(pathToFileURL(here.resolve("jiti")).href);
const there = createRequire(join(lancedb, "package.json"));
const jiti = createJiti(join(pack, "openclaw.mjs"), {
  alias: { "@lancedb/lancedb": there.resolve("@lancedb/lancedb") },
});
const plugin = await jiti.import(join(pack, "extensions", "memory-lancedb", "index.ts"), {
  default: true,
});

const tools = new Map();
plugin.register({
  pluginConfig: {
    embedding: { apiKey: "sk-made-up", model: "text-embedding-3-small" },
    dbPath: folder,
  },
  resolvePath: (path) => path,
  logger: { info() {}, warn() {}, error() {}, debug() {} },
  registerTool: (tool) => tools.set(tool.name, tool),
  registerCli() {},
  registerService() {},
  on() {},
});

console.log(JSON.stringify({ ready: [...tools.keys()] }));
for await (const line of createInterface({ input: process.stdin })) {
  const { tool, params } = JSON.parse(line);
  try {
    console.log(JSON.stringify((await tools.get(tool).execute("call", params)).details));
  } catch (error) {
    console.log(JSON.stringify({ failed: String(error) }));
  }
}
