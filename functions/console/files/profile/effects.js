// The window before something is saved that reaches into logins: what it does
// to the username, to links, and to who may sign in.
import {list} from "../kit/format.js";
import {Dialog} from "../kit/dialog.js";
import {CheckField} from "../kit/form.js";
import {html, useState} from "../kit/view.js";
import {SharedWith} from "./glance.js";
import {labelOf, mayEnter, told} from "./values.js";
import {words} from "./words.js";

// before is the profile as it is stored, effects the API's answer to a check
// (openapi.yaml, EditedProfile), changes what would be saved over stored.
// logins says that new credentials are saved along with it.
// answer(undefined) backs out, answer({usernameToo}) saves.
export function Effects({before, stored, effects, changes, logins, answer}) {
  const {usernameChoice: choice} = effects;
  const [too, setToo] = useState(Boolean(choice?.possible));
  return html`
    <${Dialog} title=${words.effectsTitle} onClose=${() => answer()} actions=${html`
      <button type="button" class="button primary" onClick=${() => answer({usernameToo: too})}>${words.save}</button>`}>
      <p>${words.youChange}:</p>
      <ul>${Object.entries(changes).map(([name, value]) => html`<li>${words.news(labelOf(name), told(name, stored[name]), told(name, value))}</li>`)}${logins && html`<li>${words.loginsToo}</li>`}</ul>
      <dl class="effects">
        <dt>${words.effectUsername}</dt>
        <dd>
          ${choice?.possible
            ? html`<${CheckField} label=${words.usernameToo} hint=${words.usernameTooHint(before.username)} value=${too} onChange=${setToo} />`
            : usernameStays(before, choice)}
        </dd>
        <dt>${words.effectLinks}</dt><dd>${links(effects, logins)}</dd>
        <dt>${words.effectAccess}</dt><dd>${access(effects).map((line) => html`<p>${line}</p>`)}</dd>
        ${"email" in changes && effects.sharedWith.length > 0 && html`
          <dt>${words.effectShared}</dt><dd><${SharedWith} what=${words.sharedThen} profile=${effects} /></dd>`}
        ${effects.notices?.length > 0 && html`<dt>${words.effectNotice}</dt><dd>${list(effects.notices)}</dd>`}
      </dl>
    </${Dialog}>`;
}

function usernameStays({username}, choice) {
  if (!username) return words.usernameNone;
  return choice ? words.usernameCannot(username, choice.detail) : words.usernameStays(username);
}

function links({loginsEnded, hasPassword, accessChange}, logins) {
  if (logins) return words.linksEndLogins;
  if (loginsEnded) return hasPassword ? words.linksEnd : words.linksEndNoPassword;
  if (accessChange?.before.allowed && !accessChange.after.allowed) return hasPassword ? words.linksRest : words.linksRestNoPassword;
  return words.linksStay;
}

function access({access: now, accessChange}) {
  const {before, after, relatedGain = 0, relatedLose = 0} = accessChange ?? {};
  const changed = accessChange && before.allowed !== after.allowed;
  return [
    (changed ? (after.allowed ? words.accessGain : words.accessLose) : words.accessStays)(mayEnter(now)),
    relatedLose > 0 && words.relatedLose(relatedLose),
    relatedGain > 0 && words.relatedGain(relatedGain),
  ].filter(Boolean);
}
