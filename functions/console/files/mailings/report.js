// The live page of a mailing that was sent: what is happening now, what became
// of everybody, and what can be done about it. Its places are fixed, so that
// nothing moves under the eyes or the hand of whoever watches it.
import {html, useEffect, useRef, useState} from "../kit/view.js";
import {call, newKey, read} from "../api/client.js";
import {clock, duration, number, time} from "../kit/format.js";
import {useLoad, useTask} from "../kit/load.js";
import {say} from "../kit/say.js";
import {Badge, Failed, Notice} from "../kit/states.js";
import {mailingKind, mailingState, outcome as outcomes, skipReason} from "../kit/terms.js";
import {useMay} from "../shell/me.js";
import {address, go} from "../shell/route.js";
import {useTitle} from "../shell/shell.js";
import {Confirm} from "./confirm.js";
import {Funnel} from "./funnel.js";
import {useLive} from "./live.js";
import {Recipients} from "./recipients.js";
import {mailed, settled, share} from "./tally.js";
import {words} from "./report.words.js";

// Report gets the mailing as it was read; reload() has it read anew by whoever
// rendered this, when it is no sent mailing any more.
export default function Report({mailing: given, reload, route}) {
  const live = useLive(given);
  const {mailing} = live;
  const [asking, ask] = useState(); // the action whose window is open
  const [round, setRound] = useState(0); // of reading the recipients
  const heading = useRef();
  const list = useRef();
  useTitle(mailing.subject);
  useEffect(() => { if (!mailing.report) reload(); }, [Boolean(mailing.report)]);

  // The button of what has just been done may be there no more.
  useEffect(() => {
    if (!asking && document.activeElement === document.body && round > 0) heading.current?.focus();
  }, [asking, mailing.state, round]);

  if (live.gone) return html`<h1>${mailing.subject}</h1><${Notice} kind="bad" live><p>${words.gone}</p></${Notice}><p><a href=${address(["mailings"])}>${words.back}</a></p>`;
  if (!mailing.report) return null;

  const outcome = shownOutcome(route, mailing.report);
  const choose = (wanted) => go(["mailings", mailing.id], {outcome: wanted});
  return html`
    <p class="small back"><a href=${address(["mailings"])}>‹ ${words.back}</a></p>
    <div class="head">
      <h1 tabindex="-1" ref=${heading}>${mailing.subject}</h1>
      <${Badge} kind=${mailingKind[mailing.state]}>${mailingState[mailing.state] ?? mailing.state}</${Badge}>
    </div>
    <${Doings} mailing=${mailing} ask=${ask} />
    <${Progress} live=${live} />
    <div class="side-by-side">
      <${Outcomes} mailing=${mailing} choose=${(wanted) => {
        choose(wanted);
        list.current?.focus();
      }} />
      <div>
        <${Funnel} mailing=${mailing} />
        <${Message} mailing=${mailing} />
      </div>
    </div>
    <${Recipients} key=${mailing.id} mailing=${mailing} outcome=${outcome} choose=${choose} round=${round} heading=${list} />
    ${asking && html`<${Window} name=${asking} live=${live} onClose=${(done) => {
      ask(undefined);
      if (done) setRound(round + 1);
    }} />`}`;
}

// Whom the list shows: who failed, unless the address says otherwise.
function shownOutcome(route, report) {
  const asked = route.params.get("outcome");
  return asked === "all" || asked in report.outcomes ? asked : "failed";
}

// --- what can be done ---

const hasLinks = ({html: message}) => /\[\[\s*PORTALLOGINLINK\s*\]\]/i.test(message);

// offered says what makes sense now, of what state and role permit. The API
// permits more, such as pausing what is paused, which changes nothing.
const offered = {
  pause: ({state}) => state === "sending" || state === "waiting_quota",
  resume: ({state}) => state === "paused",
  cancel: ({state}) => state !== "cancelled",
  reminders: (mailing) => hasLinks(mailing) && wentOut(mailing),
  "revoke-links": (mailing) => hasLinks(mailing) && wentOut(mailing) && !(Date.parse(mailing.linksRevokedAt) > Date.parse(mailing.doneAt)),
  "resend-failed": ({report}) => report.outcomes.failed > 0,
};
const needs = {
  pause: "send_mailings", resume: "send_mailings", cancel: "send_mailings", "resend-failed": "send_mailings",
  reminders: "compose_mailings", "revoke-links": "revoke_links",
};

// While it is running the first mail is a matter of seconds: buttons do not
// come and go for it.
const wentOut = ({report, doneAt}) => !doneAt || mailed(report) > 0;
const can = (name, mailing, may) => may(needs[name]) && mailing.actions.includes(name) && offered[name](mailing);

