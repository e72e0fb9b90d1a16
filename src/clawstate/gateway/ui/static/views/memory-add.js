// Something new to remember.

import { api } from "../core/api.js";
import { html, useState } from "../core/lib.js";
import { list, route } from "../core/router.js";
import { Button } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Field } from "../parts/field.js";
import { Failed } from "../parts/small.js";
import { toast } from "../parts/toast.js";

export default function Add({ text = "", onClose }) {
  const { query } = route.value;
  const [given, setGiven] = useState({ text, tags: list(query.tag).join(", ") });
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const set = (name) => (event) => setGiven({ ...given, [name]: event.currentTarget.value });
  const save = async (event) => {
    event?.preventDefault();
    if (!given.text.trim()) return;
    const tags = given.tags.split(",").map((each) => each.trim()).filter(Boolean);
    const namespace = query.ns && query.ns !== "*" ? query.ns : undefined;
    try {
      const { id } = await api.post("memory/records", { text: given.text, tags, namespace });
      onClose();
      toast("Remembered", { undo: () => api.del(`memory/records/${encodeURIComponent(id)}`) });
    } catch (error) {
      setProblem(error);
    }
  };
  return html`<${Dialog} title="Remember" onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>Cancel<//>
      <${Button} kind="primary" disabled=${!given.text.trim()} onClick=${save}>Remember<//>`}>
    <form class="stack" onSubmit=${save} onKeyDown=${(event) => (event.ctrlKey || event.metaKey) && event.key === "Enter" && save(event)}>
      ${problem && html`<${Failed} error=${problem} />`}
      <${Field} label="What to remember"><textarea rows="5" dir="auto" autofocus value=${given.text} onInput=${set("text")}
        placeholder="Ada prefers green tea"></textarea><//>
      <${Field} label="Tags" hint="with commas between; none are needed"><input dir="auto" value=${given.tags} onInput=${set("tags")} /><//>
    </form><//>`;
}
