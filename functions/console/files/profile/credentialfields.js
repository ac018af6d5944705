// Change Credentials: the fields, and what became of saving them.
import {call} from "../api/client.js";
import {PasswordField, TextField} from "../kit/form.js";
import {useTask} from "../kit/load.js";
import {say} from "../kit/say.js";
import {Failed, Notice} from "../kit/states.js";
import {html, useEffect, useLayoutEffect, useRef, useState} from "../kit/view.js";
import {setBy, words} from "./credentials.words.js";

const settled = 350; // ms without a key until a password is looked at

// Fields shows what is typed over the credentials. first is the field that the
// keyboard goes to: username or password.
export function Fields({c, profile, edited, first}) {
  const {draft, mayType} = c;
  const {base, username, password, errors = {}, suggestions = [], lost, theirs} = draft;
  const place = useRef();
  const [reveal, setReveal] = useState(0); // counts what was generated
  const loading = c.settings.loading && !c.settings.data;

  useLayoutEffect(() => {
    const wanted = place.current.querySelector(first === "password" && mayType ? "[data-field=password] input" : "[data-field=username] input");
    wanted.focus();
    wanted.select();
  }, [first]);

  const generate = useTask(async () => {
    const {data} = await call("POST", "/api/passwords/generate");
    c.set("password", data.password);
    setReveal(reveal + 1);
  });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(password);
      say(words.copied);
    } catch {
      say(words.notCopied);
    }
  };
  // Enter saves as the page's button does, profile and credentials together.
  const enter = (event) => {
    if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
    event.preventDefault();
    document.getElementById("profile-fields").requestSubmit();
  };
  const use = (name) => {
    c.set("username", name);
    place.current.querySelector("[data-field=username] input").focus();
  };
  return html`
    <div ref=${place} onKeyDown=${enter}>
      <${Outcome} draft=${draft} look=${c.lookNow} />
      ${theirs && html`<${Theirs} was=${theirs.was} parts=${theirs.parts} now=${base} draft=${draft} keep=${c.keepTheirs} />`}
      <div data-field="username">
        <${TextField} label=${words.username} value=${username} errors=${errors.username} hint=${usernameHint(base, profile, edited)}
          autocapitalize="none" spellcheck=${false} onChange=${(text) => c.set("username", text)} />
        ${suggestions.length > 0 && html`
          <p class="free"><span>${words.free}</span> ${suggestions.map((name) => html`
            <button type="button" class="button" onClick=${() => use(name)}>${words.take(name)}</button>`)}</p>`}
      </div>
      ${!mayType && !loading && html`<p>${words.linksOnly} ${words.linksOnlyChange}</p>`}
      ${mayType && html`
        <fieldset>
          <legend>${words.passwordGroup}</legend>
          <p class="generate">
            <button type="button" class="button primary" aria-disabled=${generate.busy ? "true" : undefined} onClick=${generate.run}>
              ${reveal > 0 ? words.generateAgain : words.generate}</button>
            <span class="hint">${words.generateWhy}</span>
          </p>
          ${generate.problem && html`<${Failed} problem=${generate.problem} />`}
          <div data-field="password">
            <${PasswordField} label=${words.newPassword} value=${password} errors=${errors.password} reveal=${reveal}
              hint=${base.passwordSet ? words.keepPassword : words.noPasswordKept} onChange=${(text) => c.set("password", text)}>
              <button type="button" class="button" disabled=${password === ""} aria-label=${words.copyPassword} onClick=${copy}>${words.copy}</button>
            </${PasswordField}>
          </div>
          <${Verdict} password=${password} profileId=${profile.id} refused=${errors.password?.length > 0} />
          ${password !== "" && html`
            <${Notice} kind="info">
              <p>${words.once}</p>
              <p>${c.settings.data?.mustChangeTyped && `${words.typedMustChange} `}${words.typedStops}</p>
            </${Notice}>`}
        </fieldset>`}
      ${c.unsaved && html`<p class="small soft">${words.whatItDoes} ${notice(base, profile, edited, password)}</p>`}
    </div>`;
}

