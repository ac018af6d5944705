// Whom a mailing goes to: the filter of the API in words, and the form of it.
import {html, useId} from "../kit/view.js";
import {CheckField, SelectField, TextField} from "../kit/form.js";
import {login, profileType, status as statuses} from "../kit/terms.js";
import {words} from "./words.js";

const names = ["status", "type", "relationship", "email", "login", "mayEnter", "scope", "profiles"];

// usual is whom a new draft goes to: those for whom logins are made.
export const usual = {login: "no_password", mayEnter: true};

// canonical is a filter in the API's own order, without what does not narrow,
// so that two are the same when their JSON is.
export function canonical(filter = {}) {
  const made = {};
  for (const name of names) {
    const value = filter[name];
    if (value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0 && name !== "profiles")) continue;
    made[name] = name === "status" ? Object.keys(statuses).filter((one) => value.includes(one)) : value;
  }
  if (made.profiles?.length === 0) delete made.profiles;
  return made;
}

export const same = (a, b) => JSON.stringify(canonical(a)) === JSON.stringify(canonical(b));

// fromParams is the filter that another view passes on in the address.
export function fromParams(params) {
  const filter = {};
  for (const name of ["type", "relationship", "email", "login", "scope"]) if (params.get(name)) filter[name] = params.get(name);
  for (const name of ["status", "profiles"]) {
    const all = params.getAll(name).flatMap((value) => value.split(",")).map((one) => one.trim()).filter(Boolean);
    if (all.length > 0) filter[name] = [...new Set(all)];
  }
  if (params.get("mayEnter")) filter.mayEnter = params.get("mayEnter") === "true";
  return canonical(filter);
}

// asQuery is a filter as GET /api/profiles takes it, to show some of those who
// match; it has no scope and no list.
export const asQuery = ({status, type, relationship, email, login: of, mayEnter}) => ({status, type, relationship, email, login: of, mayEnter});

// describe says a filter in words.
export function describe(filter) {
  if (filter.profiles?.length) return words.picked(filter.profiles.length);
  const {status, type, relationship, email, mayEnter, scope} = filter;
  const parts = [
    type && words.ofType[type],
    status?.length && words.withStatus(status.map((one) => statuses[one])),
    relationship && words.withRelation(relationship),
    filter.login && words.withLogin[filter.login],
    mayEnter !== undefined && (mayEnter ? words.mayEnter : words.mayNotEnter),
    email && words.email[email],
  ].filter(Boolean);
  return parts.length === 0 && !scope ? words.everybody : words.described(words.scope[scope ?? ""], parts);
}

// FilterForm changes a filter; kinds are relationships to offer.
export function FilterForm({filter, onChange, kinds = []}) {
  const id = useId();
  const set = (name) => (value) => onChange({...filter, [name]: value});
  const chosen = filter.status ?? [];
  return html`
    <fieldset>
      <legend>${words.statusLabel}</legend>
      <div class="ticks">
        ${Object.entries(statuses).map(([of, text]) => html`
          <${CheckField} key=${of} label=${text} value=${chosen.includes(of)}
            onChange=${(on) => set("status")(on ? [...chosen, of] : chosen.filter((one) => one !== of))} />`)}
      </div>
      <p class="hint">${words.statusHint}</p>
    </fieldset>
    <div class="fields">
      <${SelectField} label=${words.scopeLabel} value=${filter.scope ?? ""} onChange=${set("scope")} options=${Object.entries(words.scope)} />
      <${SelectField} label=${words.typeLabel} value=${filter.type ?? ""} onChange=${set("type")} options=${[["", words.any], ...Object.entries(profileType)]} />
      <${SelectField} label=${words.loginLabel} value=${filter.login ?? ""} onChange=${set("login")} options=${[["", words.any], ["no_password", login.no_password], ...Object.entries(login).filter(([of]) => of !== "no_password")]} />
      <${SelectField} label=${words.mayEnterLabel} value=${filter.mayEnter === undefined ? "" : String(filter.mayEnter)}
        onChange=${(value) => set("mayEnter")(value === "" ? undefined : value === "true")} options=${[["", words.any], ["true", words.mayEnterYes], ["false", words.mayEnterNo]]} />
      <${TextField} label=${words.relationLabel} value=${filter.relationship ?? ""} onChange=${set("relationship")} maxlength="60" list=${id} placeholder=${words.relationExample} />
      <${SelectField} label=${words.emailLabel} value=${filter.email ?? ""} onChange=${set("email")} options=${[["", words.any], ...Object.entries(words.emailChoice)]} />
    </div>
    <datalist id=${id}>${kinds.map((kind) => html`<option value=${kind} />`)}</datalist>`;
}
