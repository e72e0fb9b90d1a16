// Near-duplicates: groups of records that say nearly the same, side by side, of which one may stay for all.

import { api, can } from "../core/api.js";
import { onChange } from "../core/events.js";
import { count } from "../core/format.js";
import { useKeys } from "../core/keys.js";
import { classes, html, useEffect, useMemo, useRef, useState } from "../core/lib.js";
import { Link } from "../core/router.js";
import { usePages, useQuery } from "../core/store.js";
import { VirtualList } from "../core/virtual.js";
import { Button } from "../parts/button.js";
import { Badge, Empty, Failed, Time, Waiting } from "../parts/small.js";
import { Block, Text } from "../parts/text.js";
import { differing, together } from "../parts/words.js";
import { apart, nameOf, setApart } from "./inbox-apart.js";
import { decide, decided, isDecided, tellAll, undoLast } from "./inbox-decisions.js";

const SHOWN = 5; // records of a group
const ASKED = 500; // texts that are asked for at once
const QUICK = 1_000; // milliseconds; a comparison that takes longer is made again only when somebody asks
const SHORT = 300; // characters before the first difference that are shown
const LEAD = 80; // of longer ones, those that are left

export function Duplicates() {
  const found = usePages("memory/duplicates", "groups", { query: { limit: 50 } });
  const [at, setAt] = useState(0);
  const [side, setSide] = useState(0);
  const [jump, setJump] = useState(/** @type {any} */ (undefined));
  decided.value; // what is decided is not shown
  const isOld = useFreshness(found);
  const texts = useTexts(found.items.flatMap((each) => each.records.slice(0, SHOWN)));
  const undecided = found.items.filter((each) => !each.records.some(isDecided) && isThere(each, texts));
  const groups = undecided.filter((each) => !apart.value.has(nameOf(each)));
  const hidden = undecided.length - groups.length;
  const place = Math.min(at, groups.length - 1), current = groups[place];
  const chosen = Math.min(side, Math.min(SHOWN, current?.records.length ?? 1) - 1);
  const wasEmpty = useRef(true);
  useEffect(() => () => void tellAll(), []);
  useEffect(() => {
    if (wasEmpty.current && groups.length) setJump({ index: 0, focus: true });
    wasEmpty.current = !groups.length;
    if (!groups.length && found.hasMore) found.more();
  }, [groups.length, found.items]);

  const go = (by) => setJump({ index: Math.max(0, Math.min(groups.length - 1, place + by)), focus: true });
  const move = (index) => {
    if (index !== at) setSide(0);
    setAt(index);
  };
  const settle = (kind, group, stays) => {
    if (!group || !can("write")) return;
    if (kind === "apart") decide(kind, group.records, { group: nameOf(group) });
    else decide(kind, group.records.filter((each) => each !== stays), { stays });
    setSide(0);
    setJump({ index: Math.max(0, Math.min(groups.indexOf(group), groups.length - 2)), focus: true });
  };
  const beside = (by) => setSide(Math.max(0, Math.min(SHOWN - 1, (current?.records.length ?? 1) - 1, chosen + by)));
  useKeys("Near-duplicates", {
    j: ["Next", () => go(1)], k: ["The one before", () => go(-1)],
    l: ["The text beside it", () => beside(1)], h: ["The text before it", () => beside(-1)],
    ...(can("write") && {
      a: ["Keep the marked text; the others are its history", () => settle("replace", current, current?.records[chosen])],
      r: ["Keep the marked text; the others are forgotten", () => settle("forget", current, current?.records[chosen])],
      b: ["Keep all of them", () => settle("apart", current)],
      u: ["Undo the last decision", undoLast],
    }),
  });

  if (found.error && !found.items.length) return html`<${Failed} error=${found.error} again=${found.refresh} />`;
  const again = html`${hidden > 0 && html`<${Button} size="small" kind="quiet" onClick=${() => setApart(undecided.map(nameOf), false)}>Show ${count(hidden)} that you kept<//>`}
    ${isOld && html`<${Button} size="small" onClick=${found.refresh}>Look again<//>`}`;
  if (!groups.length) {
    if (found.isBusy || found.hasMore) return html`<${Waiting} lines=${8} />`;
    return html`<${Empty} icon="check" title="Nothing is there twice" command="clawstate memory duplicates --min-similarity 0.9" actions=${again}>
      Records that say nearly the same come here in groups, and you choose which of them stays. The command finds those that are less alike as well.<//>`;
  }
  return html`<div class="spread"><span class="soft small" role="status">${count(groups.length)}${found.hasMore ? "+" : ""} ${groups.length === 1 ? "group says" : "groups say"} nearly the same</span>
      <span class="line">${again}</span></div>
    ${found.error && html`<${Failed} error=${found.error} again=${found.refresh} />`}
    <${VirtualList} label="Near-duplicates" items=${groups} keyOf=${nameOf} estimate=${230} jump=${jump}
      onActive=${(_, index) => move(index)} onEnd=${found.hasMore ? found.more : null}
      render=${(each, index) => html`<${Group} group=${each} texts=${texts} isCurrent=${index === place} chosen=${index === place ? chosen : -1}
        onPoint=${() => move(index)} onSettle=${(kind, stays) => settle(kind, each, stays)} />`} />
    ${can("write") && html`<p class="soft small keys-hint"><kbd>j</kbd> <kbd>k</kbd> move, <kbd>h</kbd> <kbd>l</kbd> choose a text, <kbd>a</kbd> keep it, <kbd>r</kbd> keep it and forget the others, <kbd>b</kbd> keep all, <kbd>u</kbd> undo</p>`}`;
}

