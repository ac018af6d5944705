// The profile at a glance.
import {day, list, time} from "../kit/format.js";
import {Badge, Notice} from "../kit/states.js";
import * as terms from "../kit/terms.js";
import {html} from "../kit/view.js";
import {useMay} from "../shell/me.js";
import {address} from "../shell/route.js";
import {mayEnter} from "./values.js";
import {words} from "./words.js";

export function Glance({profile, unsaved, last}) {
  const may = useMay();
  const to = (tab) => address(["profiles", profile.id, tab]);
  return html`
    <div class="head">
      <h1 tabindex="-1">${profile.name}</h1>
      <${Badges} profile=${profile} />
      <a class="button primary" href=${to(last ?? "general")}>${may("edit_profiles") ? words.edit : words.look}</a>
    </div>
    ${unsaved.length > 0 && html`
      <${Notice} kind="warn"><p>${words.stillUnsaved(unsaved)} <a href=${to(last)}>${words.goOn}</a></p></${Notice}>`}
    <div class="glance">
      <section class="card" aria-labelledby="who">
        <h2 id="who">${words.person}</h2>
        <${Who} profile=${profile} />
      </section>
      <section class="card" aria-labelledby="portal">
        <h2 id="portal">${words.portal}</h2>
        <${Login} profile=${profile} />
        <p><a href=${to("credentials")}>${words.credentials}</a></p>
      </section>
      <section class="card" aria-labelledby="relations">
        <h2 id="relations">${words.relations}</h2>
        <${Relations} relations=${profile.relations} />
        <p><a href=${to("related")}>${words.related}</a></p>
      </section>
    </div>`;
}

export const Badges = ({profile}) => html`
  <p class="badges">
    <${Badge}>${terms.profileType[profile.type]}</${Badge}>
    <${Badge} kind=${profile.status === "active" ? "good" : "plain"}>${terms.status[profile.status]}</${Badge}>
    <${Badge} kind=${terms.loginKind[profile.loginStatus]}>${terms.loginStatus[profile.loginStatus]}</${Badge}>
  </p>`;

// Who is what stands on the General tab, to be read.
export function Who({profile}) {
  const contact = [profile.firstName, profile.lastName].filter(Boolean).join(" ");
  const company = profile.type === "organization";
  return html`
    <dl class="facts">
      <dt>${words.id}</dt><dd>${profile.id}</dd>
      ${company && contact && html`<dt>${words.contactPerson}</dt><dd>${contact}</dd>`}
      ${!company && profile.organizationName && html`<dt>${words.worksAt}</dt><dd>${profile.organizationName}</dd>`}
      <dt>${words.field.email}</dt><dd><${Email} profile=${profile} /></dd>
      <dt>${words.field.status}</dt><dd>${terms.status[profile.status]}</dd>
      <dt>${words.field.memberSince}</dt><dd>${day(profile.memberSince) || words.none}</dd>
      <dt>${words.created}</dt><dd>${time(profile.createdAt)}</dd>
      <dt>${words.updated}</dt><dd>${time(profile.updatedAt)}</dd>
    </dl>`;
}

const Email = ({profile}) => html`
  <span class="marked">
    ${profile.email || html`<span class="soft">${words.noEmail}</span>`}
    ${profile.undeliverable && html`<${Badge} kind="bad">${words.undeliverableMark}</${Badge}>`}
    ${profile.sharedWith.length > 0 && html`<${Badge} kind="warn">${words.sharedMark}</${Badge}>`}
    ${profile.doNotEmail && html`<${Badge} kind="warn">${words.doNotEmailMark}</${Badge}>`}
  </span>
  ${profile.undeliverable && html`<p class="hint">${undeliverable(profile.undeliverable)}</p>`}
  ${profile.sharedWith.length > 0 && html`<p class="hint"><${SharedWith} what=${words.sharedWith} profile=${profile} /></p>`}`;

export const undeliverable = ({at, reason}) => words.undeliverableSince(day(at), terms.undeliverable[reason] ?? reason);

// SharedWith names the others at the mailbox, each a link.
export const SharedWith = ({what, profile: {sharedWith, sharedMore}}) => html`
  ${what} ${sharedWith.map(({id, name}, i) => html`${i > 0 && ", "}<${ProfileLink} id=${id} name=${name} />`)}${sharedMore && ` ${words.sharedMore}`}.`;

export const ProfileLink = ({id, name}) => html`<a href=${address(["profiles", id])}>${name ? `${name} (${id})` : id}</a>`;

const Login = ({profile}) => html`
  <dl class="facts">
    <dt>${words.maySignIn}</dt><dd><${Right} right=${profile.access} relations=${profile.relations} /></dd>
    <dt>${words.login}</dt><dd><${Badge} kind=${terms.loginKind[profile.loginStatus]}>${terms.loginStatus[profile.loginStatus]}</${Badge}></dd>
    <dt>${words.username}</dt><dd>${profile.username || html`<span class="soft">${words.noUsername}</span>`}</dd>
    <dt>${words.password}</dt><dd>${profile.hasPassword ? words.hasPassword : words.noPassword}</dd>
  </dl>`;

// Right tells whether somebody may sign in and why, and whose membership that
// hangs on.
export function Right({right, relations = []}) {
  const name = relations.find(({to}) => to === right.via)?.name;
  return html`${mayEnter(right)}${right.via && html`, ${words.through} <${ProfileLink} id=${right.via} name=${name} />`}`;
}

export const Relations = ({relations}) => (relations.length === 0 ? html`<p class="soft">${words.noRelations}</p>` : html`
  <ul class="relations">${relations.map(({to, kind, name, status, mainContact, canEdit, former}) => html`
    <li>
      ${kind}: <${ProfileLink} id=${to} name=${name} />${" "}
      <span class="soft">${list([terms.status[status], mainContact && words.mainContact, canEdit && words.canEdit].filter(Boolean))}</span>${" "}
      ${former && html`<${Badge}>${words.former}</${Badge}>`}
    </li>`)}
  </ul>`);
