// The Send tab: what has to be right before a mailing goes out, when it goes,
// and the window that names how many people get it.
import {html, useId, useState} from "../kit/view.js";
import {call, read} from "../api/client.js";
import {instant, local, time, zoneName} from "../kit/format.js";
import {Dialog} from "../kit/dialog.js";
import {TextField} from "../kit/form.js";
import {useLoad, useTask} from "../kit/load.js";
import {say} from "../kit/say.js";
import {Badge, Failed, Notice} from "../kit/states.js";
import {useMay} from "../shell/me.js";
import {address} from "../shell/route.js";
import {Count, leftOut, mailed} from "./count.js";
import {holds, plain} from "./fields.js";
import {describe} from "./filter.js";
import {words} from "./words.js";

// Send calls sent(mailing) when it was sent or scheduled, by whomever.
export function Send({draft, audience, sent}) {
  const may = useMay();
  const {id} = draft.mailing;
  const {mine} = draft;
  const settings = useLoad(async (signal) => (await read("/api/organization", {}, {signal})).data, []);
  const [later, setLater] = useState(false);
  const [at, setAt] = useState("");
  const [asking, setAsking] = useState();
  const [refused, setRefused] = useState();
  const text = plain(mine.html);
  const sender = settings.data && (settings.data.senderAddress ? words.senderIs(settings.data.senderName, settings.data.senderAddress) : undefined);
  const tab = (name, label) => html`<a href=${address(["mailings", id, name])}>${label}</a>`;
  const counted = audience.good && audience.of.mails > 0;
  const checks = [
    [words.checkSubject, mine.subject.trim() !== "", mine.subject.trim() || html`${words.noSubject} ${tab("message", words.toMessage)}`],
    [words.checkMessage, text !== "", text ? words.hasMessage(text.split(/\s+/).length) : html`${words.noMessage} ${tab("message", words.toMessage)}`],
    [words.checkLink, holds(text, "PORTALLOGINLINK") || "look", holds(text, "PORTALLOGINLINK") ? words.hasLink : html`${words.noLink} ${tab("message", words.toMessage)}`],
    [words.checkRecipients, true, html`${describe(mine.audience)}. ${tab("profiles", words.toProfiles)}`],
    [words.checkNumbers, counted, audience.good ? `${words.numbersAre(audience.of, leftOut(audience.of))}. ${words.countedAt(time(audience.of.at))}.` : words.countFirst],
    [words.checkSender, settings.data ? Boolean(sender) : "look", settings.data ? (sender ?? html`${words.noSender} ${may("edit_settings") && html`<a href=${address(["settings"])}>${words.toSettings}</a>`}`) : ""],
  ];
  const ready = checks.every(([, ok]) => ok);
  const n = counted ? mailed(audience.of) : 0;

  const ask = (event) => {
    event.preventDefault();
    if (later && !instant(at)) { setRefused(words.atMissing); return; }
    setRefused(undefined);
    setAsking({version: audience.of.version, mails: audience.of.mails, n, left: leftOut(audience.of), at: later ? instant(at) : undefined});
  };
  // closed gets the mailing when it goes out, or the problem that the window left.
  const closed = ({mailing, problem} = {}) => {
    setAsking(undefined);
    if (problem?.field === "at") setRefused(problem.detail);
    if (problem) audience.look().catch(() => {});
    if (!mailing) return;
    say(mailing.state === "scheduled" ? words.scheduled(time(mailing.sendAt)) : words.sending);
    sent(mailing);
  };
  const choice = useId();
  return html`
    <section class="card" aria-labelledby="${choice}-list">
      <h2 id="${choice}-list">${words.checklist}</h2>
      ${settings.problem && html`<${Failed} problem=${settings.problem} retry=${settings.reload} />`}
      <dl class="readiness">${checks.map(([what, ok, detail]) => html`
        <div key=${what}>
          <dt>${what}</dt>
          <dd><${Badge} kind=${ok === true ? "good" : "warn"}>${ok === true ? words.ok : ok === "look" ? words.look : words.missing}</${Badge}> <span>${detail}</span></dd>
        </div>`)}
      </dl>
    </section>
    <${Count} draft=${draft} audience=${audience} />
    ${may("send_mailings") ? html`
      <form class="card" aria-labelledby="${choice}-when" onSubmit=${ask} novalidate>
        <h2 id="${choice}-when">${words.when}</h2>
        <fieldset>
          <legend class="hidden">${words.when}</legend>
          ${[[false, words.now], [true, words.later]].map(([of, label]) => html`
            <div class="field check" key=${label}>
              <input type="radio" name=${choice} id="${choice}-${of}" checked=${later === of} onChange=${() => { setLater(of); setRefused(undefined); }} />
              <label for="${choice}-${of}">${label}</label>
            </div>`)}
        </fieldset>
        ${later && html`
          <${TextField} label=${words.at} type="datetime-local" min=${local(Date.now())} hint=${words.zone(zoneName())} value=${at} errors=${refused ? [refused] : []} onChange=${setAt} />`}
        ${!ready && html`<p class="soft">${words.notReady}</p>`}
        <p class="buttons"><button type="submit" class="button primary" disabled=${!ready || asking}>${counted ? (later ? words.scheduleFor(n) : words.sendTo(n)) : words.send}</button></p>
      </form>` : html`<${Notice} kind="info"><p>${words.maySend}</p></${Notice}>`}
    ${asking && html`<${Confirm} id=${id} of=${asking} subject=${mine.subject} onClose=${closed} />`}`;
}

