// OpenClaw's own lock, reader, writer and dedupe behind a pipe: one JSON object a line.
//
//   node --import libsignal_hook.mjs node_peer.mjs <folder of openclaw>/dist
//
// Says READY once all is loaded. A question is {id, ask, ...}; its answer is {id, ok: true, ...} or
// {id, ok: false, error}. Some questions say {id, event, ...} before their answer.
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const dist = process.argv[2];
const sdk = await load(path.join(dist, "plugin-sdk", "index.js"));
const acquireSessionWriteLock = await findSessionWriteLock();
const releases = new Map();
const seen = watchFiles();

const answers = {
  read: ({ path, fallback = null }) => sdk.readJsonFileWithFallback(path, fallback),

  // The document travels as text, so that nothing but JSON.parse has touched it.
  write: async ({ path, text }) => {
    await sdk.writeJsonFileAtomically(path, JSON.parse(text));
    return {};
  },

  // Holds the lock for *ms* milliseconds, or until it is asked to let go of it.
  hold: async (question) => {
    const started = now();
    await locked(question, async () => {
      say({ id: question.id, event: "held", waited: now() - started });
      await new Promise((resolve) => {
        releases.set(question.path, resolve);
        if (question.ms !== undefined) setTimeout(resolve, question.ms);
      });
    });
    releases.delete(question.path);
    return { waited: now() - started };
  },

  release: async ({ path }) => {
    releases.get(path)();
    return {};
  },

  // For *busy* milliseconds it thinks about what it read; between two increments it is away for up
  // to *away* milliseconds.
  increment: async (question) => {
    const errors = [];
    let acknowledged = 0;
    for (let nth = 1; nth <= question.times; nth += 1) {
      try {
        say({ id: question.id, event: "ack", ...(await increment(question, nth)) });
        acknowledged += 1;
      } catch (error) {
        errors.push(error.message);
      }
      if (question.away) await sleep(question.away * Math.random());
    }
    return { acknowledged, errors, strays: seen.strays.splice(0) };
  },

  // Runs *source*, an async function of the package's functions by name, *input*, and a function
  // that reports an event. The functions are those of the files `<chunk>-<hash>.js`.
  run: async ({ id, chunk, source, input }) => {
    const event = (found) => say({ id, event: "told", found });
    const value = await (0, eval)(`(${source})`)(await functionsOf(chunk), input, event);
    return { value: value ?? null };
  },

  dedupe: async ({ path, key, at, options }) => {
    const errors = [];
    const dedupe = sdk.createPersistentDedupe({ ...options, resolveFilePath: () => path });
    const onDiskError = (error) => errors.push(error.message);
    const isNew = await dedupe.checkAndRecord(key, { now: at, onDiskError });
    return { isNew, errors };
  },
};

async function load(file) {
  return await import(pathToFileURL(file).href);
}

async function findSessionWriteLock() {
  // The bundler names this file and its exports anew with every version.
  const folder = path.join(dist, "plugin-sdk");
  for (const name of fs.readdirSync(folder).filter((each) => /^sessions-.*\.js$/.test(each))) {
    const exported = Object.values(await load(path.join(folder, name)));
    const found = exported.find((each) => each?.name === "acquireSessionWriteLock");
    if (found) return found;
  }
  throw new Error(`no acquireSessionWriteLock in ${folder}`);
}

async function functionsOf(chunk) {
  const found = {};
  for (const name of fs.readdirSync(dist)) {
    if (!name.startsWith(`${chunk}-`) || !name.endsWith(".js")) continue;
    for (const each of Object.values(await load(path.join(dist, name)))) {
      if (typeof each === "function") found[each.name] ??= each;
    }
  }
  return found;
}

// Notes around the calls of the package: when it last opened a lock file for itself, when it last
// renamed to each file, and whether it still had the lock then, and when it removed a lock file
// and whether that was its own when it looked.
function watchFiles() {
  const seen = { opened: 0, renames: new Map(), strays: [] };
  const { open, rename, rm } = fs.promises;

  fs.promises.open = async (name, flags, ...rest) => {
    if (flags === "wx") seen.opened = now();
    return await open(name, flags, ...rest);
  };

  fs.promises.rename = async (from, to) => {
    const locked = ownerOf(`${to}.lock`) === process.pid;
    const started = now();
    await rename(from, to);
    seen.renames.set(to, { started, ended: now(), locked });
  };

  fs.promises.rm = async (name, ...rest) => {
    const started = now();
    const own = ownerOf(name) === process.pid;
    await rm(name, ...rest);
    if (name.endsWith(".lock")) seen.strays.push({ started, ended: now(), own });
  };
  return seen;
}

function ownerOf(lock) {
  try {
    return JSON.parse(fs.readFileSync(lock, "utf8")).pid;
  } catch {
    return null;
  }
}

async function locked({ path, session, options }, work) {
  if (!session) return await sdk.withFileLock(path, options, work);
  const lock = await acquireSessionWriteLock({ sessionFile: path, ...session });
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

async function increment(question, nth) {
  const { path, writer } = question;
  return await locked(question, async () => {
    const entered = seen.opened;
    const { value } = await sdk.readJsonFileWithFallback(path, { seq: 0, id: null, counts: {} });
    if (question.busy) await sleep(question.busy);
    const base = value.id;
    const id = `${writer}:${nth}`;
    value.seq += 1;
    value.id = id;
    value.counts[writer] = (value.counts[writer] ?? 0) + 1;
    await sdk.writeJsonFileAtomically(path, value);
    return { writer, write: id, base, entered, ...seen.renames.get(path) };
  });
}

// Seconds of the clock that all processes of a machine share.
function now() {
  return Number(process.hrtime.bigint()) / 1e9;
}

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function answer(question) {
  try {
    say({ id: question.id, ok: true, ...(await answers[question.ask](question)) });
  } catch (error) {
    say({ id: question.id, ok: false, error: error.message });
  }
}

process.stdout.write("READY\n");
readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => void answer(JSON.parse(line)))
  .on("close", () => process.exit(0)); // timers of the package would keep the process alive
