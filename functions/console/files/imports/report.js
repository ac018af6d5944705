// What a check and an import have in common to tell: refused rows, warnings, and
// who is stored and not in the file.
import {useJob} from "../find/job.js";
import {html, useMemo} from "../kit/view.js";
import {address} from "../shell/route.js";
import {Person, Some, cellsOf, nameIn, saveMissing, saveRefused, saveWarnings, useStored} from "./lists.js";
import {words} from "./words.js";

const longest = 240; // characters of a row's text
const inSelector = 1000; // profiles of a list that the Profile Selector takes from an address

// Refused are the rows with every reason, what stood in the cell, and the row.
export function Refused({found, table, targets}) {
  const rows = useMemo(() => {
    const cells = cellsOf(table);
    return found.errors.map((one) => {
      const at = targets.indexOf(one.column);
      return {...one, cell: at < 0 ? undefined : cells(one.row)[at] ?? "", name: words.where(table.header[at], one.column), text: cells(one.row).filter((cell) => cell.trim()).join(" · ").slice(0, longest)};
    });
  }, [found, table, targets]);
  if (found.refused === 0) return null;
  return html`
    <h3>${words.refusedTitle(found.refused)}</h3>
    <p class="soft">${words.refusedText}</p>
    <p><button type="button" class="button" onClick=${() => saveRefused(table, found.errors)}>${words.download}</button></p>
    <${Some} items=${rows} total=${found.errorsTotal}>
      ${(shown) => html`
        <table class="stacked issues">
          <thead><tr><th scope="col">${words.row}</th><th scope="col">${words.column2}</th><th scope="col">${words.reason}</th><th scope="col">${words.own}</th></tr></thead>
          <tbody>${shown.map(({row, column, code, cell, name, detail, text}, i) => html`
            <tr key=${`${row} ${column} ${code} ${i}`}>
              <td data-label=${words.row}>${row}</td>
              <td data-label=${words.column2}>${cell === undefined ? name : html`${name}: <${Cell} text=${cell} />`}</td>
              <td data-label=${words.reason}>${detail}</td>
              <td data-label=${words.own} class="soft">${text}</td>
            </tr>`)}
          </tbody>
        </table>`}
    </${Some}>`;
}

const Cell = ({text}) => (text.trim() ? html`<span class="cell">${text.slice(0, 80)}</span>` : html`<span class="soft">${words.emptyCell}</span>`);

export function Warnings({found, table, targets}) {
  const name = useMemo(() => nameIn(table, targets), [table, targets]);
  const ids = useMemo(() => {
    const cells = cellsOf(table), at = targets.indexOf("Profile ID");
    return (row) => cells(row)[at]?.trim();
  }, [table, targets]);
  if (found.warningsTotal === 0) return null;
  return html`
    <h3>${words.warningsTitle(found.warningsTotal)}</h3>
    <p class="soft">${words.warningsText}</p>
    <p><button type="button" class="button" onClick=${() => saveWarnings(table, targets, found.warnings)}>${words.downloadWarnings}</button></p>
    <${Some} items=${found.warnings} total=${found.warningsTotal} first=${5}>
      ${(shown) => html`
        <table class="stacked issues">
          <thead><tr><th scope="col">${words.row}</th><th scope="col">${words.profile}</th><th scope="col">${words.column2}</th><th scope="col">${words.reason}</th></tr></thead>
          <tbody>${shown.map(({row, column, code, detail}) => html`
            <tr key=${`${row} ${column} ${code}`}>
              <td data-label=${words.row}>${row}</td>
              <td data-label=${words.profile}><${Person} id=${ids(row)} name=${name(ids(row))} /></td>
              <td data-label=${words.column2}>${words.where(table.header[targets.indexOf(column)], column)}</td>
              <td data-label=${words.reason}>${detail}</td>
            </tr>`)}
          </tbody>
        </table>`}
    </${Some}>`;
}

export function Missing({found, table}) {
  const {run, job} = useJob();
  if (table.mended) return null;
  if (found.missingTotal === 0) return html`<p>${found.missingSoFar ? words.missingMore : words.missingNone}</p>`;
  return html`
    <h3>${words.missingTitle(found.missingTotal, found.missingSoFar)}</h3>
    <p class="soft">${words.missingText} ${found.missingSoFar && words.missingMore}</p>
    <p class="buttons">
      <button type="button" class="button" onClick=${() => run(words.downloadingMissing, (signal, tell) => saveMissing(table, found.missing, signal, tell))}>${words.downloadMissing}</button>
      ${found.missingTotal <= inSelector && html`<a class="button" href=${address(["profiles"], {profiles: found.missing.join(",")})}>${words.showMissing}</a>`}
    </p>
    <${Some} items=${found.missing} total=${found.missingTotal}>${(shown) => html`<${Names} ids=${shown} />`}</${Some}>
    ${job}`;
}

function Names({ids}) {
  const stored = useStored(ids);
  return html`<ul class="plain">${ids.map((id) => html`<li key=${id}><${Person} id=${id} name=${stored?.get(id)?.name} stored /></li>`)}</ul>`;
}
