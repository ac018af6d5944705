// The tab Web Portal Credentials: username and password as they are stored,
// and Change Credentials.
import {call, read} from "../api/client.js";
import {useLoad, usePoll} from "../kit/load.js";
import {Badge, Loaded, Notice} from "../kit/states.js";
import {TextField} from "../kit/form.js";
import {ago, time} from "../kit/format.js";
import * as terms from "../kit/terms.js";
import {html, useEffect, useLayoutEffect, useRef, useState} from "../kit/view.js";
import {useMay, useMe} from "../shell/me.js";
import {address} from "../shell/route.js";
import {Access} from "./access.js";
import {Control, ControlWindow} from "./control.js";
import {Fields} from "./credentialfields.js";
import {ResetSection, ResetWindow, arrives} from "./reset.js";
import {reasonOf} from "../mailings/report.words.js";
import {setBy, words} from "./credentials.words.js";

const placeholder = "************"; // openapi.yaml, Credentials
const rounds = 3; // others may edit faster than we save, but not for ever
const looks = [0, 1500]; // ms until it is looked whether a lost write was done; it may still be under way
const following = 120_000; // ms for which a mail that was sent is followed

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// What of a login others can have changed. Versions alone do not say it: they
// move with our own edits, too.
const parts = {
  username: ({username}) => username,
  password: ({passwordSet, passwordChangedAt}) => `${passwordSet} ${passwordChangedAt}`,
  disabled: ({disabled}) => disabled,
};
const differing = (a, b) => Object.keys(parts).filter((part) => parts[part](a) !== parts[part](b));

const plain = (name) => name.normalize("NFC").trim().toLowerCase();

// changesOf is what is sent: what was typed and differs, and nothing else (H3).
function changesOf({base, username, password}) {
  const changes = {};
  if (username.trim() !== base.username) changes.username = username.trim();
  if (password !== "") changes.password = password;
  return changes;
}

