// Send Password Reset Email: the button, the window that asks, and what was
// sent.
import {call, newKey, read} from "../api/client.js";
import {Dialog} from "../kit/dialog.js";
import {time} from "../kit/format.js";
import {useLoad, useTask} from "../kit/load.js";
import {Failed, Loading, Notice} from "../kit/states.js";
import * as terms from "../kit/terms.js";
import {html, useRef, useState} from "../kit/view.js";
import {SharedWith} from "./glance.js";
import {words} from "./credentials.words.js";

const contactsRead = 5; // pages of related profiles in which main contacts are looked for
const mostContacts = 2; // openapi.yaml, RelationFields
const profileAt = (id) => `/api/profiles/${encodeURIComponent(id)}`;

// arrives says whether the mail of a last link is, or may be, where it should be.
export const arrives = ({state}) => !["bounced", "failed", "skipped"].includes(state);

// whyNotSend is why no reset email can be sent to a profile, whatever its
// address, and when it can: {reason, later}; undefined where it can now.
export function whyNotSend(profile, login) {
  if (login.disabled) return {reason: words.disabledFirst, later: words.onceEnabled};
  const {allowed, reason} = profile.access;
  if (!allowed && reason !== "disabled") return {reason: words.notAllowed(terms.right[reason] ?? reason), later: words.onceAllowed};
  return undefined;
}

// ResetSection: sent is the answer to the last email that was sent here;
// ask({kind: "reset", contact}) opens the window.
export function ResetSection({profile, login, edited, sent, ask}) {
  const why = whyNotSend(profile, login)?.reason;
  const noEmail = !profile.email && [words.noEmail, edited ? words.noEmailUnsaved : words.noEmailFix].join(" ");
  return html`
    <section class="card" aria-labelledby="reset">
      <h2 id="reset">${words.reset}</h2>
      <p>${words.resetText}</p>
      <div class="beside-why">
        <button type="button" class="button primary" disabled=${Boolean(why || noEmail)} aria-describedby=${why || noEmail ? "reset-why" : undefined}
          onClick=${() => ask({kind: "reset"})}>${words.send}</button>
        ${(why || noEmail) && html`<p id="reset-why">${why || noEmail}</p>`}
      </div>
      ${!why && noEmail && profile.type === "organization" && html`<${Contacts} profile=${profile} ask=${ask} />`}
      ${sent && html`<${Sent} sent=${sent} />`}
    </section>`;
}

// Contacts offers the main contacts of a company that has no email.
function Contacts({profile, ask}) {
  const contacts = useLoad(async (signal) => {
    const found = [];
    let cursor;
    for (let page = 0; page < contactsRead && found.length < mostContacts; page++) {
      const {data} = await read(`${profileAt(profile.id)}/related`, {cursor, limit: 100}, {signal});
      found.push(...data.profiles.filter(({mainContact, former, email, disabled}) => mainContact && !former && email && !disabled));
      if (!(cursor = data.cursor)) break;
    }
    return found;
  }, [profile.id, profile.version]);
  if (!contacts.data) return contacts.problem ? html`<${Failed} problem=${contacts.problem} retry=${contacts.reload} />` : html`<p class="soft">${words.contactsLoading}</p>`;
  return contacts.data.length > 0 && html`
    <p>${words.contactsTitle}</p>
    <p class="marked">${contacts.data.map(({id, name}) => html`
      <button type="button" class="button" onClick=${() => ask({kind: "reset", contact: id})}>${words.sendToContact(name)}</button>`)}</p>`;
}

function Sent({sent: {address, endsAt, mainContact, sharedWith, earlierLink, doNotEmail, undeliverable}}) {
  const lines = [
    words.sentTo(address), mainContact && words.sentContact(mainContact.name), words.sentEnds(endsAt),
    sharedWith.length > 0 && words.sentShared(sharedWith), earlierLink && words.sentEarlier(earlierLink.sentAt),
    doNotEmail && words.sentDoNotEmail, undeliverable && words.sentUndeliverable(terms.undeliverable[undeliverable] ?? undeliverable),
  ];
  return html`<${Notice} kind="good" live title=${words.sentTitle}><p>${lines.filter(Boolean).join(" ")}</p></${Notice}>`;
}

