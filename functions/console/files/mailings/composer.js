// Composing a mailing: tabs Message, Profiles and Send over one draft, which
// saves by itself.
import {html, useEffect, useRef, useState} from "../kit/view.js";
import {call, newKey} from "../api/client.js";
import {ask} from "../kit/dialog.js";
import {clock} from "../kit/format.js";
import {usePoll, useTask} from "../kit/load.js";
import {say} from "../kit/say.js";
import {Badge, Failed, Notice} from "../kit/states.js";
import {Tabs} from "../kit/tabs.js";
import {mailingKind, mailingState} from "../kit/terms.js";
import {address, go, useGuard} from "../shell/route.js";
import {useTitle} from "../shell/shell.js";
import {useAudience} from "./count.js";
import {useDraft} from "./draft.js";
import {plain} from "./fields.js";
import {describe} from "./filter.js";
import {Message} from "./message.js";
import {Preview} from "./preview.js";
import {Profiles} from "./profiles.js";
import {Send} from "./send.js";
import {words} from "./words.js";

export const tabs = ["message", "profiles", "send"];

const look = 20_000; // ms between looks whether somebody else has changed it

// Composer calls moved(mailing) when the mailing is no draft any more.
export function Composer({mailing: given, route, moved}) {
  const draft = useDraft(given, moved);
  const audience = useAudience(draft);
  const {mailing, mine} = draft;
  const tab = tabs.includes(route.parts[2]) ? route.parts[2] : tabs[0];
  const [previewing, setPreviewing] = useState(false);
  const subject = mine.subject.trim() || words.noSubject;
  useTitle(subject);
  usePoll(() => draft.refresh(), look);

  // Leaving waits for the last save; where that fails, the person decides.
  useGuard(draft.unsaved && !draft.closed, async () => {
    if (draft.closed || await draft.flush()) return true;
    return await ask({
      title: words.leaveTitle, text: words.leaveText(draft.problem?.detail ?? words.justTyped), cancel: words.stay,
      answers: [{value: true, label: words.leave, kind: "danger"}],
    }) === true;
  }, (parts) => parts[0] === "mailings" && parts[1] === mailing.id);

  const copyKey = useRef(newKey());
  const copy = useTask(async () => {
    if (!await draft.flush()) return;
    const {data} = await call("POST", `/api/mailings/${encodeURIComponent(mailing.id)}/copy`, {key: copyKey.current});
    copyKey.current = newKey();
    say(words.copied);
    go(["mailings", data.id, "message"]);
  });
  const remove = useTask(async () => {
    const yes = await ask({title: words.deleteTitle, text: words.deleteText(subject), answers: [{value: true, label: words.deleteYes, kind: "danger"}]});
    if (!yes) return;
    await draft.flush(); // for its version; what cannot be saved goes with it
    await call("DELETE", `/api/mailings/${encodeURIComponent(mailing.id)}`, {version: draft.version});
    draft.close();
    say(words.deleted);
    go(["mailings"]);
  });
  const bad = {message: Boolean(draft.problem?.byField?.subject || draft.problem?.byField?.html)};
  return html`
    <p class="small back"><a href=${address(["mailings"])}>‹ ${words.back}</a></p>
    <div class="head">
      <h1>${words.title}</h1>
      <${SaveState} draft=${draft} />
      <div class="buttons">
        <button type="button" class="button" onClick=${() => setPreviewing(true)}>${words.previewAndTest}</button>
        <button type="button" class="button" disabled=${copy.busy} onClick=${copy.run}>${words.copy}</button>
        <button type="button" class="button danger" disabled=${remove.busy} onClick=${remove.run}>${words.delete}</button>
      </div>
    </div>
    ${[copy.problem, remove.problem].filter(Boolean).map((problem) => html`<${Failed} problem=${problem} />`)}
    ${mailing.pauseReason === "schedule_missed" && html`<${Notice} kind="warn"><p>${words.missed}</p></${Notice}>`}
    ${mailing.remindsOf && html`<${Notice}><p>${words.remindsOf} <a href=${address(["mailings", mailing.remindsOf])}>${words.earlier}</a></p></${Notice}>`}
    <${Troubles} draft=${draft} moved=${moved} />
    <${Tabs} label=${words.tabs} current=${tab} tabs=${tabs.map((of) => ({id: of, label: words[of], href: address(["mailings", mailing.id, of]), bad: bad[of], mark: bad[of] && words.missing}))} />
    ${tab === "message" && html`<${Message} draft=${draft} />`}
    ${tab === "profiles" && html`<${Profiles} draft=${draft} audience=${audience} />`}
    ${tab === "send" && html`<${Send} draft=${draft} audience=${audience} sent=${(now) => { draft.close(); moved(now); }} />`}
    ${previewing && html`<${Preview} draft=${draft} onClose=${() => setPreviewing(false)} />`}`;
}

