// Given to node with --import: whoever asks for libsignal, or for a part of it, gets the stub.
import { registerHooks } from "node:module";

const stub = new URL("libsignal_stub.mjs", import.meta.url).href;
const wanted = /^libsignal(\/|$)/;

registerHooks({
  resolve(specifier, context, next) {
    return wanted.test(specifier) ? { url: stub, shortCircuit: true } : next(specifier, context);
  },
});