// ResetWindow asks before it sends. The address is read anew, so what is asked
// about is what is done; contact is the main contact to whom the mail goes
// instead.
export function ResetWindow({profile, contact, login, edited, onClose, onSent}) {
  const key = useRef();
  key.current ??= newKey(); // one window sends one mail, however often it is pressed
  const to = useLoad(async (signal) => (await read(profileAt(contact ?? profile.id), {}, {signal})).data, []);
  const [unsure, setUnsure] = useState(false);
  const sending = useTask(async () => {
    try {
      const {data} = await call("POST", `${profileAt(profile.id)}/reset-emails`, {body: contact ? {toMainContact: contact} : {}, key: key.current});
      onSent(data);
    } catch (problem) {
      setUnsure(Boolean(problem.unsure));
      throw problem;
    }
  });
  const ready = Boolean(to.data?.email);
  return html`
    <${Dialog} title=${words.confirm} onClose=${onClose} busy=${sending.busy} actions=${html`
      <button type="button" class="button primary" disabled=${!ready} aria-disabled=${sending.busy ? "true" : undefined} onClick=${sending.run}>
        ${unsure ? words.confirmAgain : words.confirmButton}</button>`}>
      ${!to.data && (to.problem ? html`<${Failed} problem=${to.problem} retry=${to.reload} />` : html`<${Loading} what=${words.reading} />`)}
      ${to.data && html`<${About} profile=${profile} to=${to.data} login=${login} edited=${edited} />`}
      ${unsure && !sending.busy ? html`<${Notice} kind="warn" live><p>${words.sendUncertain}</p></${Notice}>`
        : sending.problem && html`<${Failed} problem=${sending.problem} />`}
    </${Dialog}>`;
}

// About is what staff should know before they send.
function About({profile, to, login, edited}) {
  if (!to.email) return html`<p>${words.emailGone}</p>`;
  const other = to.id !== profile.id;
  const {lastLink, username} = login;
  const works = lastLink && arrives(lastLink) && new Date(lastLink.endsAt) > Date.now();
  const {sharedWith, sharedMore, doNotEmail, undeliverable} = to;
  return html`
    <dl class="facts">
      <dt>${words.person}</dt><dd>${words.profileID(profile.name, profile.id)}</dd>
      ${other && html`<dt>${words.goesTo}</dt><dd>${words.mainContactOf(to.name, to.id)}</dd>`}
      <dt>${words.address}</dt><dd><strong>${to.email}</strong></dd>
      <dt>${words.username}</dt><dd>${username ? `${username}. ${words.usernameStays}` : other ? words.usernameChosen : words.becomesUsername(to.email)}</dd>
    </dl>
    ${works && html`<${Notice} kind="info"><p>${words.earlier(lastLink.sentAt, lastLink.endsAt)}</p></${Notice}>`}
    ${edited && !other && html`<${Notice} kind="warn"><p>${words.unsaved(to.email)}</p></${Notice}>`}
    ${sharedWith.length > 0 && html`
      <${Notice} kind="warn"><p><${SharedWith} what=${words.sharedBy} profile=${{sharedWith, sharedMore}} /> ${words.sharedText}</p></${Notice}>`}
    ${doNotEmail && html`<${Notice} kind="info"><p>${words.doNotEmail}</p></${Notice}>`}
    ${undeliverable && html`<${Notice} kind="warn"><p>${words.undeliverable(time(undeliverable.at), terms.undeliverable[undeliverable.reason] ?? undeliverable.reason)}</p></${Notice}>`}`;
}
