// Who is in a mailing, and what became of each and why.
import {html, useEffect, useRef, useState} from "../kit/view.js";
import {read} from "../api/client.js";
import {clock, time} from "../kit/format.js";
import {SelectField} from "../kit/form.js";
import {useLoad, useTask} from "../kit/load.js";
import {Rows} from "../kit/rows.js";
import {save} from "../kit/save.js";
import {say} from "../kit/say.js";
import {Badge, Empty, Failed, Loaded} from "../kit/states.js";
import {outcome as outcomes, outcomeKind, skipReason} from "../kit/terms.js";
import {words as kit} from "../kit/words.js";
import {address} from "../shell/route.js";
import {reasonOf, words} from "./report.words.js";

const perPage = 200;
const perTable = 2500; // rows of CSV in one answer
const short = 200; // rows of a list that may be read anew by itself

// Recipients shows those of one outcome, or "all" of them; choose(outcome) is
// called for another. round changes when the list has to be read anew.
export function Recipients({mailing, outcome, choose, round, heading}) {
  const {id, report} = mailing;
  const few = useNarrow();
  const all = outcome === "all";
  const total = all ? report.profiles : report.outcomes[outcome];
  const totals = useRef();
  totals.current = total;

  const list = useLoad(async (signal) => {
    const of = totals.current;
    return {...await some(id, outcome, undefined, 0, signal), of, at: Date.now()};
  }, [id, outcome]);
  useEffect(() => { if (round > 0) list.reload(); }, [round]);
  const latest = useRef();
  latest.current = list.data;
  const more = useTask(async () => {
    const before = latest.current;
    if (!before?.cursor) return;
    const next = await some(id, outcome, before.cursor, before.rows.length);
    if (latest.current === before) list.set({...before, rows: [...before.rows, ...next.rows], cursor: next.cursor});
  });
  // A short list follows by itself when it fills, and once at the end; a long
  // one stays as it is while somebody reads it.
  const changed = list.data && list.data.of !== total;
  useEffect(() => {
    const {data, loading} = list;
    if (!loading && changed && !data.cursor && (data.rows.length === 0 || (mailing.doneAt && data.rows.length <= short))) list.reload();
  }, [changed, total, mailing.doneAt, list.loading]);

  const what = all ? words.everyone : outcomes[outcome];
  return html`
    <section class="card recipients" aria-labelledby="recipients">
      <h2 id="recipients" tabindex="-1" ref=${heading}>${words.recipients}</h2>
      <div class="choice">
        <${SelectField} label=${words.show} value=${outcome} onChange=${choose}
          options=${[...Object.keys(report.outcomes).sort(byImportance).map((one) => [one, words.choice(outcomes[one] ?? one, report.outcomes[one])]), ["all", words.choice(words.everyone, report.profiles)]]} />
        <${Download} id=${id} outcome=${outcome} what=${what} />
      </div>
      ${words.fixes[outcome] && total > 0 && html`<p class="small">${words.fixes[outcome]}</p>`}
      <${Loaded} of=${list}>${(data) => html`
        <p class="line small soft">
          ${words.shown(data.rows.length, data.of, clock(data.at))} ${changed && words.changed} ${" "}
          <button type="button" class="link" onClick=${list.reload}>${words.readAgain}</button>
        </p>
        ${data.rows.length === 0 && !data.cursor
          ? html`<${Empty} title=${words.nobody[outcome] ?? words.nobody.all} />`
          : html`<${Rows} caption=${words.recipientsCaption(what)} columns=${few ? fewColumns : columns} rows=${data.rows} rowKey=${(row) => row.n}
              total=${data.of} onNearEnd=${more.problem ? undefined : more.run} />`}
        ${more.problem && html`<${Failed} problem=${more.problem} />`}
        ${data.cursor && html`<p><button type="button" class="button" disabled=${more.busy} onClick=${() => more.run()}>${more.busy ? words.loadingMore : kit.more}</button></p>`}`}
      </${Loaded}>
    </section>`;
}

// What needs somebody's attention stands first.
const order = ["failed", "bounced", "complained", "skipped", "uncertain", "pending", "sent", "delivered"];
const byImportance = (a, b) => order.indexOf(a) - order.indexOf(b);

