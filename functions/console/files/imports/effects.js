// What an import would do to people's logins.
import {right} from "../kit/terms.js";
import {html} from "../kit/view.js";
import {Badge} from "../kit/states.js";
import {Person, Some, nameIn, useStored} from "./lists.js";
import {words} from "./words.js";

// Access is who gains or loses (kind) the right to sign in.
export function Access({kind, people, total}) {
  if (total === 0) return null;
  return html`
    <h3>${kind === "lose" ? words.loseTitle(total) : words.gainTitle(total)}</h3>
    <p class="soft">${kind === "lose" ? words.loseText : words.gainText}</p>
    <${Some} items=${people} total=${total}>${(shown) => html`<${People} people=${shown} />`}</${Some}>`;
}

function People({people}) {
  const stored = useStored(people.map(({profile}) => profile));
  return html`
    <ul class="plain">${people.map(({profile, name, reason, via}) => html`
      <li key=${profile}>
        <${Person} id=${profile} name=${name} stored=${stored?.has(profile)} />
        ${stored && !stored.has(profile) && html` <${Badge} kind="info">${words.isNew}</${Badge}>`}
        <span class="soft"> ${right[reason] ?? reason}${via && via !== profile ? `, ${words.via(via)}` : ""}</span>
      </li>`)}
    </ul>`;
}

// Addresses are the stored profiles that get another address, and what that
// does to their links and usernames. Addresses of new profiles change nothing.
export function Addresses({found, table, targets}) {
  const {effects} = found;
  if (effects.linksEndTotal === 0) return null;
  const ending = new Set(effects.linksEnd), staying = new Set(found.usernameStays);
  const changing = effects.addresses.filter(({profile, old}) => old || ending.has(profile));
  const name = nameIn(table, targets);
  return html`
    <h3>${words.addressesTitle(effects.linksEndTotal)}</h3>
    <p class="soft">${words.addressesText} ${words.linksEnd(effects.linksEndTotal)} ${found.usernameStaysTotal > 0 && words.usernameStays(found.usernameStaysTotal)}</p>
    <${Some} items=${changing} total=${effects.linksEndTotal}>
      ${(shown) => html`
        <table class="stacked">
          <thead><tr><th scope="col">${words.profile}</th><th scope="col">${words.oldAddress}</th><th scope="col">${words.newAddress}</th><th scope="col">${words.effect}</th></tr></thead>
          <tbody>${shown.map(({profile, old, new: next}) => html`
            <tr key=${profile}>
              <td data-label=${words.profile}><${Person} id=${profile} name=${name(profile)} stored /></td>
              <td data-label=${words.oldAddress}>${old || words.none}</td>
              <td data-label=${words.newAddress}>${next || words.none}</td>
              <td data-label=${words.effect}>
                ${ending.has(profile) && html`<${Badge} kind="warn">${words.linksEndOne}</${Badge}> `}
                ${staying.has(profile) && html`<${Badge} kind="info">${words.usernameStaysOne}</${Badge}>`}
              </td>
            </tr>`)}
          </tbody>
        </table>`}
    </${Some}>`;
}
