// How a profile of a list is shown. Everything of it is text.
import {Badge} from "../kit/states.js";
import * as terms from "../kit/terms.js";
import {html} from "../kit/view.js";
import {words} from "./words.js";

// where is the company, the contact, or whom the profile is related to.
export const where = (hit) => hit.company || hit.contact || (hit.relatedTo ? words.relation(hit.relationship, hit.relatedTo) : "");

export const Status = ({of}) => html`<${Badge} kind=${of.status === "active" ? "good" : "plain"}>${terms.status[of.status]}</${Badge}>`;

// Login says what it is about where no heading does.
export function Login({of, alone}) {
  const login = terms.loginOf(of);
  return html`<${Badge} kind=${terms.loginKind[login]}>${alone ? words.loginIs[login] : terms.login[login]}</${Badge}>`;
}

// Email is the address with what stands in the way of mail to it.
export const Email = ({of, shared}) => html`
  <span class="find-email">
    ${of.email ? html`<span class="find-cut" title=${of.email}>${of.email}</span>` : html`<span class="soft">${words.noEmail}</span>`}
    ${of.undeliverable && html` <${Badge} kind="bad">${words.undeliverable}</${Badge}>`}
    ${shared && html` <${Badge} kind="warn">${words.shared}</${Badge}>`}
    ${of.doNotEmail && html` <${Badge} kind="warn">${words.doNotEmail}</${Badge}>`}
  </span>`;
