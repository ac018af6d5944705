// The audit trail of the organization, by person, kind and time.
import {call, read} from "../api/client.js";
import {Field, SelectField} from "../kit/form.js";
import {number, time, exactTime} from "../kit/format.js";
import {useLoad, useTask} from "../kit/load.js";
import {save} from "../kit/save.js";
import {Empty, Failed, Loaded} from "../kit/states.js";
import {activity, actorKind} from "../kit/terms.js";
import {html, useRef, useState} from "../kit/view.js";
import {address, go} from "../shell/route.js";
import {useTitle} from "../shell/shell.js";
import {actorOf, detailsOf, kindOf} from "./entry.js";
import {words} from "./words.js";

const path = "/api/activity";
const names = ["actor", "kind", "from", "to"];

export default function Activity({route}) {
  useTitle(words.title);
  const filters = Object.fromEntries(names.map((name) => [name, route.params.get(name) ?? ""]));
  const person = route.params.get("name") ?? ""; // of the actor, for people; the filter is its id
  const filtered = names.some((name) => filters[name]);
  const change = (changes) => go(["activity"], {...filters, name: person, ...changes}, {replace: true});

  const first = useLoad(async (signal) => ({pages: [(await read(path, {...filters, limit: 50}, {signal})).data]}), names.map((name) => filters[name]));
  const more = useTask(async () => {
    const {pages} = first.data;
    const {data} = await read(path, {...filters, limit: 50, cursor: pages.at(-1).cursor});
    first.set({pages: [...pages, data]});
  });

  return html`
    <div class="head">
      <h1>${words.title}</h1>
      <${Download} filters=${filters} />
    </div>
    <p class="soft">${words.intro}</p>
    <div class="card">
      <div class="fields">
        <${SelectField} label=${words.who} value=${filters.actor} onChange=${(actor) => change({actor, name: ""})}
          options=${[["", words.anybody], ["staff", words.staff], ["member", words.member], ["system", words.system],
            ...(filters.actor && !(filters.actor in actorKind) ? [[filters.actor, words.oneOf(person || filters.actor)]] : [])]} />
        <${SelectField} label=${words.kind} value=${filters.kind} onChange=${(kind) => change({kind})}
          options=${[["", words.anything], ...Object.entries(activity).sort((a, b) => a[1].localeCompare(b[1]))]} />
        <${Day} label=${words.from} value=${filters.from} onChange=${(from) => change({from})} />
        <${Day} label=${words.to} value=${filters.to} onChange=${(to) => change({to})} />
      </div>
      <p class="hint">${words.days} ${filtered && html`<a href=${address(["activity"])}>${words.clear}</a>`}</p>
    </div>
    <${Loaded} of=${first}>${({pages}) => {
      const entries = pages.flatMap((page) => page.entries);
      const cursor = pages.at(-1).cursor;
      return html`
        ${entries.length === 0 && !cursor && html`<${Empty} title=${filtered ? words.noneOfThese : words.none} />`}
        ${entries.length > 0 && html`<${Table} entries=${entries} only=${(entry) => change({actor: entry.actor.id, name: actorOf(entry)})} />`}
        ${more.problem && html`<${Failed} problem=${more.problem} retry=${more.run} />`}
        ${cursor && html`<p><button type="button" class="button" disabled=${more.busy} onClick=${more.run}>${words.more}</button></p>`}`;
    }}</${Loaded}>`;
}

const Day = ({label, value, onChange}) => html`
  <${Field} label=${label}>
    ${(ties) => html`<input type="date" ...${ties} value=${value.slice(0, 10)} onChange=${(event) => onChange(event.target.value)} />`}
  </${Field}>`;

const Table = ({entries, only}) => html`
  <div class="card scroller" tabindex="0" role="region" aria-label=${words.title}>
    <table class="stacked">
      <thead><tr>
        <th scope="col">${words.when}</th><th scope="col">${words.kind}</th><th scope="col">${words.who}</th>
        <th scope="col">${words.whom}</th><th scope="col">${words.details}</th><th scope="col">${words.source}</th>
      </tr></thead>
      <tbody>${entries.map((entry) => html`
        <tr key=${entry.id}>
          <td data-label=${words.when}><time datetime=${entry.at} title=${exactTime(entry.at)}>${time(entry.at)}</time></td>
          <td data-label=${words.kind}>${kindOf(entry)}</td>
          <td data-label=${words.who}><button type="button" class="link" title=${words.only(actorOf(entry))} onClick=${() => only(entry)}>${actorOf(entry)}</button>
            <span class="soft small"> ${actorKind[entry.actor.kind]}</span></td>
          <td data-label=${words.whom}><${Whom} entry=${entry} /></td>
          <td data-label=${words.details}>${detailsOf(entry).map((line) => html`<div>${line}</div>`)}${entry.actingFor && words.actingFor(entry.actingFor)}</td>
          <td data-label=${words.source}><span class="code small">${entry.actor.from}</span></td>
        </tr>`)}
      </tbody>
    </table>
  </div>`;

function Whom({entry}) {
  if (entry.profile) return html`<a href=${address(["profiles", entry.profile])}>${words.profile(entry.profile)}</a>`;
  if (entry.mailing) return html`<a href=${address(["mailings", entry.mailing])}>${words.mailing}</a>`;
  if (entry.kind === "settings_changed") return html`<a href=${address(["settings"])}>${words.settings}</a>`;
  return "–";
}

// Download joins the pages of the API's own table into one file.
function Download({filters}) {
  const [rows, setRows] = useState(0);
  const giveUp = useRef();
  const task = useTask(async () => {
    giveUp.current = new AbortController();
    const {signal} = giveUp.current;
    let text = "";
    let cursor;
    setRows(0);
    do {
      const {data, response} = await call("GET", path, {query: {...filters, format: "csv", limit: 200, cursor}, signal});
      const lines = data.split("\n");
      text += (text ? lines.slice(1) : lines).join("\n"); // one header is enough
      cursor = response.headers.get("Next-Cursor");
      setRows((n) => n + lines.length - 2);
    } while (cursor);
    save(words.file, text);
  });
  return html`
    ${task.problem && task.problem.name !== "AbortError" && html`<${Failed} problem=${task.problem} />`}
    ${task.busy && html`<span role="status">${words.downloading(number(rows))}</span>
      <button type="button" class="button" onClick=${() => giveUp.current.abort()}>${words.stop}</button>`}
    <button type="button" class="button" disabled=${task.busy} onClick=${task.run}>${words.download}</button>`;
}