/** Whether the memory moved since; as long as comparing is quick, it is done at once. */
function useFreshness(found) {
  const [isOld, setOld] = useState(false);
  const asked = useRef(0), took = useRef(0), latest = useRef(found);
  latest.current = found;
  useEffect(() => {
    if (found.isBusy) {
      asked.current = performance.now();
      setOld(false);
    } else took.current = performance.now() - asked.current;
  }, [found.isBusy]);
  useEffect(() => {
    let timer = 0;
    const stop = onChange(["memory"], () => {
      clearTimeout(timer);
      timer = setTimeout(() => (took.current < QUICK ? latest.current.refresh() : setOld(true)), 300);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, []);
  return isOld;
}

/** The records by their ids; while further ones are on their way, those that were there. @returns {Map<string, any>|undefined} */
function useTexts(ids) {
  const asked = useQuery(`duplicates/${ids.join()}`, async (signal) => {
    const texts = new Map();
    for (let from = 0; from < ids.length; from += ASKED) {
      const { records } = await api.post("memory/many/get", { ids: ids.slice(from, from + ASKED) }, { signal });
      for (const each of records) texts.set(each.id, each);
    }
    return { texts, ids: new Set(ids) };
  }, { parts: ["memory"] });
  const held = useRef(/** @type {any} */ (undefined));
  held.current = asked.data ?? held.current;
  return held.current;
}

/** A group of which one was forgotten or replaced meanwhile is none, whatever was found before. */
const isThere = ({ records }, texts) => records.slice(0, SHOWN).every((id) => !texts?.ids.has(id) || texts.texts.has(id));

function Group({ group, texts, isCurrent, chosen, onPoint, onSettle }) {
  const { records, similarities, more } = group;
  const shown = records.slice(0, SHOWN), many = records.length + more, rest = records.length - shown.length;
  const said = shown.map((id) => texts?.texts.get(id)?.text ?? "");
  const marks = useMemo(() => {
    const pairs = said.slice(1).map((each) => differing(said[0], each));
    return [together(pairs.map(([first]) => first)), ...pairs.map(([, other]) => other)];
  }, [said.join("\0")]);
  return html`<article class=${classes("waits-item alike", isCurrent && "current")} onClick=${onPoint}>
    <header class="spread small"><b>${count(many)} say nearly the same</b>
      ${can("write") && html`<${Button} size="small" onClick=${() => onSettle("apart")}>${many === 2 ? "Keep both" : `Keep all ${count(many)}`}<//>`}</header>
    <div class="sides">${shown.map((id, index) => html`<${Side} key=${id} id=${id} record=${texts?.texts.get(id)} marks=${marks[index]}
      isChosen=${index === chosen} likeness=${index === 0 ? "the oldest" : likeness(said[0], said[index], similarities[index], marks[0].length + marks[index].length)}
      others=${records.length - 1} onSettle=${onSettle} />`)}</div>
    ${rest > 0 && html`<p class="soft small">and ${count(rest)} more, which go with the others${more > 0 && `; ${count(more)} come when these are settled`}</p>`}</article>`;
}

function Side({ id, record, marks, isChosen, likeness: told, others, onSettle }) {
  const part = record && beginning(record.text, marks);
  return html`<section class=${classes("side", isChosen && "chosen")} aria-current=${isChosen || undefined}>
    <div class="line small"><${Badge}>${told}<//><${Link} class="soft" to=${`/memory/${encodeURIComponent(id)}`}><${Time} ms=${record?.createdAtMs} /><//>
      ${record?.source && html`<span class="soft source"><${Text} value=${record.source} /></span>`}</div>
    ${part ? html`<${Block} value=${part.text} ranges=${part.marks} most=${800} lines=${12} />` : html`<div class="block soft">…</div>`}
    ${can("write") && html`<div class="line"><${Button} size="small" icon="check" title="The others are its history" onClick=${() => onSettle("replace", id)}>Keep this<//>
      <${Button} size="small" kind="danger" title=${`Keep this one, and forget ${others === 1 ? "the other" : `the ${count(others)} others`}`} onClick=${() => onSettle("forget", id)}>${others === 1 ? "Forget the other" : "Forget others"}<//></div>`}</section>`;
}

function likeness(first, text, similarity, differs) {
  if (first === text) return "the same text";
  // Never more than there is: 99.96 % is not all of it.
  return differs ? `${Math.floor(similarity * 1000) / 10} % alike` : "the same but for blanks";
}

/** A long text from shortly before what differs in it. */
function beginning(text, marks) {
  const first = marks[0]?.[0] ?? 0;
  if (first < SHORT) return { text, marks };
  const from = text.indexOf(" ", first - LEAD) + 1;
  const start = from > 0 && from <= first ? from : first;
  return { text: `… ${text.slice(start)}`, marks: marks.map(([a, b]) => [a - start + 2, b - start + 2]) };
}
