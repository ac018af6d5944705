// "Can they sign in?": every check, and the fix beside it (N7).
import {read} from "../api/client.js";
import {useLoad} from "../kit/load.js";
import {Badge, Loaded, Notice} from "../kit/states.js";
import * as terms from "../kit/terms.js";
import {html, useEffect, useRef} from "../kit/view.js";
import {useMay} from "../shell/me.js";
import {address} from "../shell/route.js";
import {whyNotSend} from "./reset.js";
import {words} from "./credentials.words.js";

// What a fix needs of the role.
const permissions = {
  edit_profile: "edit_profiles", enable: "control_logins", send_reset: "send_resets", set_password: "set_passwords",
  set_username: "set_passwords", unlock: "control_logins", release_address: "edit_profiles", send_to_main_contact: "send_resets",
};

// Access goes through the checks again whenever what they look at has changed:
// turn counts what was done in the tab. ask opens a window, change the fields.
export function Access({profile, login, c, turn, ask, change}) {
  const checks = useLoad(async (signal) => (await read(`/api/profiles/${encodeURIComponent(profile.id)}/access`, {}, {signal})).data, [profile.id]);
  const {lastLink} = login;
  const stamp = JSON.stringify([turn, profile.version, login.version, lastLink?.sentAt, lastLink?.state, lastLink?.endsAt]);
  const seen = useRef(stamp);
  useEffect(() => {
    if (seen.current === stamp) return;
    seen.current = stamp;
    checks.reload();
  }, [stamp]);
  const fix = {profile, login, c, ask, change};
  return html`
    <section class="card" aria-labelledby="access">
      <h2 id="access">${words.access}</h2>
      <${Loaded} of=${checks} what=${words.accessLoading}>
        ${({canSignIn, checks: all}) => html`
          <${Verdict} yes=${canSignIn} blocking=${all.filter(({blocks}) => blocks).length} />
          <ul class="checks">
            ${all.filter(({blocks}) => blocks).map((check) => html`<${Check} key=${check.code} check=${check} kind="bad" mark=${words.blocks} ...${fix} />`)}
            ${all.filter(({ok, blocks}) => !ok && !blocks).map((check) => html`<${Check} key=${check.code} check=${check} kind="warn" mark=${words.mind} ...${fix} />`)}
          </ul>
          <${InOrder} checks=${all.filter(({ok}) => ok)} />`}
      </${Loaded}>
      <p><button type="button" class="button" aria-disabled=${checks.loading ? "true" : undefined} onClick=${checks.reload}>${words.again}</button></p>
    </section>`;
}

const Verdict = ({yes, blocking}) => html`<${Notice} kind=${yes ? "good" : "bad"}><p class="notice-title">${yes ? words.yes : words.no(blocking)}</p></${Notice}>`;

const Check = ({check, kind, mark, ...fix}) => html`
  <li>
    <${Badge} kind=${kind}>${mark}</${Badge}>
    <div>
      <p>${check.detail}</p>
      ${check.fix && html`<${Fix} fix=${check.fix} ...${fix} />`}
    </div>
  </li>`;

const InOrder = ({checks}) => checks.length > 0 && html`
  <details class="in-order">
    <summary>${words.okOnes(checks.length)}</summary>
    <ul class="checks">${checks.map(({code, detail}) => html`<li key=${code}><${Badge} kind="good">${words.ok}</${Badge}><div><p>${detail}</p></div></li>`)}</ul>
  </details>`;

// Fix is what helps, as a button or a link that does it, or in words why it
// cannot be done now or by this role.
function Fix({fix: {action, detail, profile: elsewhere}, profile, login, c, ask, change}) {
  const may = useMay();
  const permission = permissions[action];
  if (permission && !may(permission)) return html`<p class="soft">${detail} ${words.needs(terms.permission[permission])}</p>`;
  const button = (act) => html`<span>${detail}</span> <button type="button" class="button" onClick=${act}>${words.fix[action]}</button>`;
  const link = (of, tab, label) => html`<a class="button" href=${address(["profiles", of, tab])}>${label}</a>`;
  const sends = action === "send_reset" || action === "send_to_main_contact";
  const not = sends && whyNotSend(profile, login);
  if (not) return html`<p class="soft">${detail} ${not.later}</p>`;
  switch (action) {
    case "edit_profile":
      return elsewhere && elsewhere !== profile.id
        ? html`<p class="fix"><span>${detail}</span> ${link(elsewhere, "general", words.openOther(elsewhere))}</p>`
        : html`<p class="fix"><span>${detail}</span> ${link(profile.id, "general", words.fix[action])} ${/relation/.test(detail) && link(profile.id, "related", words.relations)}</p>`;
    case "enable":
    case "unlock":
      return html`<p class="fix">${button(() => ask({kind: action}))}</p>`;
    case "release_address":
      return html`<p class="fix">${button(() => ask({kind: "release-address"}))} ${link(profile.id, "general", words.fix.edit_profile)}</p>`;
    case "send_reset":
      return html`<p class="fix">${button(() => ask({kind: "reset"}))}</p>`;
    case "send_to_main_contact":
      return html`<p class="fix">${button(() => ask({kind: "reset", contact: elsewhere}))}</p>`;
    case "set_username":
      return html`<p class="fix">${button(() => change("username"))}</p>`;
    case "set_password":
      return c.mayType ? html`<p class="fix">${button(() => change("password"))}</p>` : html`<p class="soft">${words.linksOnly}</p>`;
    default: // a fix that this page does not know yet
      return html`<p>${detail}</p>`;
  }
}
