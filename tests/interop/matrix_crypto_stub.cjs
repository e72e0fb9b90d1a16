// Given to node with --require: the native encryption of matrix-bot-sdk is downloaded by a script
// of its package, which is not run. Nothing that is asked here encrypts.
const { Module } = require("node:module");

const load = Module._load;
Module._load = function (name, ...rest) {
  return name === "@matrix-org/matrix-sdk-crypto-nodejs"
    ? { StoreType: {} }
    : load.call(this, name, ...rest);
};
