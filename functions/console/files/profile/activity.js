// The tab Activity: what was done to the profile, newest first, and its mails.
import {exactTime, time} from "../kit/format.js";
import {Badge, Empty, Loading} from "../kit/states.js";
import * as terms from "../kit/terms.js";
import {html} from "../kit/view.js";
import {useMay} from "../shell/me.js";
import {address} from "../shell/route.js";
import {detailsOf} from "../activity/entry.js";
import {ProfileLink} from "./glance.js";
import {More, usePages} from "./pages.js";
import {words} from "./words.js";

export function Activity({path, profile, reads}) {
  const may = useMay();
  const trail = usePages(`${path}/activity`, "entries", reads);
  const {rows, first} = trail;
  return html`
    <section class="card" aria-labelledby="trail">
      <h2 id="trail">${words.trail}</h2>
      ${!first && !trail.problem && html`<${Loading} />`}
      ${first && rows.length === 0 && html`<${Empty} title=${words.trailNone} />`}
      ${rows.length > 0 && html`
        <ol class="trail">${rows.map((entry) => html`<${Entry} key=${entry.id} entry=${entry} own=${profile.id} mailings=${may("compose_mailings")} />`)}</ol>`}
      <${More} of=${trail} />
    </section>
    ${first && html`
      <section class="card" aria-labelledby="mails">
        <h2 id="mails">${words.mails}</h2>
        <${Mails} mails=${first.mails} mayOpen=${may("compose_mailings")} />
      </section>`}`;
}

const Entry = ({entry, own, mailings}) => html`
  <li>
    <p class="trail-what"><strong>${terms.activity[entry.kind] ?? entry.kind}</strong> <time datetime=${entry.at} title=${exactTime(entry.at)}>${time(entry.at)}</time></p>
    <p class="small soft">
      ${actor(entry.actor, own)}
      ${entry.actingFor && html`, ${words.actingFor} <${ProfileLink} id=${entry.actingFor} />`}
      ${entry.actor.from && `, ${words.from(entry.actor.from)}`}
    </p>
    ${detailsOf(entry).map((line) => html`<p class="small">${line}</p>`)}
    ${entry.mailing && mailings && html`<p class="small"><a href=${address(["mailings", entry.mailing])}>${words.inMailing}</a></p>`}
  </li>`;

function actor({kind, id, name}, own) {
  const what = terms.actorKind[kind] ?? kind;
  if (kind === "member" && id && id !== own) return html`${what}: <${ProfileLink} id=${id} name=${name} />`;
  return name && kind !== "system" ? `${what}: ${name}` : what;
}

const Mails = ({mails, mayOpen}) => (mails.length === 0 ? html`<p class="soft">${words.mailsNone}</p>` : html`
  <table class="stack">
    <caption class="hidden">${words.mails}</caption>
    <thead><tr>
      <th scope="col">${words.mailSubject}</th><th scope="col">${words.mailOutcome}</th>
      <th scope="col">${words.mailAddress}</th><th scope="col">${words.mailWhen}</th>
    </tr></thead>
    <tbody>${mails.map((mail) => html`
      <tr key=${mail.mailing}>
        <td data-label=${words.mailSubject}>${mayOpen ? html`<a href=${address(["mailings", mail.mailing])}>${mail.subject || words.noSubject}</a>` : mail.subject || words.noSubject}</td>
        <td data-label=${words.mailOutcome}>
          <${Badge} kind=${terms.outcomeKind[mail.outcome]}>${terms.outcome[mail.outcome]}</${Badge}>
          ${mail.reason && html` <span class="small">${terms.skipReason[mail.reason] ?? terms.undeliverable[mail.reason] ?? mail.reason}</span>`}
        </td>
        <td data-label=${words.mailAddress}>${mail.address}</td>
        <td data-label=${words.mailWhen}>${time(mail.at)}</td>
      </tr>`)}
    </tbody>
  </table>`);
