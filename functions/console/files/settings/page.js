// The organization's settings, and what changing them would do.
import {call, read} from "../api/client.js";
import {ask, Dialog} from "../kit/dialog.js";
import {CheckField, Field, SelectField, TextField} from "../kit/form.js";
import {count, number} from "../kit/format.js";
import {useLoad, useTask} from "../kit/load.js";
import {say} from "../kit/say.js";
import {Failed, Loaded, Notice} from "../kit/states.js";
import {accessLevel, status} from "../kit/terms.js";
import {html, useId, useState} from "../kit/view.js";
import {useMay} from "../shell/me.js";
import {useGuard} from "../shell/route.js";
import {useTitle} from "../shell/shell.js";
import {onWhom, readTyped, same, sections, typedOf, valueOf} from "./fields.js";
import {words} from "./words.js";

const path = "/api/organization";

export default function Settings() {
  useTitle(words.title);
  const settings = useLoad(async (signal) => (await read(path, {}, {signal})).data, []);
  return html`<${Loaded} of=${settings}>${(stored) => html`<${Form} stored=${stored} set=${settings.set} />`}</${Loaded}>`;
}

function Form({stored, set}) {
  const may = useMay()("edit_settings");
  const [typed, setTyped] = useState({});
  const [clashes, setClashes] = useState({}); // name -> their value, until one is chosen
  const [checked, setChecked] = useState();

  const changes = {};
  for (const [name, value] of Object.entries(typed)) {
    const wanted = readTyped(name, value);
    if (!same(wanted, valueOf(stored, name))) changes[name] = wanted;
  }
  const unsaved = Object.keys(changes).length > 0;
  useGuard(unsaved, () => ask({title: words.leaveTitle, text: words.leaveText, cancel: words.stay, answers: [{value: true, label: words.leave, kind: "danger"}]}));

  // What was typed while saving stays.
  const adopt = (fresh) => {
    set(fresh);
    setTyped((now) => Object.fromEntries(Object.entries(now).filter(([name, value]) => value !== typed[name])));
    setClashes({});
  };

  const merge = async () => {
    const {data: theirs} = await read(path);
    const clashing = {};
    for (const name of Object.keys(changes)) {
      if (!same(valueOf(theirs, name), valueOf(stored, name)) && !same(valueOf(theirs, name), changes[name])) clashing[name] = valueOf(theirs, name);
    }
    set(theirs);
    setClashes(clashing);
    return {theirs, clashing};
  };

  const save = useTask(async () => {
    try {
      const {data} = await call("PUT", path, {body: changes, version: stored.version});
      adopt(data);
      say(words.saved);
    } catch (problem) {
      if (problem.stale) {
        const {clashing} = await merge();
        if (Object.keys(clashing).length === 0) throw problem; // saving again will do
        return;
      }
      if (!problem.offline) throw problem;
      say(words.maybeSaved);
      const {theirs} = await merge();
      if (!Object.entries(changes).every(([name, value]) => same(valueOf(theirs, name), value))) throw problem;
      adopt(theirs);
      say(words.savedLater);
    }
  });

  const submit = (event) => {
    event.preventDefault();
    if (!unsaved) { say(words.nothing); return; }
    if (onWhom.some((name) => name in changes)) setChecked(changes);
    else save.run();
  };

  const errors = save.problem?.byField ?? {};
  const bind = (name) => ({
    name, value: typed[name] ?? typedOf(name, valueOf(stored, name)), disabled: !may,
    onChange: (value) => setTyped((before) => ({...before, [name]: value})),
    errors: Object.entries(errors).filter(([field]) => field === name || field.startsWith(`${name}[`) || field.startsWith(`${name}.`)).flatMap(([, reasons]) => reasons),
    ...words.fields[name],
  });
  const placed = (field) => sections.some(({fields}) => fields.some(([name]) => field === name || field.startsWith(`${name}[`) || field.startsWith(`${name}.`)));
  const elsewhere = save.problem && (!save.problem.byField || Object.keys(errors).some((field) => !placed(field)));

  return html`
    <form onSubmit=${submit} novalidate>
      <div class="head">
        <h1>${words.title}</h1>
        ${may && unsaved && html`<button type="button" class="button" disabled=${save.busy} onClick=${() => { setTyped({}); setClashes({}); save.clear(); }}>${words.discard}</button>`}
        ${may && html`<button type="submit" class="button primary" disabled=${save.busy || Object.keys(clashes).length > 0}>${save.busy ? words.saving : words.save}</button>`}
      </div>
      ${!may && html`<${Notice}><p>${words.readOnly}</p></${Notice}>`}
      ${elsewhere && html`<${Failed} problem=${save.problem} />`}
      ${save.problem && !elsewhere && html`<${Notice} kind="bad" live><p>${words.notSaved}</p></${Notice}>`}
      ${Object.keys(clashes).length > 0 && html`<${Clashes} clashes=${clashes} changes=${changes} choose=${(name, theirs) => {
        setClashes(({[name]: _, ...rest}) => rest);
        if (theirs) setTyped(({[name]: _, ...rest}) => rest);
      }} />`}
      ${stored.deviations.length > 0 && html`
        <${Notice} kind="warn" title=${words.deviationsTitle}>
          <ul>${stored.deviations.map((line) => html`<li>${line}</li>`)}</ul>
        </${Notice}>`}
      ${sections.map(({id, fields}) => html`
        <section class="card" aria-labelledby="section-${id}">
          <h2 id="section-${id}">${words.sections[id]}</h2>
          ${words.sectionHints[id] && html`<p class="soft">${words.sectionHints[id]}</p>`}
          <div class="fields">${fields.map(([name, kind]) => html`<${Control} key=${name} kind=${kind} ...${bind(name)} />`)}</div>
        </section>`)}
      ${checked && html`<${Check} changes=${checked} version=${stored.version} onClose=${(go) => {
        setChecked(undefined);
        if (go) save.run();
      }} />`}
    </form>`;
}