// useCredentials holds the credentials of a profile and what was typed over
// them, across the tabs.
//
//   state    useLoad's {data, problem, loading}
//   draft    while the fields are open: {base, username, password, errors,
//            suggestions, theirs, lost}
//   unsaved  something was typed; refused: saving it failed; unsure: or may
//            have done it, for its answer was lost
//   save()   resolves to true when everything is stored
//
// A password stands in the draft alone, which ends with saving and Cancel.
export function useCredentials(profile, {onChanged}) {
  const may = useMay();
  const me = useMe();
  const path = `/api/profiles/${encodeURIComponent(profile.id)}/credentials`;
  const [draft, show] = useState();
  const [busy, setBusy] = useState(false);
  const [after, setAfter] = useState(); // "saved" when a lost answer turned out well
  const now = useRef();
  const saving = useRef(false);
  const ours = useRef([]); // parts that we are changing ourselves, elsewhere in the tab
  const update = (next) => show(now.current = next);
  const patch = (change) => update({...now.current, ...change});

  const state = useLoad(async (signal) => {
    if (!may("view_credentials")) return undefined;
    const {data} = await read(path, {}, {signal});
    if (now.current && !saving.current && !now.current.lost?.body) settle(data); // else that is for whoever is at it
    ours.current = [];
    return data;
  }, [path]);
  const settings = useLoad(async (signal) => (may("set_passwords") ? (await read("/api/organization", {}, {signal})).data : undefined), []);

  // settle puts what was typed over the credentials as they are now, and
  // returns whether somebody else has changed them.
  function settle(data) {
    const {base, username, theirs} = now.current;
    // The username may have moved with the profile's email, which we saved; a
    // username with an @ is always an address of the profile (H4).
    const moved = differing(base, data).filter((part) => !ours.current.includes(part)
      && !(part === "username" && data.username === profile.username && data.username.includes("@")));
    patch({
      base: data,
      username: username === base.username ? data.username : username,
      theirs: moved.length > 0 ? {was: theirs?.was ?? base, parts: [...new Set([...theirs?.parts ?? [], ...moved])]} : theirs,
    });
    return moved.length > 0;
  }

  // stored ends the draft; what was typed since it was sent stays.
  function stored(data, sent, outcome) {
    const {username, password} = now.current;
    const typed = username !== sent.username || password !== sent.password;
    update(typed ? {base: data, username: username === sent.username ? data.username : username, password: password === sent.password ? "" : password} : undefined);
    setAfter(outcome);
    state.set(data);
    onChanged();
    return true;
  }

  function refuse(problem) {
    const {username = [], password = [], ...others} = problem.byField;
    const errors = {username, password, others: Object.values(others).flat()};
    if (problem.code === "typing_switched_off") { // meanwhile: the field goes, and with it what was typed there
      settings.reload();
      patch({password: "", errors: {username: [], password: [], others: password}});
      return false;
    }
    patch({errors, suggestions: problem.suggestions ?? []});
    return false;
  }

  // One at a time; meanwhile Cancel waits, for nobody can say what it would cancel.
  const once = (work) => async () => {
    if (!now.current || saving.current) return !now.current;
    saving.current = true;
    setBusy(true);
    try {
      return await work();
    } finally {
      saving.current = false;
      setBusy(false);
    }
  };

  async function put() {
    for (let round = 0; round < rounds; round++) {
      const {base} = now.current;
      const sent = now.current;
      const body = changesOf(sent);
      patch({errors: undefined, suggestions: undefined, theirs: undefined, lost: undefined});
      if (Object.keys(body).length === 0) { update(undefined); return true; }
      if (body.password === placeholder) {
        patch({errors: {username: [], password: [words.placeholderTyped], others: []}});
        return false;
      }
      try {
        return stored((await call("PUT", path, {body, version: base.version})).data, sent);
      } catch (problem) {
        if (!problem.code) throw problem; // a fault of this page
        if (problem.unsure) return look(body, sent);
        if (!problem.stale) return refuse(problem);
        try {
          const {data} = await read(path);
          state.set(data);
          if (settle(data)) return false;
        } catch (again) {
          if (!again.code) throw again;
          return refuse(again);
        }
      }
    }
    return false;
  }

  // look finds out whether a change is stored whose answer was lost.
  async function look(body, sent) {
    const {base} = sent;
    patch({lost: {body, sent, looking: true}});
    for (const wait of looks) {
      await pause(wait);
      let data;
      try {
        ({data} = await read(path));
      } catch (problem) {
        if (!problem.code) throw problem;
        patch({lost: {body, sent}});
        return false;
      }
      if (holds(data, body, base)) return stored(data, sent, "saved");
      state.set(data);
      if (settle(data)) {
        patch({lost: undefined});
        return false;
      }
    }
    patch({lost: {not: true}});
    return false;
  }

  const holds = (data, {username, password}, base) => data.version !== base.version
    && (username === undefined || plain(data.username) === plain(username))
    && (password === undefined || (data.passwordChangedAt !== base.passwordChangedAt && data.passwordChangedBy === "staff" && data.passwordChangedByName === me.name));

  const save = once(async () => {
    const {lost} = now.current;
    if (lost?.body && !await look(lost.body, lost.sent)) return false;
    return !now.current || put();
  });
  const lookNow = once(async () => {
    const {body, sent} = now.current.lost ?? {};
    return Boolean(body) && look(body, sent);
  });
  const latest = useRef();
  latest.current = lookNow;
  const waiting = Boolean(draft?.lost?.body) && !draft.lost.looking;
  useEffect(() => {
    if (!waiting) return undefined;
    const back = () => latest.current();
    addEventListener("online", back);
    return () => removeEventListener("online", back);
  }, [waiting]);

  return {
    state, settings, draft, after, busy, save, lookNow, changed: onChanged,
    unsaved: Boolean(draft) && Object.keys(changesOf(draft)).length > 0,
    refused: Boolean(draft) && (Object.values(draft.errors ?? {}).flat().length > 0 || Boolean(draft.theirs || draft.lost)),
    unsure: Boolean(draft?.lost?.body),
    // Typing can be switched off for everybody; until that is known it is not
    // offered, and if it cannot be known the API decides.
    mayType: settings.data ? settings.data.staffMayTypePasswords : Boolean(settings.problem),
    open() {
      setAfter(undefined);
      update({base: state.data, username: state.data.username, password: ""});
    },
    cancel: () => { if (!saving.current) update(undefined); },
    set(name, value) {
      const {errors, suggestions, lost} = now.current;
      patch({
        [name]: value, errors: errors && {...errors, [name]: [], others: []}, suggestions: name === "username" ? undefined : suggestions,
        lost: lost?.not ? undefined : lost,
      });
    },
    // keepTheirs drops what was typed into a field that others have changed.
    keepTheirs: (part) => patch(part === "username" ? {username: now.current.base.username} : {password: ""}),
    // reload reads anew; parts are those of the login that we have changed ourselves.
    async reload(changed = []) {
      ours.current = [...ours.current, ...changed];
      await state.reload();
    },
  };
}

