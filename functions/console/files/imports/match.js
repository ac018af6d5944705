// Step 2: which column of the file is which of ours.
import {Failed, Notice} from "../kit/states.js";
import {html, useMemo} from "../kit/view.js";
import {always, columns, doubled, lacking} from "./columns.js";
import {words} from "./words.js";

const few = 5; // rows of the preview
const looked = 300; // rows in which examples are looked for

export function Match({table, targets, remembered, onChange, preparing}) {
  const examples = useMemo(() => table.header.map((_, at) => {
    const values = new Set();
    for (const {cells} of table.rows.slice(0, looked)) {
      if (cells[at].trim()) values.add(cells[at].trim());
      if (values.size === 3) break;
    }
    return [...values].map((value) => value.slice(0, 60)).join(" · ");
  }), [table]);
  // Where the encoding was a guess, rows that show whether it was right come first.
  const shown = useMemo(() => {
    const tells = ({cells}) => table.guessed && cells.some((cell) => /[^\0-\x7f]/.test(cell));
    return [...table.rows.filter(tells).slice(0, few), ...table.rows.filter((row) => !tells(row)).slice(0, few)].slice(0, few);
  }, [table]);

  const names = table.header.map((name, at) => name || words.unnamed(at + 1));
  const missing = lacking(targets), twice = doubled(targets);
  const left = names.filter((_, at) => !targets[at]);
  const set = (at, target) => onChange(targets.map((one, i) => (i === at ? target : one)));
  const mapped = columns.filter((column) => targets.includes(column));
  return html`
    <p>${words.matchText}</p>
    ${table.guessed && html`<${Notice} kind="warn"><p>${words.guessed}</p></${Notice}>`}
    ${table.mended && html`<${Notice}><p>${words.mended}</p></${Notice}>`}
    ${remembered && html`<${Notice}><p>${words.remembered}</p></${Notice}>`}
    <table class="stacked match">
      <thead><tr><th scope="col">${words.yours}</th><th scope="col">${words.examples}</th><th scope="col">${words.becomes}</th></tr></thead>
      <tbody>${names.map((name, at) => html`
        <tr key=${at}>
          <td data-label=${words.yours}><strong>${name}</strong></td>
          <td data-label=${words.examples} class="soft">${examples[at]}</td>
          <td data-label=${words.becomes}>
            <select aria-label=${words.becomesOf(name)} value=${targets[at]} aria-invalid=${twice.includes(targets[at]) ? "true" : undefined} onChange=${(event) => set(at, event.target.value)}>
              <option value="" selected=${targets[at] === ""}>${words.leaveOut}</option>
              ${columns.map((column) => html`<option value=${column} selected=${targets[at] === column}>${column}${always.includes(column) ? ` (${words.required})` : ""}</option>`)}
            </select>
          </td>
        </tr>`)}
      </tbody>
    </table>
    <div role="status">
      ${missing.length > 0 && html`<p class="error">${words.missingColumns(missing)}</p>`}
      ${twice.map((name) => html`<p class="error">${words.twice(name)}</p>`)}
      ${left.length > 0 && html`<p class="soft">${words.leftOut(left)}</p>`}
    </div>
    <h3 id="import-preview">${words.preview}</h3>
    <div class="scroller" role="region" aria-labelledby="import-preview" tabindex="0">
      <table class="preview">
        <thead><tr><th scope="col">${words.row}</th>${mapped.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
        <tbody>${shown.map(({number, cells}) => html`
          <tr key=${number}><td class="soft">${number}</td>${mapped.map((column) => html`<td>${cells[targets.indexOf(column)].slice(0, 100)}</td>`)}</tr>`)}
        </tbody>
      </table>
    </div>
    ${preparing.problem && html`<${Failed} problem=${preparing.problem} />`}
    <p class="buttons next"><button type="button" class="button primary" disabled=${missing.length + twice.length > 0 || preparing.busy} onClick=${() => preparing.run()}>${words.check}</button></p>`;
}
