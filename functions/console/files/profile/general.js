// The tab General.
import {call} from "../api/client.js";
import {CheckField, Field, SelectField, TextField} from "../kit/form.js";
import {useTask} from "../kit/load.js";
import {say} from "../kit/say.js";
import {Failed, Notice} from "../kit/states.js";
import * as terms from "../kit/terms.js";
import {html, useEffect, useRef} from "../kit/view.js";
import {SharedWith, Who, undeliverable} from "./glance.js";
import {words} from "./words.js";

const options = (names) => Object.entries(names);

export function General({path, draft, readOnly}) {
  const {base, values, errors, set} = draft;
  const release = useTask(async () => {
    const {data} = await call("POST", `${path}/release-address`);
    draft.merge(data);
    say(words.released);
  });
  if (readOnly) {
    return html`
      <section class="card"><h2>${words.general}</h2><p class="soft">${words.readOnly}</p><${Who} profile=${base} /></section>`;
  }
  // What the last reading says of the address is of no use for another one.
  const typed = "email" in draft.changes;
  const shared = !typed && base.sharedWith.length > 0;
  const company = values.type === "organization";
  const field = (name) => ({label: words.field[name], value: values[name], errors: errors[name], onChange: (text) => set(name, text)});
  return html`
    <section class="card">
      <h2>${words.name}</h2>
      <${SelectField} ...${field("type")} options=${options(terms.profileType)} />
      ${company && html`<${TextField} ...${field("organizationName")} required />`}
      <div class="fields">
        <${TextField} ...${field("firstName")} hint=${company && words.contactHint} />
        <${TextField} ...${field("lastName")} />
      </div>
      ${!company && html`<${TextField} ...${field("organizationName")} hint=${words.organizationHint} />`}
    </section>
    <section class="card">
      <h2>${words.mailing}</h2>
      <${TextField} ...${field("email")} type="email" autocapitalize="none" spellcheck=${false}
        hint=${shared ? html`<${SharedWith} what=${words.sharedWith} profile=${base} />` : !values.email && words.emailHint} />
      ${!typed && base.undeliverable && html`
        <${Notice} kind="warn">
          <p>${undeliverable(base.undeliverable)}</p>
          <p><button type="button" class="button" disabled=${release.busy} onClick=${release.run}>${words.release}</button></p>
        </${Notice}>`}
      ${release.problem && html`<${Failed} problem=${release.problem} />`}
      <${CheckField} label=${words.field.doNotEmail} hint=${words.doNotEmailHint} value=${values.doNotEmail} onChange=${(on) => set("doNotEmail", on)} />
    </section>
    <section class="card">
      <h2>${words.membership}</h2>
      <div class="fields">
        <${SelectField} ...${field("status")} options=${options(terms.status)} />
        <${MemberSince} ...${field("memberSince")} />
      </div>
    </section>`;
}

// The browser gives an empty value for a date that is half typed. That is not
// to be taken for an emptied one, nor to be wiped out when the page is drawn.
function MemberSince({label, errors, value, onChange}) {
  const input = useRef();
  useEffect(() => { input.current.value = value; }, [value]);
  return html`
    <${Field} label=${label} errors=${errors}>
      ${(ties) => html`<input type="date" ref=${input} ...${ties} onInput=${({target}) => { if (!target.validity.badInput) onChange(target.value); }} />`}
    </${Field}>`;
}