// Confirm is the last step. of: version of the numbers, mails, n people, left
// out, at. Where the numbers or the time are no good any more it says so and
// leaves the rest to the tab behind it.
function Confirm({id, of, subject, onClose}) {
  const path = `/api/mailings/${encodeURIComponent(id)}`;
  const task = useTask(async () => {
    const {data} = await call("POST", `${path}/send`, {body: {version: of.version, at: of.at}});
    onClose({mailing: data});
  });
  const looked = useTask(async () => {
    const {data} = await read(path);
    if (data.state === "draft") return data;
    onClose({mailing: data});
    return undefined;
  });
  const [idle, setIdle] = useState(false); // looked, and it was not sent
  const {problem} = task;
  const look = async () => { setIdle(Boolean(await looked.run())); };
  const dead = problem && !problem.offline && problem.status < 500 && problem.status !== 429; // trying once more would not help
  const label = of.at ? words.scheduleFor(of.n) : words.sendTo(of.n);
  return html`
    <${Dialog} title=${of.at ? words.confirmScheduleTitle(of.n) : words.confirmTitle(of.n)} cancel=${words.notYet} busy=${task.busy || looked.busy} onClose=${() => onClose({problem})} actions=${!dead && html`
      <button type="button" class="button primary" disabled=${task.busy || looked.busy} onClick=${() => { setIdle(false); task.run(); }}>${label}</button>`}>
      <p>${words.confirmText(of.n, of.mails, subject)} ${of.left > 0 && words.confirmLeft(of.left)}</p>
      <p>${of.at ? words.confirmLater(time(of.at)) : words.confirmNow}</p>
      ${problem && html`
        <${Failed} problem=${problem}>
          ${problem.offline && html`<p>${words.maybeSent}</p>`}
          ${(problem.offline || problem.code === "already_sent" || problem.status >= 500) && html`<p><button type="button" class="button" disabled=${looked.busy} onClick=${look}>${words.lookAgain}</button></p>`}
          ${problem.code === "sender_missing" && html`<p><a href=${address(["settings"])}>${words.toSettings}</a></p>`}
          ${problem.code === "audience_empty" && html`<p><a href=${address(["mailings", id, "profiles"])}>${words.toProfiles}</a></p>`}
        </${Failed}>`}
      ${looked.problem && html`<${Failed} problem=${looked.problem} />`}
      ${idle && html`<${Notice} kind="info" live><p>${words.notSent}</p></${Notice}>`}
    </${Dialog}>`;
}
