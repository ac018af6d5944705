// The Profile Selector: filters, the list of who matches, and what can be done
// with all of them or with those one ticks.
import {Rows} from "../kit/rows.js";
import {Empty, Failed, Loading} from "../kit/states.js";
import {html, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState} from "../kit/view.js";
import {useMay} from "../shell/me.js";
import {address} from "../shell/route.js";
import {useTitle} from "../shell/shell.js";
import {Filters, Sets, addressOf, queryOf} from "./filter.js";
import {Email, Login, Status, where} from "./hit.js";
import {Selected, useTicks} from "./selected.js";
import {narrowed, walk} from "./walk.js";
import {words} from "./words.js";

const firstPage = 100;
const nextPages = 500;

export default function Selector({route}) {
  useTitle(words.selector);
  const query = useMemo(() => queryOf(route.params), [route.hash]);
  const key = addressOf(query);
  return html`
    <h1>${words.selector}</h1>
    <${Sets} query=${query} />
    <${Filters} query=${query} />
    <${Results} key=${key} query=${query} name=${key} />`;
}

// Lists that were looked at a moment ago, by their address: whoever opens a
// profile and comes back finds the list where it was left.
const kept = new Map();
const keep = 5; // lists
const keepFor = 600_000; // ms

function Results({query, name}) {
  const may = useMay();
  const left = useMemo(() => {
    const list = kept.get(name);
    return list && Date.now() - list.at < keepFor ? list : undefined;
  }, []);
  const [, redraw] = useReducer((n) => n + 1, 0);
  const list = useRef(left?.list ?? {walk: walk(query), rows: [], total: undefined}).current;
  const [problem, setProblem] = useState();
  const [counting, setCounting] = useState(); // {found, looked, giveUp}
  const [all, setAll] = useState(false); // all that match are selected
  const ticks = useTicks();
  const busy = useRef(false);
  const opened = useRef(left?.opened);
  const last = useRef(); // row that was ticked last, for Shift
  const phone = useMedia("(max-width: 48rem)");
  const narrow = useMedia("(max-width: 68rem)");
  const alive = useMemo(() => new AbortController(), []);

  const more = async () => {
    if (busy.current || list.walk.ended) return;
    busy.current = true;
    setProblem(undefined);
    try {
      // A page may be empty and not the last one.
      for (let page = []; page.length === 0 && !list.walk.ended;) {
        page = await list.walk.next(list.rows.length === 0 ? firstPage : nextPages, alive.signal);
        if (page.length > 0) list.rows = [...list.rows, ...page];
        redraw();
      }
    } catch (why) {
      if (!alive.signal.aborted) setProblem(why);
    } finally {
      busy.current = false;
      if (!alive.signal.aborted) redraw();
    }
  };

  // Those whom somebody edited meanwhile are shown as they are now.
  const freshen = async () => {
    const ids = [...document.querySelectorAll("tr[data-row]")].map((row) => row.dataset.row);
    try {
      const now = new Map((await narrowed(query, ids, alive.signal)).map((hit) => [hit.id, hit]));
      const asked = new Set(ids);
      const before = list.rows.length;
      list.rows = list.rows.filter(({id}) => !asked.has(id) || now.has(id)).map((hit) => now.get(hit.id) ?? hit);
      if (list.total !== undefined) list.total -= before - list.rows.length;
      ticks.put([...now.values()].filter(({id}) => ticks.has(id)));
      redraw();
    } catch { /* what was there is still to be seen */ }
  };

  useLayoutEffect(() => {
    let top = left?.top ?? 0;
    const look = () => { top = scrollY; };
    if (left) {
      const back = () => scrollTo(0, left.top);
      back();
      requestAnimationFrame(() => requestAnimationFrame(() => {
        if (alive.signal.aborted) return;
        back(); // the height of the rows is known by now
        addEventListener("scroll", look, {passive: true});
        requestAnimationFrame(() => {
          if (opened.current) document.querySelector(`tr[data-row="${CSS.escape(opened.current)}"] a`)?.focus({preventScroll: true});
          if (!alive.signal.aborted) freshen();
        });
      }));
    } else addEventListener("scroll", look, {passive: true});
    return () => {
      removeEventListener("scroll", look);
      alive.abort();
      if (list.rows.length === 0) return;
      kept.delete(name);
      kept.set(name, {list, top, opened: opened.current, at: Date.now()});
      if (kept.size > keep) kept.delete(kept.keys().next().value);
    };
  }, []);
  useEffect(() => { if (!left) more(); }, []);

  const countAll = async () => {
    const giveUp = new AbortController();
    alive.signal.addEventListener("abort", () => giveUp.abort());
    const tell = (counted) => setCounting({found: list.rows.length + counted.found, looked: list.walk.looked + counted.looked, giveUp});
    setProblem(undefined);
    tell({found: 0, looked: 0});
    try {
      const before = list.rows.length;
      const rest = await list.walk.rest(giveUp.signal, tell);
      if (rest !== undefined) list.total = before + rest;
      else {
        while (!list.walk.ended && !giveUp.signal.aborted) {
          const page = await list.walk.next(nextPages, giveUp.signal);
          list.rows = [...list.rows, ...page];
          tell({found: 0, looked: 0});
        }
      }
    } catch (why) {
      if (!giveUp.signal.aborted) setProblem(why);
    }
    if (!alive.signal.aborted) setCounting(undefined);
  };

  const {rows} = list;
  const exact = list.walk.ended ? rows.length : list.total;
  if (exact === 0) return html`<${Nothing} query=${query} mayEdit=${may("edit_profiles")} />`;
  if (rows.length === 0) {
    if (problem) return html`<${Failed} problem=${problem} retry=${more} />`;
    return html`<${Loading} what=${list.walk.looked > 0 ? words.lookedAt(list.walk.looked) : words.loading} />`;
  }

  const tick = (hit, event) => {
    const at = rows.indexOf(hit);
    const from = event.shiftKey && last.current !== undefined ? Math.min(last.current, at) : at;
    const to = event.shiftKey && last.current !== undefined ? Math.max(last.current, at) : at;
    if (event.target.checked) ticks.put(rows.slice(from, to + 1));
    else ticks.drop(rows.slice(from, to + 1));
    last.current = at;
  };
  const here = rows.reduce((n, {id}) => n + (ticks.has(id) ? 1 : 0), 0);
  const some = here > 0 && here < rows.length;
  const open = (hit) => ({onClick: () => { opened.current = hit.id; }});
  const tickAll = html`
    <label><input type="checkbox" aria-label=${words.tickShown} title=${words.tickShown} checked=${all || here === rows.length} indeterminate=${!all && some} disabled=${all}
      onClick=${(event) => (event.target.checked ? ticks.put(rows) : ticks.drop(rows))} /></label>`;
  const tickOne = (hit) => html`
    <label><input type="checkbox" aria-label=${words.tickOne(hit.name, hit.id)} checked=${all || ticks.has(hit.id)} disabled=${all} onClick=${(event) => tick(hit, event)} /></label>`;
  const email = (hit) => html`<${Email} of=${hit} shared=${query.email === "shared"} />`;
  const link = (hit) => html`<a href=${address(["profiles", hit.id])} title=${hit.name} ...${open(hit)}>${hit.name}</a>`;
  const columns = phone ? [
    {key: "tick", label: tickAll, class: "find-tick", cell: tickOne},
    {key: "name", label: words.who, class: "find-name", cell: (hit) => html`
      <div class="find-cut">${link(hit)} <span class="soft">${hit.id}</span></div><div class="soft small">${email(hit)}</div>`},
    {key: "login", label: words.login, class: "find-login", cell: (hit) => html`<div><${Login} of=${hit} alone /></div><${Status} of=${hit} />`},
  ] : [
    {key: "tick", label: tickAll, class: "find-tick", cell: tickOne},
    {key: "name", label: words.who, class: "find-name", cell: link},
    {key: "id", label: words.id, class: "find-id", cell: (hit) => hit.id},
    !narrow && {key: "where", label: words.company, class: "find-where", cell: (hit) => html`<span title=${where(hit)}>${where(hit)}</span>`},
    {key: "email", label: words.email, cell: email},
    {key: "status", label: words.memberStatus, class: "find-status", cell: (hit) => html`<${Status} of=${hit} />`},
    {key: "login", label: words.login, class: "find-login", cell: (hit) => html`<${Login} of=${hit} />`},
    {key: "edit", label: html`<span class="hidden">${words.edit}</span>`, class: "find-edit", cell: (hit) => html`
      <a href=${address(["profiles", hit.id, "general"])} aria-label=${words.editOne(hit.name)} ...${open(hit)}>${words.edit}</a>`},
  ].filter(Boolean);

  return html`
    <div class="find-count">
      ${counting ? html`
        <p role="status">${words.counting(counting.found, counting.looked)}</p>
        <button type="button" class="button" onClick=${() => counting.giveUp.abort()}>${words.stop}</button>` : html`
        <p role="status">${exact === undefined ? words.atLeast(rows.length) : words.exactly(exact)}</p>
        ${exact === undefined && html`<button type="button" class="button" onClick=${countAll}>${words.countAll}</button>`}`}
      <span class="find-push"></span>
      ${!all && html`<button type="button" class="button" onClick=${() => setAll(true)}>${words.selectAll}</button>`}
    </div>
    <${Selected} query=${query} ticks=${ticks} here=${here} all=${all} onSingle=${() => setAll(false)} />
    <div class="card find-list">
      <${Rows} caption=${words.caption} columns=${columns} rows=${rows} rowKey=${(hit) => hit.id} total=${exact === undefined ? undefined : exact + 1}
        onNearEnd=${() => !problem && !counting && more()} rowClass=${(hit) => (all || ticks.has(hit.id) ? "find-ticked" : "")} />
    </div>
    ${problem ? html`<${Failed} problem=${problem} retry=${more} />` : html`
      <p class="soft find-end">${list.walk.ended ? words.end : busy.current ? (list.walk.looked > rows.length ? words.lookedAt(list.walk.looked) : words.more) : ""}</p>`}`;
}

function useMedia(query) {
  const media = useMemo(() => matchMedia(query), []);
  const [matches, set] = useState(media.matches);
  useEffect(() => {
    const look = () => set(media.matches);
    media.addEventListener("change", look);
    return () => media.removeEventListener("change", look);
  }, []);
  return matches;
}

function Nothing({query, mayEdit}) {
  if (Object.keys(query).length > 0) {
    return html`
      <${Empty} title=${words.nothingTitle}><p>${words.nothingText}</p><p><a class="button" href=${addressOf({})}>${words.clear}</a></p></${Empty}>`;
  }
  return html`
    <${Empty} title=${words.emptyTitle}>
      <p>${mayEdit ? words.emptyText : words.emptyLook}</p>
      ${mayEdit && html`
        <p><a class="button primary" href="#/imports">${words.import}</a> <a class="button" href="#/profiles/new">${words.newProfile}</a></p>`}
    </${Empty}>`;
}