function Control({kind, label, hint, errors, name, value, onChange, disabled}) {
  switch (kind) {
    case "yes":
      return html`<${CheckField} label=${label} hint=${hint} name=${name} value=${value} disabled=${disabled} onChange=${onChange} />`;
    case "level":
      return html`<${SelectField} label=${label} hint=${hint} errors=${errors} name=${name} value=${value} disabled=${disabled} onChange=${onChange} options=${Object.entries(accessLevel)} />`;
    case "number":
      return html`<${TextField} label=${label} hint=${hint} errors=${errors} name=${name} value=${value} disabled=${disabled} onChange=${onChange} inputmode="numeric" class="short" />`;
    case "statuses":
      return html`<${Statuses} label=${label} hint=${hint} errors=${errors} value=${value} disabled=${disabled} onChange=${onChange} />`;
    case "lines":
      return html`
        <${Field} label=${label} hint=${hint} errors=${errors}>
          ${(ties) => html`<textarea rows="3" name=${name} disabled=${disabled} ...${ties} value=${value} onInput=${(event) => onChange(event.target.value)}></textarea>`}
        </${Field}>`;
    case "zone":
      return html`<${Zone} label=${label} hint=${hint} errors=${errors} name=${name} value=${value} disabled=${disabled} onChange=${onChange} />`;
    default:
      return html`<${TextField} label=${label} hint=${hint} errors=${errors} name=${name} value=${value} disabled=${disabled} onChange=${onChange} />`;
  }
}

// Zone suggests the browser's list; the API knows which there are.
function Zone(props) {
  const id = useId();
  return html`
    <${TextField} ...${props} list="${id}-zones" />
    <datalist id="${id}-zones">${(Intl.supportedValuesOf?.("timeZone") ?? []).map((zone) => html`<option value=${zone} />`)}</datalist>`;
}

function Statuses({label, hint, errors, value, disabled, onChange}) {
  const id = useId();
  return html`
    <fieldset class=${errors.length > 0 ? "refused" : ""} aria-describedby="${id}-hint">
      <legend>${label}</legend>
      ${Object.entries(status).map(([of, text]) => html`
        <${CheckField} key=${of} label=${text} value=${value.includes(of)} disabled=${disabled}
          onChange=${(on) => onChange(on ? [...value, of] : value.filter((one) => one !== of))} />`)}
      <p class="hint" id="${id}-hint">${hint}</p>
      ${errors.length > 0 && html`<p class="error">${errors.join(" ")}</p>`}
    </fieldset>`;
}

const shown = (value) => {
  if (typeof value === "boolean") return value ? words.yes : words.no;
  const one = (v) => accessLevel[v] ?? status[v] ?? String(v);
  return [value].flat().map(one).join(", ") || words.nobody;
};

const Clashes = ({clashes, changes, choose}) => html`
  <${Notice} kind="warn" title=${words.clashTitle} live>
    <p>${words.clashText}</p>
    ${Object.entries(clashes).map(([name, theirs]) => html`
      <fieldset key=${name}>
        <legend>${words.fields[name].label}</legend>
        <div class="buttons">
          <button type="button" class="button" onClick=${() => choose(name, false)}>${words.mine(shown(changes[name]))}</button>
          <button type="button" class="button" onClick=${() => choose(name, true)}>${words.theirs(shown(theirs))}</button>
        </div>
      </fieldset>`)}
  </${Notice}>`;

// Check asks the API whom the change would let in or keep out, page by page,
// and shows the sums as they grow.
function Check({changes, version, onClose}) {
  const [sums, setSums] = useState({gain: 0, lose: 0, read: 0});
  const walk = useLoad(async (signal) => {
    const total = {gain: 0, lose: 0, read: 0};
    let cursor;
    do {
      const {data} = await call("PUT", path, {query: {check: true, cursor}, body: changes, version, signal});
      for (const name of Object.keys(total)) total[name] += data[name];
      setSums({...total});
      cursor = data.cursor;
    } while (cursor);
    return total;
  }, []);
  const actions = html`<button type="button" class="button primary" disabled=${!walk.data && !walk.problem?.stale} onClick=${() => onClose(true)}>${words.save}</button>`;
  return html`
    <${Dialog} title=${words.checkTitle} onClose=${() => onClose(false)} actions=${actions}>
      ${walk.problem && !walk.problem.stale && html`<${Failed} problem=${walk.problem} retry=${walk.reload}><p>${words.checkFailed}</p></${Failed}>`}
      ${walk.loading && html`<p role="status">${words.checking(number(sums.read))}</p>`}
      ${sums.lose > 0 && html`<${Notice} kind="warn"><p>${words.lose(count(sums.lose, "person", "people"))}</p></${Notice}>`}
      ${sums.gain > 0 && html`<${Notice}><p>${words.gain(count(sums.gain, "person", "people"))}</p></${Notice}>`}
      ${walk.data && sums.lose + sums.gain === 0 && html`<p>${words.noEffect}</p>`}
    </${Dialog}>`;
}
