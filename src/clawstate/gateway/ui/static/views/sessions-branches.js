// The tree of a conversation: who took it up again at an earlier message made a branch.

/** @typedef {{byId: Map<string, any>, children: Map<string, any[]>, leaves: any[]}} Tree */

/** @param {any[]} messages in the order in which they were said @returns {Tree} */
export function branchesOf(messages) {
  const byId = new Map(messages.map((each) => [each.id, each])), children = new Map();
  for (const each of messages) {
    if (!byId.has(each.parentId)) continue;
    const found = children.get(each.parentId);
    if (found) found.push(each);
    else children.set(each.parentId, [each]);
  }
  return { byId, children, leaves: messages.filter((each) => !children.has(each.id)) };
}

/** The messages from the first one to a leaf. @param {Tree} tree @param {string} leaf */
export function pathTo(tree, leaf) {
  const found = [];
  // No id twice: a transcript that somebody else wrote may go round in a circle.
  for (let each = tree.byId.get(leaf), seen = new Set(); each && !seen.has(each.id); each = tree.byId.get(each.parentId)) {
    seen.add(each.id);
    found.push(each);
  }
  return found.reverse();
}