function SaveState({draft}) {
  const {state, savedAt} = draft;
  const text = {
    saved: savedAt ? words.savedAt(clock(savedAt)) : words.saved, typed: words.typed, saving: words.saving, failed: words.typed, conflict: words.typed,
  }[state];
  return html`<p class="save-state ${state}"><${Badge} kind=${mailingKind.draft}>${mailingState.draft}</${Badge}> <span>${text}</span></p>`;
}

// Troubles are what staff must know about the draft: that it is not saved and
// why, that somebody else writes on it, too, and what was taken out of it.
function Troubles({draft, moved}) {
  const {state, problem, removed, open = [], theirs} = draft;
  const [adopted, setAdopted] = useState(false);
  useEffect(() => {
    if (!draft.adopted) return undefined;
    draft.adopted = false;
    setAdopted(true);
    const timer = setTimeout(() => setAdopted(false), 15_000);
    return () => clearTimeout(timer);
  }, [draft.adopted]);
  const passing = problem?.offline || problem?.status >= 500;
  return html`
    ${state === "failed" && problem && html`
      <div class="notice ${passing ? "warn" : "bad"}" role="alert">
        <p><strong>${words.notSaved}</strong> ${problem.detail}</p>
        ${problem.problems?.length > 1 && html`<ul>${problem.problems.map((one) => html`<li>${one.detail}</li>`)}</ul>`}
        ${passing && html`<p>${words.tryingAgain}</p><p><button type="button" class="button" onClick=${() => draft.flush()}>${words.saveNow}</button></p>`}
      </div>`}
    ${removed?.length > 0 && html`<${Notice} kind="warn" live><p>${words.removed(removed)}</p></${Notice}>`}
    ${adopted && html`<${Notice} kind="info" live><p>${words.adopted}</p></${Notice}>`}
    ${(draft.left || draft.gone) && html`<${Left} draft=${draft} moved=${moved} />`}
    ${state === "conflict" && open.length > 0 && html`
      <section class="notice warn conflict" role="alert">
        <p class="notice-title">${words.conflictTitle}</p>
        <p>${words.conflictText}</p>
        ${open.map((part) => html`
          <div class="versions" key=${part}>
            <${Version} title=${`${words.yours}: ${words.part[part]}`} text=${shown(part, draft.mine)} label=${words.keepYours(words.part[part])} choose=${() => draft.choose(part, "mine")} />
            <${Version} title=${`${words.theirs}: ${words.part[part]}`} text=${shown(part, theirs)} label=${words.takeTheirs(words.part[part])} choose=${() => draft.choose(part, "theirs")} />
          </div>`)}
      </section>`}`;
}

const shown = (part, of) => (part === "audience" ? describe(of.audience) : part === "html" ? plain(of.html) : of.subject) || words.nothing;

const Version = ({title, text, label, choose}) => html`
  <div class="version">
    <p class="small soft">${title}</p>
    <p class="version-text">${text}</p>
    <p><button type="button" class="button" onClick=${choose}>${label}</button></p>
  </div>`;

// Left: somebody else has sent or deleted the draft while it was written on.
function Left({draft, moved}) {
  const {left, mine} = draft;
  const key = useRef(newKey());
  const keep = useTask(async () => {
    const {data} = await call("POST", "/api/mailings", {body: {subject: mine.subject, html: mine.html, audience: mine.audience}, key: key.current});
    draft.close();
    go(["mailings", data.id, "message"], {}, {replace: true});
  });
  const leave = () => {
    draft.close();
    if (left) moved(left);
    else go(["mailings"], {}, {replace: true});
  };
  return html`
    <${Notice} kind="warn" live>
      <p>${left ? words.sentMeanwhile(left.state) : words.deletedMeanwhile}</p>
      ${keep.problem && html`<${Failed} problem=${keep.problem} />`}
      <p class="buttons">
        <button type="button" class="button primary" disabled=${keep.busy} onClick=${keep.run}>${words.keepAsDraft}</button>
        <button type="button" class="button" onClick=${leave}>${left ? words.showTheirs : words.toList}</button>
      </p>
    </${Notice}>`;
}