// some reads on until there are rows: a page may be empty, and not the last.
// Each gets a number to be told by: somebody who moved to another mailbox while
// the audience was counted may stand in it twice.
async function some(id, outcome, cursor, from, signal) {
  const rows = [];
  do {
    const {data} = await read(path(id), {outcome: outcome === "all" ? undefined : outcome, cursor, limit: perPage}, {signal});
    for (const row of data.recipients) rows.push({...row, n: from + rows.length});
    cursor = data.cursor;
  } while (cursor && rows.length === 0);
  return {rows, cursor};
}

const path = (id) => `/api/mailings/${encodeURIComponent(id)}/recipients`;

const columns = [
  {key: "name", label: words.columns.name, cell: (row) => html`<${Who} row=${row} />`},
  {key: "profile", label: words.columns.profile, class: "id", cell: (row) => row.profile},
  {key: "address", label: words.columns.address, class: "address", cell: (row) => html`<span title=${row.address}>${row.address}</span>`},
  {key: "outcome", label: words.columns.outcome, class: "outcome", cell: (row) => html`<${Outcome} row=${row} />`},
  {key: "why", label: words.columns.why, class: "why", cell: (row) => html`<span title=${plain(row)}><${Why} row=${row} /></span>`},
  {key: "sent", label: words.columns.sent, class: "sent", cell: (row) => time(row.sentAt)},
  {key: "password", label: words.columns.password, class: "password", cell: (row) => (row.passwordSet ? words.passwordSet : html`<span class="soft">${words.passwordNot}</span>`)},
];

// On a narrow screen two columns carry what matters of the others.
const fewColumns = [
  {key: "name", label: words.columns.name, class: "two", cell: (row) => html`<div class="lines"><${Who} row=${row} /><br /><span class="small soft">${row.profile}${row.address && `, ${row.address}`}</span></div>`},
  {key: "outcome", label: words.columns.outcome, class: "two", cell: (row) => html`<div class="lines"><${Outcome} row=${row} /><br /><span class="small soft"><${Why} row=${row} /></span></div>`},
];

const narrow = matchMedia("(max-width: 64rem)");

function useNarrow() {
  const [is, set] = useState(narrow.matches);
  useEffect(() => {
    const look = () => set(narrow.matches);
    narrow.addEventListener("change", look);
    return () => narrow.removeEventListener("change", look);
  }, []);
  return is;
}

const Who = ({row}) => html`<a href=${address(["profiles", row.profile])}>${row.name || words.goneProfile}</a>`;

const Outcome = ({row}) => html`<${Badge} kind=${outcomeKind[row.outcome]}>${outcomes[row.outcome] ?? row.outcome}</${Badge}>`;

const plain = ({outcome, reason}) => (!reason ? "" : outcome === "skipped" ? skipReason[reason] ?? reason : reasonOf(reason));

const Why = ({row}) => html`${plain(row)}${row.mainContact && html`${words.mainContact}<a href=${address(["profiles", row.mainContact.id])}>${row.mainContact.name}</a>`}`;

// Download gathers the table of the API, which comes in pages, into one file.
function Download({id, outcome, what}) {
  const [soFar, setSoFar] = useState(0);
  const left = useRef(new AbortController());
  useEffect(() => () => left.current.abort(), []);
  const take = useTask(async () => {
    const parts = [];
    let rows = 0;
    let cursor;
    setSoFar(0);
    do {
      const {data, response} = await read(path(id), {outcome: outcome === "all" ? undefined : outcome, format: "csv", cursor, limit: perTable}, {signal: left.current.signal});
      const header = data.indexOf("\r\n") + 2; // its names hold no line break
      parts.push(parts.length === 0 ? data : data.slice(header));
      rows += data.slice(header).split("\r\n").length - 1;
      setSoFar(rows);
      cursor = response.headers.get("Next-Cursor");
    } while (cursor);
    save(words.file(outcome, new Date().toISOString().slice(0, 10)), parts.join(""));
    say(words.downloaded(rows));
  });
  return html`
    <button type="button" class="button" aria-label=${take.busy ? undefined : words.downloadThese(what)} disabled=${take.busy} onClick=${() => take.run()}>${take.busy ? words.downloading(soFar) : words.download}</button>
    ${take.problem && html`<${Failed} problem=${take.problem} />`}`;
}