export function CredentialsTab({c, profile, edited}) {
  const may = useMay();
  const {data} = c.state;
  const [asked, ask] = useState(); // the window that is open: {kind, contact}
  const [sent, setSent] = useState();
  const [turn, setTurn] = useState(0); // counts what was done here, for the checks
  const change = useRef();
  const wasOpen = useRef(false);
  const open = Boolean(c.draft);
  const [first, setFirst] = useState("username"); // the field that is wanted

  // What becomes of a mail is known seconds later.
  const {state, sentAt} = data?.lastLink ?? {};
  usePoll(() => c.reload(), 2000, ["pending", "uncertain", "sent"].includes(state) && Date.now() - new Date(sentAt) < following);

  // The keyboard goes back to where Change Credentials was pressed.
  useLayoutEffect(() => {
    if (wasOpen.current && !open && document.activeElement === document.body) change.current?.focus();
    wasOpen.current = open;
  }, [open]);

  if (!may("view_credentials")) return html`<section class="card"><h2>${words.title}</h2><p>${words.notYours}</p></section>`;
  const start = (field = "username") => {
    setFirst(field);
    if (!open) c.open();
  };
  const done = (changed) => {
    ask(undefined);
    setTurn(turn + 1);
    c.reload(changed);
    c.changed();
  };
  return html`
    <section class="card" aria-labelledby="credentials">
      <h2 id="credentials">${words.title}</h2>
      <${Loaded} of=${c.state} what=${words.loading}>
        ${(login) => html`
          ${c.after === "saved" && !open && html`<${Notice} kind="good" live title=${words.storedAfterAllTitle}><p>${words.storedAfterAll}</p></${Notice}>`}
          ${login.disabled && html`<${Notice} kind="warn" title=${words.disabledTitle}><p>${words.disabledText}</p></${Notice}>`}
          ${open ? html`<${Fields} c=${c} profile=${profile} edited=${edited} first=${first} />` : html`<${Stored} login=${login} profile=${profile} />`}
          ${may("set_passwords") && html`
            <div class="buttons">
              ${open
                ? html`<button type="button" class="button" aria-disabled=${c.busy ? "true" : undefined} onClick=${c.cancel}>${words.cancel}</button>`
                : html`<button type="button" class="button" ref=${change} onClick=${() => start()}>${words.change}</button>`}
            </div>
            ${!open && c.settings.data && !c.mayType && html`<p class="hint">${words.linksOnly}</p>`}`}
          <${Facts} login=${login} />`}
      </${Loaded}>
    </section>
    ${data && html`
      ${may("send_resets") && html`<${ResetSection} profile=${profile} login=${data} edited=${edited} sent=${sent} ask=${ask} />`}
      <${Access} profile=${profile} login=${data} c=${c} turn=${turn} ask=${ask} change=${start} />
      ${may("control_logins") && html`<${Control} login=${data} open=${open} ask=${ask} />`}`}
    ${asked?.kind === "reset" && html`
      <${ResetWindow} profile=${profile} contact=${asked.contact} login=${data} edited=${edited}
        onClose=${() => ask(undefined)} onSent=${(result) => { setSent(result); done(); }} />`}
    ${asked && asked.kind !== "reset" && html`
      <${ControlWindow} kind=${asked.kind} profile=${profile} c=${c} onClose=${() => ask(undefined)} onDone=${done} />`}`;
}

// Stored is what is to be seen of the credentials: never the password, never
// its length (H2).
function Stored({login, profile}) {
  const {username, passwordSet, passwordPlaceholder = "", mustChange, stopsAt, stopped} = login;
  const none = profile.email ? words.becomesUsername(profile.email) : words.becomesNone;
  return html`
    <div class="fields">
      <${TextField} label=${words.username} value=${username} readonly hint=${!username && none} />
      <${TextField} label=${words.password} value=${passwordPlaceholder} readonly hint=${passwordSet ? words.stored : words.noPassword} />
    </div>
    ${mustChange && !stopped && html`<p>${words.mustChange}</p>`}
    ${stopped && html`<${Notice} kind="warn"><p>${words.stopped(stopsAt)}</p></${Notice}>`}
    ${stopsAt && !stopped && html`<p>${words.stopsAt(stopsAt)}</p>`}`;
}

const Facts = ({login}) => html`
  <dl class="facts login-facts">
    <dt>${words.status}</dt><dd><${Badge} kind=${terms.loginKind[login.loginStatus]}>${terms.loginStatus[login.loginStatus]}</${Badge}></dd>
    ${login.passwordSet && html`
      <dt>${words.changed}</dt><dd>${words.changedBy(login.passwordChangedAt, setBy(login))}</dd>
      <dt>${words.lastSignIn}</dt><dd>${login.lastSignInAt ? `${time(login.lastSignInAt)} (${ago(login.lastSignInAt)})` : words.neverSignedIn}</dd>`}
    <dt>${words.lastLink}</dt><dd><${LastLink} link=${login.lastLink} /></dd>
  </dl>`;

function LastLink({link}) {
  const may = useMay();
  if (!link) return words.noLink;
  const ended = new Date(link.endsAt) <= Date.now();
  const why = link.reason && (terms.skipReason[link.reason] ?? reasonOf(link.reason));
  return html`
    <span class="marked">
      <${Badge} kind=${terms.outcomeKind[link.state]}>${terms.outcome[link.state]}</${Badge}>
      <span>${words.linkTo(link.address, link.sentAt)}</span>
      ${(ended || arrives(link)) && html`<span>${ended ? words.linkEnded(link.endsAt) : words.linkWorks(link.endsAt)}</span>`}
      ${link.mailing && (may("compose_mailings")
        ? html`<a href=${address(["mailings", link.mailing])}>${words.linkMailing}</a>`
        : html`<span>${words.linkMailing}</span>`)}
    </span>
    ${why && html`<p class="hint">${words.linkReason(why)}</p>`}`;
}
