// What the person who is signed in may do.
import {permission as names, role} from "../kit/terms.js";
import {html} from "../kit/view.js";
import {useMe} from "../shell/me.js";
import {useTitle} from "../shell/shell.js";
import {words} from "./words.js";

export default function MyPermissions() {
  useTitle(words.meTitle);
  const me = useMe();
  const rest = Object.keys(names).filter((permission) => !me.permissions.includes(permission));
  return html`
    <h1>${words.meTitle}</h1>
    <p>${words.meIntro(me.name, role[me.role] ?? me.role, me.organization.name)}</p>
    <section class="card" aria-labelledby="may">
      <h2 id="may">${words.may}</h2>
      <ul>${me.permissions.map((permission) => html`<li key=${permission}>${names[permission] ?? permission}</li>`)}</ul>
    </section>
    <section class="card" aria-labelledby="may-not">
      <h2 id="may-not">${words.mayNot}</h2>
      ${rest.length > 0 ? html`<ul>${rest.map((permission) => html`<li key=${permission}>${names[permission]}</li>`)}</ul>` : html`<p>${words.allAllowed}</p>`}
      <p class="soft">${words.meAsk}</p>
    </section>`;
}
