// Who may use the login: disable, enable, sign out everywhere, end a wait,
// remove; each asks before.
import {call, read} from "../api/client.js";
import {Dialog} from "../kit/dialog.js";
import {useTask} from "../kit/load.js";
import {say} from "../kit/say.js";
import {Failed, Notice} from "../kit/states.js";
import {html, useState} from "../kit/view.js";
import {words} from "./credentials.words.js";

// What each does: the request, the parts of the login that it changes, and how
// its outcome can be seen afterwards, where it can.
const acts = {
  disable: {parts: ["disabled"], holds: ({disabled}) => disabled},
  enable: {parts: ["disabled"], holds: ({disabled}) => !disabled},
  "sign-out": {parts: []},
  unlock: {parts: []},
  "release-address": {parts: []},
  remove: {parts: ["username", "password", "disabled"], holds: ({username, passwordSet, disabled}) => disabled && !username && !passwordSet, danger: true},
};

export function Control({login, open, ask}) {
  const none = !login.username && !login.passwordSet;
  const button = (kind, label, danger) => html`
    <button type="button" class="button ${danger ? "danger" : ""}" disabled=${open} onClick=${() => ask({kind})}>${label}</button>`;
  return html`
    <section class="card" aria-labelledby="control">
      <h2 id="control">${words.control}</h2>
      ${open && html`<p>${words.openFirst}</p>`}
      <div class="buttons">
        ${login.disabled ? button("enable", words.enable) : button("disable", words.disable)}
        ${button("sign-out", words.signOut)}
        ${button("unlock", words.unlock)}
        ${!none && button("remove", words.remove, true)}
      </div>
    </section>`;
}

// ControlWindow asks, and does it. onDone gets the parts that were changed.
export function ControlWindow({kind, profile, c, onClose, onDone}) {
  const path = `/api/profiles/${encodeURIComponent(profile.id)}`;
  const {parts, holds, danger} = acts[kind];
  const {title, text, button, done} = words.ask[kind];
  const login = c.state.data;
  const [told, tell] = useState(); // "stale", "maybe", "not"
  const task = useTask(async () => {
    tell();
    try {
      if (kind === "remove") await call("DELETE", `${path}/credentials`, {version: login.version});
      else await call("POST", `${path}/${kind}`);
    } catch (problem) {
      if (problem.stale) {
        await c.reload();
        tell("stale");
        return;
      }
      if (!problem.unsure) throw problem;
      if (!holds) { tell("maybe"); return; }
      try {
        if (!holds((await read(`${path}/credentials`)).data)) { tell("not"); return; }
      } catch (again) {
        if (!again.code) throw again;
        tell("maybe");
        return;
      }
    }
    say(done);
    onDone(parts);
  });
  return html`
    <${Dialog} title=${title} onClose=${onClose} busy=${task.busy} actions=${html`
      <button type="button" class="button ${danger ? "danger" : "primary"}" aria-disabled=${task.busy ? "true" : undefined} onClick=${task.run}>${button}</button>`}>
      <p><strong>${words.of(profile.name, profile.id)}</strong></p>
      ${text.map((line) => html`<p>${line}</p>`)}
      ${parts.length > 0 && profile.email && login.passwordSet && html`<p>${words.controlTold(profile.email)}</p>`}
      ${told === "stale" && html`<${Notice} kind="warn" live><p>${words.staleRemove} ${words.nowIs(login.username, login.passwordSet)}</p></${Notice}>`}
      ${told === "maybe" && html`<${Notice} kind="warn" live><p>${words.maybeDone}</p></${Notice}>`}
      ${told === "not" && html`<${Notice} kind="warn" live><p>${words.notDone}</p></${Notice}>`}
      ${task.problem && html`<${Failed} problem=${task.problem} />`}
    </${Dialog}>`;
}
