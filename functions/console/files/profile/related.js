// The tab Related profiles: whom this profile is related to, and who is related
// to it.
import {read} from "../api/client.js";
import {CheckField, TextField} from "../kit/form.js";
import {useLoad} from "../kit/load.js";
import {Badge, Empty, Loading} from "../kit/states.js";
import * as terms from "../kit/terms.js";
import {html, useEffect, useId, useRef, useState} from "../kit/view.js";
import {ProfileLink, Relations, Right} from "./glance.js";
import {More, usePages} from "./pages.js";
import {Picker} from "./picker.js";
import {words} from "./words.js";

const most = 20; // openapi.yaml, ProfileFields

export function Related({path, draft, readOnly}) {
  return html`
    <section class="card" aria-labelledby="own">
      <h2 id="own" tabindex="-1">${words.ownTitle}</h2>
      ${readOnly ? html`<${Relations} relations=${draft.base.relations} />` : html`<${Own} draft=${draft} />`}
    </section>
    <${Others} path=${path} reads=${draft.reads} />`;
}

let added = 0; // so that every new row has a key of its own

function Own({draft: {base, values: {relations}, errors, set}}) {
  const kinds = useLoad(async (signal) => (await read("/api/organization", {}, {signal})).data.primaryKinds, []);
  const suggestions = useId();
  const [refused, refuse] = useState();
  const [fresh, setFresh] = useState(); // the row that was added last: the keyboard goes there

  const edit = (row, change) => set("relations", relations.map((one) => (one === row ? {...one, ...change} : one)), row.key);
  const remove = (row) => {
    set("relations", relations.filter((one) => one !== row), row.key);
    document.getElementById("own").focus();
  };
  const add = (hit) => {
    const double = relations.some(({to, kind}) => to === hit.id && kind === "");
    refuse(hit.id === base.id ? `${hit.name} (${hit.id}): ${words.itself}` : double ? `${hit.name} (${hit.id}): ${words.already}` : undefined);
    if (hit.id === base.id || double) return;
    const row = {key: `new${++added}`, to: hit.id, name: hit.name, status: hit.status, kind: "", mainContact: false, canEdit: false};
    set("relations", [...relations, row], row.key);
    setFresh(row.key);
  };

  return html`
    <datalist id=${suggestions}>${(kinds.data ?? []).map((kind) => html`<option value=${kind}></option>`)}</datalist>
    ${relations.length === 0 && html`<p class="soft">${words.ownNone}</p>`}
    ${relations.map((row) => html`
      <${Row} key=${row.key} row=${row} errors=${errors} suggestions=${suggestions} focus=${row.key === fresh}
        edit=${(change) => edit(row, change)} remove=${() => remove(row)} />`)}
    ${errors.relations?.map((reason) => html`<p class="error">${reason}</p>`)}
    ${relations.length < most
      ? html`<${Picker} label=${words.add} hint=${words.addHint} errors=${refused ? [refused] : []} onPick=${add} />`
      : html`<p class="soft">${words.full(most)}</p>`}
    ${relations.length > 0 && html`<p class="small soft">${words.howMany(relations.length, most)}</p>`}`;
}

function Row({row, errors, suggestions, focus, edit, remove}) {
  const {key, to, name, status, kind, mainContact, canEdit, imported} = row;
  const of = (part) => errors[`relations.${key}.${part}`] ?? [];
  const place = useRef();
  useEffect(() => { if (focus) place.current.querySelector("input").focus(); }, [focus]);
  const former = kind.trim().toLowerCase().startsWith("former");
  const called = `${name ?? ""} (${to})`.trim();
  return html`
    <fieldset class="relation" ref=${place}>
      <legend>
        <${ProfileLink} id=${to} name=${name} />${" "}
        ${status && html`<${Badge}>${terms.status[status]}</${Badge}>`}${" "}
        ${former && html`<${Badge} kind="warn">${words.former}</${Badge}>`}
      </legend>
      ${of("to").map((reason) => html`<p class="error">${reason}</p>`)}
      <div class="fields">
        <${TextField} label=${words.kind} hint=${former ? words.formerHint : words.kindHint} errors=${of("kind")} value=${kind} list=${suggestions}
          required onChange=${(text) => edit({kind: text})} />
        <div>
          <${CheckField} label=${words.mainContact} hint=${words.mainContactHint} errors=${of("mainContact")} value=${mainContact} onChange=${(on) => edit({mainContact: on})} />
          <${CheckField} label=${words.canEdit} hint=${words.canEditHint} value=${canEdit} onChange=${(on) => edit({canEdit: on})} />
        </div>
      </div>
      ${imported && html`<p class="hint">${words.imported}</p>`}
      <div class="buttons">
        ${!former && html`<button type="button" class="button" aria-label=${words.endedOne(called)} onClick=${() => edit({kind: words.asFormer(kind)})}>${words.ended}</button>`}
        <button type="button" class="button danger" aria-label=${words.removeOne(called)} onClick=${remove}>${words.remove}</button>
      </div>
    </fieldset>`;
}

function Others({path, reads}) {
  const others = usePages(`${path}/related`, "profiles", reads);
  const {rows, first} = others;
  return html`
    <section class="card" aria-labelledby="others">
      <h2 id="others">${words.othersTitle}</h2>
      ${!first && !others.problem && html`<${Loading} />`}
      ${first && rows.length === 0 && html`<${Empty} title=${words.othersNone}><p>${words.othersNoneHint}</p></${Empty}>`}
      ${rows.length > 0 && html`
        <table class="stack">
          <caption class="hidden">${words.othersCaption}</caption>
          <thead><tr>
            <th scope="col">${words.whoColumn}</th><th scope="col">${words.relationColumn}</th>
            <th scope="col">${words.loginColumn}</th><th scope="col">${words.enterColumn}</th>
          </tr></thead>
          <tbody>${rows.map((row) => html`<${Other} key=${row.id + row.kind} row=${row} />`)}</tbody>
        </table>`}
      <${More} of=${others} />
    </section>`;
}

function Other({row}) {
  return html`
    <tr>
      <td data-label=${words.whoColumn}><${ProfileLink} id=${row.id} name=${row.name} /></td>
      <td data-label=${words.relationColumn}>
        ${row.kind}${" "}
        ${row.mainContact && html`<${Badge} kind="info">${words.mainContact}</${Badge}>`}${" "}
        ${row.canEdit && html`<${Badge} kind="info">${words.canEdit}</${Badge}>`}${" "}
        ${row.former && html`<${Badge} kind="warn">${words.former}</${Badge}>`}
      </td>
      <td data-label=${words.loginColumn}><${Badge} kind=${terms.loginKind[row.loginStatus]}>${terms.loginStatus[row.loginStatus]}</${Badge}></td>
      <td data-label=${words.enterColumn}><${Right} right=${{...row.access, via: undefined}} /></td>
    </tr>`;
}
