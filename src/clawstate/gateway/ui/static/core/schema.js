// A JSON Schema as what a form needs: which field a path has, and all that could be set.
//
//   stepsOf('agents.list[0]["my.key"]')    -> ["agents", "list", 0, "my.key"]
//   pathOf(["agents", "list", 0])           -> "agents.list[0]"
//   const node = nodeAt(schema, steps)      // references followed; null where nothing is known
//   fieldOf(node, value)                    -> "choice", "switch", "number", "text", "list", "secret" or "json"
//   settingsIn(schema)                      -> [{ steps, node }], a name that is free to choose is null

/** @typedef {Record<string, any>} Node */
/** @typedef {(string|number|null)[]} Steps */

const STEP = /\[("(?:\\.|[^"\\])*"|-?\d+)\]|\.?([^.[\]]+)/g;
const PLAIN = /^[A-Za-z_$][\w$-]*$/;
const DEEPEST = 8;

/** @param {string} path @returns {Steps} */
export const stepsOf = (path) => [...path.matchAll(STEP)].map(([, within, plain]) => (within === undefined ? plain : JSON.parse(within)));

/** @param {Steps} steps @returns {string} */
export const pathOf = (steps) => steps.map((step) => (typeof step === "number" ? `[${step}]` : step === null ? ".*"
  : PLAIN.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`)).join("").replace(/^\./, "");

/** A node with its reference followed; what stands beside the reference counts. @param {Node} schema @param {Node} node @returns {Node} */
function follow(schema, node) {
  let found = node;
  while (found?.$ref) {
    const { $ref: to, ...beside } = found;
    found = { ...schema.$defs[to.split("/").pop()], ...beside };
  }
  return found;
}

const alternatives = (/** @type {Node} */ node) => node.oneOf ?? node.anyOf ?? [];

/** @param {Node} schema @param {Node} node @param {string|number|null} step @returns {Node|null} */
function below(schema, node, step) {
  const own = typeof step === "number" ? node.items
    : node.properties?.[/** @type {string} */ (step)] ?? (typeof node.additionalProperties === "object" ? node.additionalProperties : null);
  if (own) return follow(schema, own);
  for (const each of alternatives(node)) {
    const found = below(schema, follow(schema, each), step);
    if (found) return found;
  }
  return null;
}

/** @param {Node} schema @param {Steps} steps @returns {Node|null} */
export function nodeAt(schema, steps) {
  let node = /** @type {Node|null} */ (schema);
  for (const step of steps) node = node && below(schema, node, step);
  return node;
}

const isSecret = (node) => alternatives(node).some((each) => each.$ref?.endsWith("/SecretReference"));
const isText = (node) => node?.type === "string";

/** @param {Node|null} node @param {any} [value] what stands there, for what the schema does not know */
export function fieldOf(node, value) {
  if (node && isSecret(node)) return value && typeof value === "object" ? "json" : "secret";
  if (node?.enum) return "choice";
  const type = typeof node?.type === "string" ? node.type : kindOf(value);
  if (type === "boolean") return "switch";
  if (type === "integer" || type === "number") return "number";
  if (type === "string") return "text";
  if (type === "array" && (node?.items ? isText(node.items) : value?.every((each) => typeof each === "string"))) return "list";
  return "json";
}

const kindOf = (value) => (Array.isArray(value) ? "array" : typeof value);

/** What a setting begins with that is set now. @param {Node} node */
export function firstValue(node) {
  if (node.default !== undefined && node.default !== null) return node.default;
  return { choice: node.enum?.[0], switch: true, number: node.minimum ?? 0, text: "", secret: "", list: [], json: {} }[fieldOf(node)];
}

/** All that may be set, one value each. @param {Node} schema @returns {{steps: Steps, node: Node}[]} */
export function settingsIn(schema) {
  const found = /** @type {{steps: Steps, node: Node}[]} */ ([]);
  const look = (/** @type {Steps} */ steps, /** @type {Node} */ given) => {
    const node = follow(schema, given);
    const members = Object.entries(node.properties ?? {});
    const free = typeof node.additionalProperties === "object" ? node.additionalProperties : null;
    if (steps.length && ((!members.length && !free) || isSecret(node) || steps.length > DEEPEST)) {
      found.push({ steps, node });
      return;
    }
    for (const [key, each] of members) look([...steps, key], /** @type {Node} */ (each));
    if (free) look([...steps, null], free);
  };
  look([], schema);
  return found;
}
