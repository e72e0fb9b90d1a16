// The real matrix-bot-sdk. With a file it takes one command of its storage a line, and prints what
// came of it; with a server as well it syncs, prints each message, and stops after MESSAGES.
const { createInterface } = require("node:readline");
const path = require("node:path");

const [root, file, server, token, messages] = process.argv.slice(2);
const sdk = require(path.join(root, "node_modules", "@vector-im", "matrix-bot-sdk"));

async function obey(storage, line) {
  const { call, args, user } = JSON.parse(line);
  const target = user ? storage.storageForUser(user) : storage;
  return { answer: (await target[call](...args)) ?? null };
}

async function sync(storage) {
  sdk.LogService.setLevel(sdk.LogLevel.ERROR);
  const client = new sdk.MatrixClient(server, token, storage);
  let left = Number(messages);
  const over = new Promise((resolve) => {
    client.on("room.message", (_, event) => {
      console.log(JSON.stringify({ said: event.content.body }));
      if (--left === 0) resolve();
    });
  });
  await client.start();
  await over;
  // The token of a sync is stored once its events were given out.
  await new Promise((resolve) => setTimeout(resolve, 500));
  client.stop();
  process.exit(0);
}

async function main() {
  const storage = new sdk.SimpleFsStorageProvider(file, false);
  if (server) return sync(storage);
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await obey(storage, line)));
  }
}

main();