function Doings({mailing, ask}) {
  const may = useMay();
  const key = useRef();
  const copy = useTask(async () => {
    key.current ??= newKey();
    const {data} = await call("POST", `/api/mailings/${encodeURIComponent(mailing.id)}/copy`, {key: key.current});
    key.current = undefined;
    say(words.copied);
    go(["mailings", data.id]);
  });
  // What comes later, such as the first failure, moves no button: it stands
  // last, and its place is kept while mails go out.
  const button = (name) => {
    const able = can(name, mailing, may);
    const kept = name === "resend-failed" && mailing.state === "sending" && may(needs[name]);
    return (able || kept) && html`
      <button key=${name === "resume" ? "pause" : name} type="button" class="button ${words.windows[name].kind ?? (name === "resume" ? "primary" : "")}"
        disabled=${!able} onClick=${() => ask(name)}>${words.windows[name].button}</button>`;
  };
  return html`
    <div class="doings buttons">
      ${["pause", "resume", "cancel", "reminders", "revoke-links"].map(button)}
      <button key="copy" type="button" class="button" disabled=${copy.busy} onClick=${() => copy.run()}>${words.copy}</button>
      ${button("resend-failed")}
    </div>
    ${copy.problem && html`<${Failed} problem=${copy.problem}>${copy.problem.offline && html`<p>${words.maybeDone}</p>`}</${Failed}>`}`;
}

// Window asks whether to do one of them. While it is open the numbers in it go
// on, and a colleague may be quicker.
function Window({name, live, onClose}) {
  const may = useMay();
  const {mailing} = live;
  const {report} = mailing;
  const texts = words.windows[name];
  const key = useRef(newKey()); // of a reminder: one, however often it is asked for
  const [again, setAgain] = useState(0); // profiles that go again
  const path = `/api/mailings/${encodeURIComponent(mailing.id)}/${name}`;

  const works = {
    "resend-failed": async () => {
      let n = 0;
      for (let complete = false; !complete;) {
        const {data} = await call("POST", path);
        n += data.profiles;
        complete = data.complete;
        setAgain(n);
      }
      await live.look();
      say(texts.done(n));
    },
    reminders: async () => {
      const {data} = await call("POST", path, {key: key.current});
      say(texts.done);
      go(["mailings", data.id]);
    },
  };
  const work = async () => {
    try {
      if (works[name]) {
        await works[name]();
      } else {
        live.put((await call("POST", path)).data);
        say(texts.done);
      }
    } catch (problem) {
      live.look(); // a colleague was quicker, or the answer was lost: show how it stands
      throw problem;
    }
  };
  const ready = can(name, mailing, may);
  const numbers = {pending: report.outcomes.pending, failed: report.outcomes.failed, mailed: mailed(report)};
  return html`
    <${Confirm} title=${texts.title} label=${texts.confirm} keep=${texts.keep} kind=${texts.kind} ready=${ready} work=${work} onClose=${onClose}>
      ${ready ? texts.text(numbers).map((line) => html`<p>${line}</p>`) : html`<p>${words.meanwhile(mailingState[mailing.state] ?? mailing.state)}</p>`}
      ${again > 0 && html`<p role="status">${texts.progress(again)}</p>`}
    </${Confirm}>`;
}

// --- what is happening ---

function Progress({live}) {
  const {mailing, at, problem} = live;
  const {report, state} = mailing;
  const done = settled(report);
  const percent = share(done, report.profiles);
  const stale = problem && (problem.offline || !problem.detail ? words.stale(clock(at)) : words.refused(problem.detail, clock(at)));
  return html`
    <section class="card running" aria-labelledby="progress">
      <h2 id="progress" class="hidden">${words.progress}</h2>
      <p class="share"><strong>${words.percent(percent)}</strong> <span>${words.settled(done, report.profiles)}</span></p>
      <progress max=${report.profiles || 1} value=${report.profiles ? done : 1} aria-labelledby="progress" aria-valuetext=${words.settled(done, report.profiles)}></progress>
      <p class="small soft">${words.settledHint}</p>
      <${Saying} mailing=${mailing} />
      <dl class="figures">
        <div><dt>${words.rate}</dt><dd>${state === "sending" ? html`${live.rate === undefined ? "" : html`${words.rateNow(live.rate)}<br />`}<span class="small soft">${report.rate > 0 ? words.rateMost(report.rate) : words.rateFree}</span>` : words.none}</dd></div>
        <div><dt>${words.left}</dt><dd>${left(mailing, at)}</dd></div>
        <div><dt>${words.quota}</dt><dd>${report.quotaLeft === undefined ? words.quotaNone : words.quotaLeft(report.quotaLeft)}</dd></div>
        <div><dt>${words.sentAt}</dt><dd>${words.timeBy(time(mailing.sentAt), mailing.sentBy)}</dd></div>
        <div><dt>${words.doneAt}</dt><dd>${mailing.doneAt ? time(mailing.doneAt) : words.none}</dd></div>
      </dl>
      <${Announced} state=${state} percent=${percent} stale=${stale} />
      <p class="line small ${stale ? "stale" : "soft"}">${stale || words.asOf(clock(at))}</p>
    </section>`;
}

function left({state, report: {outcomes: {pending, uncertain}, secondsLeft}}, at) {
  if (state === "sending" && pending === 0 && uncertain > 0) return words.leftConfirming;
  if (secondsLeft === undefined) return words.none;
  if (secondsLeft < 60) return words.leftShort;
  return words.leftAbout(duration(secondsLeft), clock(at + secondsLeft * 1000));
}

