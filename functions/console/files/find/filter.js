// What the Profile Selector looks for. It stands in the address, in the names
// of the API (GET /api/profiles), so that every list can be sent to a colleague.
import {Field, SelectField} from "../kit/form.js";
import * as terms from "../kit/terms.js";
import {html, useEffect, useId, useRef, useState} from "../kit/view.js";
import {address, go} from "../shell/route.js";
import {longEnough} from "./search.js";
import {words} from "./words.js";

// Values that an address may have; others are as if they were not there.
const values = {
  type: Object.keys(terms.profileType), email: Object.keys(words.emails), login: Object.keys(words.logins),
  mayEnter: Object.keys(words.mayEnters), scope: Object.keys(words.scopes),
};
const lists = {status: (one) => one in terms.status, profiles: (one) => /^[\w.-]{1,40}$/.test(one)};

// queryOf reads an address; what does not narrow is not in the query.
export function queryOf(params) {
  const query = {};
  for (const [name, fits] of Object.entries(lists)) {
    const all = [...new Set(params.getAll(name).flatMap((text) => text.split(",")).filter(fits))];
    if (all.length > 0) query[name] = all;
  }
  for (const [name, known] of Object.entries(values)) {
    const value = params.get(name);
    if (known.includes(value)) query[name] = value;
  }
  const relationship = params.get("relationship")?.trim().slice(0, 60);
  if (relationship) query.relationship = relationship;
  const search = params.get("search")?.trim().slice(0, 200);
  if (search && longEnough(search)) query.search = search;
  return query;
}

// paramsOf is the reverse.
export const paramsOf = ({status, profiles, ...rest}) => ({
  search: rest.search, status: status?.join(","), type: rest.type, relationship: rest.relationship, email: rest.email,
  login: rest.login, mayEnter: rest.mayEnter, scope: rest.scope, profiles: profiles?.join(","),
});

export const addressOf = (query) => address(["profiles"], paramsOf(query));

const show = (query, options) => go(["profiles"], paramsOf(query), options);

// alter changes the query of the address as it is now, which may be newer than
// what is shown.
const alter = (changes, options) => show({...queryOf(new URLSearchParams(location.hash.split("?")[1] ?? "")), ...changes}, options);

// The quick sets: what is looked for most, one click each. noPassword are all
// who may sign in under the present access level and cannot yet (N8).
const sets = {
  everyone: {}, noPassword: {login: "no_password", mayEnter: "true"}, noEmail: {email: "none"}, shared: {email: "shared"},
  undeliverable: {email: "undeliverable"}, invited: {login: "invited"}, expired: {login: "expired"}, disabled: {login: "disabled"},
};

export const Sets = ({query}) => html`
  <nav class="chips" aria-label=${words.sets}>
    <ul>${Object.entries(sets).map(([name, set]) => html`
      <li><a href=${addressOf(set)} aria-current=${addressOf(set) === addressOf(query) ? "page" : undefined}>${words.set[name]}</a></li>`)}
    </ul>
  </nav>`;

export function Filters({query}) {
  const [open, setOpen] = useState(false); // on a phone; wide screens always show them
  const id = useId();
  const change = (name) => (value, options) => alter({[name]: value.length > 0 ? value : undefined}, options);
  const select = (name, names, any = words.any) => html`
    <${SelectField} label=${words[name]} value=${query[name]} onChange=${change(name)} options=${[["", any], ...Object.entries(names)]} />`;
  const {search, ...filters} = query;
  const set = Object.keys(filters).length;
  return html`
    <section class="card filters" aria-label=${words.filtersTitle}>
      <div class="filters-top">
        <${Typed} label=${words.search} hint=${words.searchHint} type="search" maxlength="200" value=${search} fits=${(text) => text === "" || longEnough(text)}
          onChange=${change("search")} />
        <button type="button" class="button filters-button" aria-expanded=${open ? "true" : "false"} aria-controls=${id} onClick=${() => setOpen(!open)}>${words.filters(set)}</button>
      </div>
      <div id=${id} class="filters-all ${open ? "open" : ""}">
        <fieldset>
          <legend>${words.status}</legend>
          <div class="filters-status">${Object.entries(terms.status).map(([status, name]) => html`
            <label><input type="checkbox" checked=${Boolean(query.status?.includes(status))}
              onChange=${(event) => change("status")(Object.keys(terms.status).filter((one) => (one === status ? event.target.checked : query.status?.includes(one))))} /> ${name}</label>`)}
          </div>
        </fieldset>
        <div class="fields">
          ${select("mayEnter", words.mayEnters)}
          ${select("login", words.logins)}
          ${select("email", words.emails)}
          ${select("type", terms.profileType)}
          ${select("scope", words.scopes, words.anybody)}
          <${Typed} label=${words.relationship} placeholder=${words.relationshipHint} maxlength="60" value=${query.relationship} onChange=${change("relationship")} />
        </div>
      </div>
      ${(set > 0 || search) && html`
        <p class="filters-set">
          ${query.profiles && html`<span class="badge info">${words.picked(query.profiles.length)}</span> <button type="button" class="link" onClick=${() => change("profiles")("")}>${words.dropPicked}</button>`}
          <button type="button" class="link" onClick=${() => show({})}>${words.clear}</button>
        </p>`}
    </section>`;
}

const pause = 300; // ms without a key before what was typed is looked for

// Typed is a text that is looked for while it is typed. All that is typed in
// one go makes one step of the browser's history.
function Typed({label, hint, value = "", fits = () => true, onChange, ...rest}) {
  const [text, setText] = useState(value);
  const asked = useRef(value); // what the address has, as far as it came from here
  const stepped = useRef(false);
  const timer = useRef();
  const element = useRef();
  useEffect(() => {
    // The address has changed otherwise: by the back button, or a quick set.
    if (value === asked.current) return;
    asked.current = value;
    clearTimeout(timer.current);
    setText(value);
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const apply = () => {
    clearTimeout(timer.current);
    const wanted = element.current.value.trim();
    if (wanted === asked.current || !fits(wanted)) return;
    asked.current = wanted;
    const replace = stepped.current;
    stepped.current = true;
    onChange(wanted, {replace});
  };
  const type = (event) => {
    setText(event.target.value);
    clearTimeout(timer.current);
    timer.current = setTimeout(apply, pause);
  };
  return html`
    <${Field} label=${label} hint=${hint}>
      ${(ties) => html`<input type="text" autocomplete="off" spellcheck=${false} ...${rest} ...${ties} ref=${element} value=${text} onInput=${type}
        onFocus=${() => { stepped.current = false; }} onBlur=${apply} onKeyDown=${(event) => event.key === "Enter" && apply()} />`}
    </${Field}>`;
}
