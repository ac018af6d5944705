// + New Profile: a short form. Whoever it is for gets a login next, so the new
// profile opens at its Web Portal Credentials (S17).
import {call, newKey} from "../api/client.js";
import {ask} from "../kit/dialog.js";
import {CheckField, Field, SelectField, TextField} from "../kit/form.js";
import {useTask} from "../kit/load.js";
import {say} from "../kit/say.js";
import {Failed, Notice} from "../kit/states.js";
import * as terms from "../kit/terms.js";
import {html, useLayoutEffect, useMemo, useRef, useState} from "../kit/view.js";
import {Picker} from "../profile/picker.js";
import {address, go, useGuard} from "../shell/route.js";
import {useTitle} from "../shell/shell.js";
import {forget} from "./search.js";
import {Twins} from "./twins.js";
import {words} from "./words.js";

export default function New({route}) {
  useTitle(words.newTitle);
  const start = useMemo(() => beginning(route.params), []);
  const [values, setValues] = useState(start);
  const set = (name) => (value) => setValues((before) => ({...before, [name]: value}));
  // One key for all that is sent from this form: a try whose answer was lost
  // and its repeat make one profile, whatever was typed in between.
  const key = useRef(newKey());
  const form = useRef();
  const [unfinished, setUnfinished] = useState(false); // the date is half typed

  const changed = unfinished || Object.keys(start).some((name) => values[name] !== start[name]);
  useGuard(changed, async () => await ask({
    title: words.leaveTitle, text: words.leaveText, cancel: words.stay, answers: [{value: true, label: words.leave, kind: "danger"}],
  }) === true);

  const create = useTask(async () => {
    const {data} = await call("POST", "/api/profiles", {body: bodyOf(values), key: key.current});
    forget();
    say(words.created(data.name, data.id));
    go(["profiles", data.id, "credentials"], {}, {replace: true}); // back leads to where staff came from
  });
  const {problem} = create;
  const reused = problem?.code === "idempotency_key_reused";
  const errors = problem && !problem.offline && !reused ? problem.byField : {};
  const own = Object.keys(fields).flatMap((name) => errors[fields[name]] ?? []);
  const beside = own.length > 0 && own.length === Object.values(errors).flat().length;
  useLayoutEffect(() => {
    if (problem) (form.current.querySelector("[aria-invalid=true]") ?? form.current.querySelector("[role=alert]"))?.focus();
  }, [problem]);

  const company = values.type === "organization";
  const text = (name, label, rest) => html`
    <${TextField} label=${label} value=${values[name]} errors=${errors[fields[name]]} onChange=${set(name)} ...${rest} />`;
  const submit = (event) => {
    event.preventDefault();
    if (unfinished) form.current.querySelector("[type=date]").focus();
    else create.run();
  };
  return html`
    <h1>${words.newTitle}</h1>
    <form ref=${form} class="new" onSubmit=${submit} novalidate>
      <section class="card">
        <h2>${words.naming}</h2>
        <fieldset>
          <legend>${words.type}</legend>
          <div class="new-type">${Object.entries(terms.profileType).map(([type, name]) => html`
            <label><input type="radio" name="type" value=${type} checked=${values.type === type} onChange=${() => set("type")(type)} /> ${name}</label>`)}
          </div>
        </fieldset>
        ${company && text("organizationName", words.organization, {required: true})}
        <div class="fields">
          ${text("firstName", words.first, {hint: company && words.contactHint})}
          ${text("lastName", words.last)}
        </div>
        ${!company && text("organizationName", words.organization, {hint: words.organizationHint})}
        ${text("email", words.email, {hint: words.emailHint, type: "email", autocapitalize: "none", spellcheck: false})}
        <${Twins} values=${values} />
      </section>
      <section class="card">
        <h2>${words.membership}</h2>
        <div class="fields">
          <${SelectField} label=${words.status} value=${values.status} errors=${errors.status} options=${Object.entries(terms.status)} onChange=${set("status")} />
          <${Field} label=${words.memberSince} errors=${unfinished ? [words.dateUnfinished] : errors.memberSince}>
            ${(ties) => html`<input type="date" ...${ties} onInput=${({target}) => { setUnfinished(target.validity.badInput); set("memberSince")(target.value); }} />`}
          </${Field}>
          ${text("id", words.profileID, {hint: words.profileIDHint, autocapitalize: "none", spellcheck: false})}
        </div>
        ${problem?.code === "id_taken" && html`<p><a href=${address(["profiles", values.id.trim()])} target="_blank" rel="noopener">${words.takenOpen(values.id.trim())}</a> <span class="soft">(${words.opensAnew})</span></p>`}
      </section>
      <section class="card">
        <h2>${words.relationTitle}</h2>
        <p class="hint">${words.relationText}</p>
        <${Picker} label=${words.to} hint=${words.toHint} value=${values.to} errors=${errors[fields.to]} onPick=${set("to")} />
        ${values.to && html`
          ${text("kind", words.kind, {hint: words.kindHint, required: true})}
          <${CheckField} label=${words.mainContact} hint=${words.mainContactHint} value=${values.mainContact} onChange=${set("mainContact")} />
          ${errors[fields.mainContact] && html`<p class="error">${errors[fields.mainContact].join(" ")}</p>`}
          <p><button type="button" class="link" onClick=${() => set("to")(undefined)}>${words.takeBack}</button></p>`}
      </section>
      ${reused && html`
        <div class="notice warn" role="alert" tabindex="-1">
          <p class="notice-title">${words.reusedTitle}</p><p>${words.reusedText(problem.id)}</p>
          <div class="buttons">
            <button type="button" class="button primary" onClick=${() => { forget(); go(["profiles", problem.id, "general"], {}, {replace: true}); }}>${words.openIt(problem.id)}</button>
            <button type="button" class="button" onClick=${() => { key.current = newKey(); create.run(); }}>${words.another}</button>
          </div>
        </div>`}
      ${problem?.offline && html`
        <div class="notice bad" role="alert" tabindex="-1"><p class="notice-title">${words.lostTitle}</p><p>${words.lostText}</p></div>`}
      ${problem && !problem.offline && !reused && (beside ? html`
        <${Notice} kind="bad" title=${words.refused} live><p>${words.refusedText}</p></${Notice}>` : html`<${Failed} problem=${problem} />`)}
      <div class="buttons">
        <button type="submit" class="button primary" disabled=${create.busy}>${create.busy ? words.creating : words.create}</button>
        <a class="button" href="#/profiles">${words.cancel}</a>
      </div>
    </form>`;
}

// What stands in a field and what the API calls it in a refusal.
const fields = {
  type: "type", firstName: "firstName", lastName: "lastName", organizationName: "organizationName", email: "email", status: "status",
  memberSince: "memberSince", id: "id", to: "relations[0].to", kind: "relations[0].kind", mainContact: "relations[0].mainContact",
};

// What was looked for in vain is filled in.
function beginning(params) {
  const name = (params.get("name") ?? "").trim().slice(0, 100);
  const at = name.lastIndexOf(" ");
  return {
    type: "individual", firstName: at < 0 ? "" : name.slice(0, at), lastName: name.slice(at + 1), organizationName: "",
    email: params.get("email") ?? "", status: "active", memberSince: "", id: "", to: undefined, kind: "", mainContact: false,
  };
}

function bodyOf({to, kind, mainContact, ...rest}) {
  const body = {};
  for (const [name, value] of Object.entries(rest)) if (value.trim() !== "") body[name] = value;
  if (body.id) body.id = body.id.trim();
  if (to) body.relations = [{to: to.id, kind, mainContact}];
  return body;
}