// Announced tells screen readers what changes, and each quarter of the way: a
// region that speaks at every number is one that people switch off.
function Announced({state, percent, stale}) {
  const quarter = Math.floor(percent / 25);
  const [text, setText] = useState("");
  const first = useRef(true);
  useEffect(() => {
    if (first.current) { first.current = false; return; }
    setText(stale || words.announce(mailingState[state] ?? state, percent));
  }, [state, quarter, stale]);
  return html`<p class="hidden" role="status">${text}</p>`;
}

// Saying is the state in a sentence, with who brought it about.
function Saying({mailing}) {
  const {state, pauseReason, doneAt} = mailing;
  const who = useWho(mailing);
  if (state === "paused" && pauseReason) {
    return html`<${Notice} kind="bad" title=${words.pausedItself}><p>${words.pauses[pauseReason] ?? words.pauseOther(pauseReason)}</p></${Notice}>`;
  }
  const text = state === "cancelled" && !doneAt ? words.says.cancelling : words.says[state];
  const by = who && {paused: words.pausedBy, cancelled: words.cancelledBy}[state]?.(who.name, time(who.at));
  return html`<p class="saying">${by} ${text}</p>`;
}

// useWho finds in the activity who has paused or cancelled a mailing: a
// colleague who looks at the same page is the first to be asked.
function useWho({id, state, pauseReason, sentAt}) {
  const may = useMay();
  const kind = !pauseReason && may("view_profiles") ? {paused: "mailing_paused", cancelled: "mailing_cancelled"}[state] : undefined;
  const who = useLoad(async (signal) => {
    if (!kind) return undefined;
    const {data} = await read("/api/activity", {kind, from: sentAt, limit: 50}, {signal});
    const entry = data.entries.find((one) => one.mailing === id);
    return entry && {name: entry.actor.name || entry.actor.id, at: entry.at};
  }, [id, kind]);
  return who.data; // where it is not known the page says the rest
}

// --- what became of everybody ---

function Outcomes({mailing, choose}) {
  const {report} = mailing;
  const names = Object.keys(words.means);
  const sum = Object.values(report.outcomes).reduce((a, b) => a + b, 0);
  const reasons = Object.entries(report.skipped).sort(([, a], [, b]) => b - a);
  const follow = (event, name) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    choose(name);
  };
  return html`
    <section class="card outcomes" aria-labelledby="outcomes">
      <h2 id="outcomes">${words.outcomes}</h2>
      <table>
        <caption class="hidden">${words.outcomesCaption}</caption>
        <thead><tr><th scope="col">${words.outcome}</th><th scope="col" class="number">${words.profilesColumn}</th></tr></thead>
        <tbody>${names.map((name) => html`
          <tr key=${name} class="${name} ${report.outcomes[name] ? "" : "zero"}">
            <th scope="row"><a href=${address(["mailings", mailing.id], {outcome: name})} onClick=${(event) => follow(event, name)}>${outcomes[name]}</a> <span class="small soft">${words.means[name]}</span></th>
            <td class="number">${number(report.outcomes[name])}</td>
          </tr>`)}
        </tbody>
        <tfoot><tr><th scope="row"><a href=${address(["mailings", mailing.id], {outcome: "all"})} onClick=${(event) => follow(event, "all")}>${words.together}</a></th><td class="number">${number(sum)}</td></tr></tfoot>
      </table>
      <p class="small ${sum === report.profiles ? "soft" : "error"}">${sum === report.profiles ? words.addsUp(sum) : words.doesNotAddUp(report.profiles)}</p>
      ${reasons.length > 0 && html`<p class="small soft">${words.skippedThen(reasons.map(([reason, n]) => words.skippedReason(skipReason[reason] ?? reason, n)))}</p>`}
      ${report.skippedLater > 0 && html`<p class="small soft">${words.skippedLater(report.skippedLater)}</p>`}
    </section>`;
}

// --- what was sent ---

function Message({mailing}) {
  const {remindsOf, linksRevokedAt, profiles, mails} = mailing;
  const [Preview, setPreview] = useState();
  const [open, setOpen] = useState(false);
  const view = useTask(async () => {
    const module = await import("./preview.js").catch(() => { throw new Error(words.viewMissing); });
    setPreview(() => module.Preview);
    setOpen(true);
  });
  // The window shows drafts, too, which are saved before; this one is as it is.
  const asSent = {mailing, base: mailing, flush: async () => true};
  return html`
    <section class="card" aria-labelledby="message">
      <h2 id="message">${words.message}</h2>
      <p>${words.messageAudience(profiles, mails)}</p>
      ${remindsOf && html`<p><a href=${address(["mailings", remindsOf])}>${words.remindsOf}</a></p>`}
      ${linksRevokedAt && html`<p>${words.revokedAt(time(linksRevokedAt))}</p>`}
      ${view.problem && html`<${Failed} problem=${view.problem} />`}
      <p><button type="button" class="button" onClick=${() => view.run()}>${words.view}</button></p>
      ${open && html`<${Preview} draft=${asSent} onClose=${() => setOpen(false)} />`}
    </section>`;
}
