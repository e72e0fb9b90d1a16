// Opens a session file with the real session manager, tells what it reads, and adds what is asked.
import { pathToFileURL } from "node:url";

const [dist, action, path] = process.argv.slice(2);
const { SessionManager } = await import(pathToFileURL(`${dist}/core/session-manager.js`));

const assistant = (text) => ({
  role: "assistant",
  content: [{ type: "text", text }],
  api: "openai-responses",
  provider: "openclaw",
  model: "delivery-mirror",
  usage: { input: 0, output: 0, cost: { total: 0.00009426 } },
  stopReason: "stop",
  timestamp: 1795375233352,
});

const session = action === "write" ? SessionManager.create("/work", path) : SessionManager.open(path);
if (action === "write") {
  session.appendMessage({ role: "user", content: "große Frage 网关 \ud83d\ude00 \ud800", timestamp: 1 });
  const first = session.appendMessage(assistant("hello there"));
  session.appendModelChange("anthropic", "claude");
  session.appendThinkingLevelChange("high");
  session.appendCustomEntry("mine", { 42: 1, b: null, a: [1e21, 1e-7] });
  session.appendCustomMessageEntry("note", "a note", true, { x: 1 });
  session.appendLabelChange(first, "here");
  session.appendSessionInfo("a name");
  session.appendCompaction("we spoke", first, 1234, { read: [] }, true);
}
if (action === "append") {
  session.appendMessage({ role: "user", content: "and from the other side", timestamp: 2 });
  session.appendMessage(assistant("indeed"));
}
const told = {
  file: session.getSessionFile(),
  id: session.getSessionId(),
  leaf: session.getLeafId(),
  entries: session.getEntries(),
  messages: session.buildSessionContext().messages.map((each) => each.role),
};
process.stdout.write(JSON.stringify(told));
