// Communication: every mailing, newest first. What is running shows how far it is.
import {html, useRef, useState} from "../kit/view.js";
import {call, newKey, read} from "../api/client.js";
import {ago, clock, time} from "../kit/format.js";
import {useLoad, usePoll, useTask} from "../kit/load.js";
import {say} from "../kit/say.js";
import {Badge, Empty, Failed, Loaded} from "../kit/states.js";
import {mailingKind, mailingState} from "../kit/terms.js";
import {words as kit} from "../kit/words.js";
import {address, go} from "../shell/route.js";
import {useTitle} from "../shell/shell.js";
import {Confirm} from "./confirm.js";
import {settled, share} from "./tally.js";
import {words} from "./report.words.js";

const running = ["sending", "paused", "waiting_quota"];

export default function Mailings() {
  useTitle(words.title);
  const list = useLoad(async (signal) => ({...await page({}, signal), at: Date.now()}), []);
  const latest = useRef();
  latest.current = list.data;
  const more = useTask(async () => {
    const next = await page({cursor: latest.current.cursor});
    list.set({...latest.current, mailings: [...latest.current.mailings, ...next.mailings], cursor: next.cursor});
  });
  const [stale, setStale] = useState(false);
  const [removing, remove] = useState(); // the draft that the window asks about

  const look = async () => {
    try {
      list.set(merged(latest.current, await page({})));
      setStale(false);
    } catch { setStale(true); }
  };
  const busy = list.data?.mailings.some((one) => running.includes(one.state) || one.state === "scheduled");
  usePoll(look, busy ? 3000 : 10_000, list.data !== undefined);

  const keys = useRef({}); // of copies: pressing the button again after a lost answer makes no second one
  const copy = useTask(async ({id}) => {
    const key = keys.current[id] ??= newKey();
    const {data} = await call("POST", `/api/mailings/${encodeURIComponent(id)}/copy`, {key});
    delete keys.current[id];
    say(words.copied);
    go(["mailings", data.id]);
  });

  return html`
    <div class="head">
      <h1>${words.title}</h1>
      <a class="button primary" href=${address(["mailings", "new"])}>${words.sendEmail}</a>
    </div>
    ${copy.problem && html`<${Failed} problem=${copy.problem} />`}
    <${Loaded} of=${list}>${({mailings, cursor, at}) => html`
      ${mailings.length === 0 && !cursor
        ? html`<${Empty} title=${words.emptyTitle}><p>${words.emptyText}</p></${Empty}>`
        : html`
          <div class="card">
            <table class="mailings">
              <caption class="hidden">${words.caption}</caption>
              <thead><tr>${["subject", "state", "when", "by", "numbers", "actions"].map((name) => html`<th scope="col" key=${name}>${words[name]}</th>`)}</tr></thead>
              <tbody>${mailings.map((one) => html`<${Row} key=${one.id} mailing=${one} copy=${copy} remove=${remove} />`)}</tbody>
            </table>
          </div>`}
      <p class="line small soft" role="status">${stale && words.listStale(clock(at))}</p>
      ${more.problem && html`<${Failed} problem=${more.problem} />`}
      ${cursor && html`<p><button type="button" class="button" disabled=${more.busy} onClick=${() => more.run()}>${kit.more}</button></p>`}`}
    </${Loaded}>
    ${removing && html`<${Remove} draft=${removing} onClose=${(id) => {
      remove(undefined);
      if (!id) return;
      list.set({...latest.current, mailings: latest.current.mailings.filter((one) => one.id !== id)});
      document.getElementById("main").focus();
    }} />`}`;
}

const page = async (query, signal) => (await read("/api/mailings", {limit: 50, ...query}, {signal})).data;

// merged puts a fresh first page before what was read further down. IDs are
// ordered by time, so whatever the page should hold and does not is gone.
function merged(before, fresh) {
  const last = fresh.mailings.at(-1)?.id;
  const below = fresh.cursor && last ? before.mailings.filter((one) => one.id < last) : [];
  return {mailings: [...fresh.mailings, ...below], cursor: below.length > 0 ? before.cursor : fresh.cursor, at: Date.now()};
}

function Row({mailing, copy, remove}) {
  const {id, subject, state, sentAt, createdBy, sentBy, mails, profiles, actions} = mailing;
  const named = subject || words.noSubject;
  const sent = sentAt || state === "scheduled";
  return html`
    <tr>
      <th scope="row" class="subject"><a href=${address(["mailings", id])}>${named}</a></th>
      <td data-label=${words.state}><${Badge} kind=${mailingKind[state]}>${mailingState[state] ?? state}</${Badge}></td>
      <td data-label=${words.when}>${when(mailing)}</td>
      <td data-label=${words.by}>${sent ? sentBy ?? createdBy : createdBy}</td>
      <td data-label=${words.numbers}>
        ${profiles === 0 ? html`<span class="soft">${words.notCounted}</span>` : words.size(profiles, mails)}
        ${running.includes(state) && html`<${Progress} id=${id} subject=${named} profiles=${profiles} />`}
      </td>
      <td class="doings">
        <button type="button" class="button" aria-label=${words.copyOf(named)} disabled=${copy.busy} onClick=${() => copy.run(mailing)}>${words.copy}</button>
        ${actions.includes("delete") && html` <button type="button" class="button danger" aria-label=${words.removeOf(named)} onClick=${() => remove(mailing)}>${words.remove}</button>`}
      </td>
    </tr>`;
}

function when({state, sendAt, sentAt, updatedAt, pauseReason}) {
  if (state === "scheduled") return words.scheduled(time(sendAt));
  if (running.includes(state)) return words.began(time(sentAt));
  if (sentAt) return words.sent(time(sentAt));
  return html`${words.edited(ago(updatedAt))}${pauseReason === "schedule_missed" && html`<br /><span class="small">${words.scheduleMissed}</span>`}`;
}

// Progress of one that is running; the place is kept while its numbers come.
function Progress({id, subject, profiles}) {
  const whole = useLoad(async (signal) => (await read(`/api/mailings/${encodeURIComponent(id)}`, {}, {signal})).data, [id]);
  usePoll(whole.reload, 2000);
  const report = whole.data?.report;
  const done = report ? settled(report) : 0;
  return html`
    <progress max=${report?.profiles || profiles} value=${done} aria-label="${words.progress}: ${subject}"></progress>
    <span class="small">${report ? `${words.settled(done, report.profiles)} · ${words.percent(share(done, report.profiles))}` : "…"}</span>`;
}

// Remove deletes a draft, but not what somebody has made of it meanwhile.
function Remove({draft, onClose}) {
  const [now, setNow] = useState(draft);
  const changed = now.version !== draft.version;
  const path = `/api/mailings/${encodeURIComponent(draft.id)}`;
  const work = async () => {
    try {
      await call("DELETE", path, {version: now.version});
      say(words.removed);
    } catch (problem) {
      if (problem.status === 404) { say(words.removedBefore); return; }
      if (problem.stale || problem.code === "mailing_state") setNow((await read(path)).data);
      throw problem;
    }
  };
  const ready = now.actions.includes("delete");
  const subject = now.subject || words.noSubject;
  return html`
    <${Confirm} title=${words.removeTitle} label=${words.remove} keep=${words.removeKeep} kind="danger" ready=${ready} work=${work}
      onClose=${(done) => onClose(done ? draft.id : undefined)}>
      <p>${!ready ? words.removeSent : changed ? words.removeStale(subject) : words.removeText(subject)}</p>
    </${Confirm}>`;
}