function usernameHint({username}, {email}, edited) {
  if (username) return words.usernameKeeps;
  if (edited) return words.usernameFromNewEmail;
  return email ? words.usernameFromEmail(email) : words.usernameNeeded;
}

// A notice goes where there is, was, or will be a password (H5b).
function notice({passwordSet}, {email}, edited, password) {
  if (!passwordSet && password === "") return "";
  if (edited) return words.toldNew;
  return email && words.told(email);
}

// Verdict tells the rule before, and what is against the password while it is
// typed. It is asked of the API, so it comes a moment after the last key. What
// was refused has its reasons beside the field.
function Verdict({password, profileId, refused}) {
  const [{rule, of, reasons, failed}, set] = useState({});
  useEffect(() => {
    const giveUp = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const {data} = await call("POST", "/api/passwords/check", {body: {password, profileId}, signal: giveUp.signal});
        set({rule: data.rule, of: password, reasons: data.reasons});
      } catch (problem) {
        if (problem.name === "AbortError") return;
        if (!problem.code) throw problem;
        set((before) => ({rule: before.rule, of: password, failed: true}));
      }
    }, password === "" ? 0 : settled);
    return () => { clearTimeout(timer); giveUp.abort(); };
  }, [password, profileId]);
  const told = password !== "" && !refused && (of !== password ? html`<p>${words.checking}</p>`
    : failed ? html`<p>${words.unchecked}</p>`
      : reasons.length > 0 ? html`<ul>${reasons.map(({detail}) => html`<li class="error">${detail}</li>`)}</ul>`
        : html`<p class="fine">${words.good}</p>`);
  return html`
    ${rule && html`<p class="small soft">${rule}</p>`}
    <div class="verdict" aria-live="polite">${told}</div>`;
}

// Outcome tells what became of the last attempt to save.
function Outcome({draft: {errors, lost}, look}) {
  return html`
    ${errors?.others.length > 0 && html`
      <${Notice} kind="bad" live title=${words.refusedTitle}>${errors.others.map((reason) => html`<p>${reason}</p>`)}</${Notice}>`}
    ${lost?.body && html`
      <${Notice} kind="warn" live title=${words.uncertainTitle}>
        <p>${lost.looking ? words.looking : words.uncertainText}</p>
        ${!lost.looking && html`<p><button type="button" class="button" onClick=${look}>${words.look}</button></p>`}
      </${Notice}>`}
    ${lost?.not && html`<${Notice} kind="warn" live title=${words.notStoredTitle}><p>${words.notStoredText}</p></${Notice}>`}`;
}

// Theirs shows what somebody else has changed since the fields were opened, and
// whose value is what.
function Theirs({was, parts, now, draft, keep}) {
  const named = draft.username.trim() !== now.username;
  const line = {
    username: () => html`
      ${words.theirUsername(was.username, now.username)}
      ${named && html` ${words.yourUsername(draft.username)} <button type="button" class="button" onClick=${() => keep("username")}>${words.keepTheirUsername}</button>`}`,
    password: () => html`
      ${now.passwordSet ? words.theirPassword(now.passwordChangedAt, setBy(now)) : words.theirPasswordGone}
      ${now.passwordSet && draft.password !== "" && html` ${words.yourPassword} <button type="button" class="button" onClick=${() => keep("password")}>${words.keepTheirPassword}</button>`}`,
    disabled: () => (now.disabled ? words.theirDisabled : words.theirEnabled),
  };
  return html`
    <${Notice} kind="warn" live title=${words.theirsTitle}>
      <ul>${parts.map((part) => html`<li>${line[part]()}</li>`)}</ul>
      <p>${words.theirsText}</p>
    </${Notice}>`;
}
