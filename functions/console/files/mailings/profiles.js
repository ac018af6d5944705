// The Profiles tab: who gets the email, and how many that are.
import {html, useEffect, useId, useRef, useState} from "../kit/view.js";
import {call, read} from "../api/client.js";
import {ask} from "../kit/dialog.js";
import {useLoad, useTask} from "../kit/load.js";
import {say} from "../kit/say.js";
import {Badge, Failed, Loaded} from "../kit/states.js";
import {Picker} from "../profile/picker.js";
import {address} from "../shell/route.js";
import {Count} from "./count.js";
import {FilterForm, describe, same, usual} from "./filter.js";
import {SaveAs} from "./templates.js";
import {words} from "./words.js";

export function Profiles({draft, audience}) {
  const filter = draft.mine.audience;
  const saved = useLoad(async (signal) => (await read("/api/audiences", {}, {signal})).data.audiences, []);
  const settings = useLoad(async (signal) => (await read("/api/organization", {}, {signal})).data, []);
  const shipped = saved.data?.filter(({readOnly}) => readOnly) ?? [];
  // Which of the ways is chosen. A filter may happen to be a shipped one.
  const [way, setWay] = useState();
  const now = way ?? (filter.profiles ? "list" : shipped.find((one) => same(one.filter, filter))?.id ?? "filter");
  const own = useRef(); // what was chosen here
  useEffect(() => { if (own.current && !same(own.current, filter)) setWay(undefined); }, [JSON.stringify(filter)]);
  const choose = (to, made) => {
    setWay(to);
    if (!made) return;
    own.current = made;
    draft.change({audience: made});
  };
  const id = useId();
  const radio = (of, label, hint, made) => html`
    <div class="field check" key=${of}>
      <input type="radio" name=${id} id="${id}-${of}" checked=${now === of} aria-describedby=${hint ? `${id}-${of}-hint` : undefined} onChange=${() => choose(of, made)} />
      <label for="${id}-${of}">${label}</label>
      ${hint && html`<p class="hint" id="${id}-${of}-hint">${hint}</p>`}
    </div>`;
  return html`
    <section class="card" aria-labelledby="${id}-who">
      <h2 id="${id}-who">${words.who}</h2>
      <${Loaded} of=${saved} what=${words.loadingSaved}>${(all) => html`
        <fieldset>
          <legend class="hidden">${words.who}</legend>
          ${shipped.map((one) => radio(one.id, one.name, describe(one.filter), one.filter))}
          ${radio("filter", words.byFilter, words.byFilterHint, filter.profiles ? usual : undefined)}
          ${radio("list", words.byList, words.byListHint)}
        </fieldset>
        ${now === "filter" && html`
          <div class="chosen">
            <${FilterForm} filter=${filter} onChange=${(made) => choose("filter", made)} kinds=${settings.data?.primaryKinds} />
            <${SavedFilters} all=${all.filter(({readOnly}) => !readOnly)} filter=${filter} use=${(one) => choose("filter", one.filter)} reload=${saved.reload} />
          </div>`}
        ${now === "list" && html`
          <div class="chosen">
            ${!filter.profiles && html`<p>${words.pickedNone(describe(filter))}</p>`}
            <${ByHand} ids=${filter.profiles ?? []} onChange=${(profiles) => choose("list", profiles.length > 0 ? {profiles} : usual)} />
          </div>`}`}
      </${Loaded}>
      <p class="hint">${words.whoHint}</p>
    </section>
    <${Count} draft=${draft} audience=${audience} waiting=${now === "list" && !filter.profiles} />`;
}

// SavedFilters are the office's own.
function SavedFilters({all, filter, use, reload}) {
  const [naming, setNaming] = useState(false);
  const remove = useTask(async (one) => {
    const yes = await ask({title: words.deleteFilterTitle(one.name), text: words.deleteTemplateText, answers: [{value: true, label: words.deleteYes, kind: "danger"}]});
    if (!yes) return;
    try {
      await call("DELETE", `/api/audiences/${encodeURIComponent(one.id)}`, {version: one.version});
      say(words.filterGone(one.name));
    } finally { reload(); }
  });
  const save = async (name) => {
    await call("POST", "/api/audiences", {body: {name, filter}});
    say(words.filterSaved(name));
    reload();
  };
  return html`
    <h3>${words.savedFilters}</h3>
    ${remove.problem && html`<${Failed} problem=${remove.problem} />`}
    ${all.length === 0 && html`<p class="soft small">${words.noSavedFilters}</p>`}
    <ul class="choices">${all.map((one) => html`
      <li key=${one.id}>
        <div><strong>${one.name}</strong> ${same(one.filter, filter) && html`<${Badge} kind="info">${words.inUse}</${Badge}>`}<p class="small soft">${describe(one.filter)}</p></div>
        <div class="buttons">
          <button type="button" class="button" aria-label=${words.useNamed(one.name)} onClick=${() => use(one)}>${words.use}</button>
          <button type="button" class="button danger" aria-label=${words.deleteNamed(one.name)} disabled=${remove.busy} onClick=${() => remove.run(one)}>${words.deleteShort}</button>
        </div>
      </li>`)}
    </ul>
    <p><button type="button" class="button" onClick=${() => setNaming(true)}>${words.saveFilter}</button></p>
    ${naming && html`<${SaveAs} title=${words.saveFilterTitle} text=${describe(filter)} label=${words.filterName} save=${save} onClose=${() => setNaming(false)} />`}`;
}

const known = new Map(); // by profile ID: {name, email}, or null where there is none
const most = 1000;
const atOnce = 50;

// ByHand is the list of profiles. (An empty one is none: to the API it would be
// everybody, so whoever takes the last one off gets the usual recipients.) The API has names one by one, so they are read
// for what is shown.
function ByHand({ids, onChange}) {
  const [shown, setShown] = useState(atOnce);
  const [, again] = useState(0);
  const some = ids.slice(0, shown);
  const missing = some.filter((one) => !known.has(one));
  useEffect(() => {
    if (missing.length === 0) return undefined;
    const given = new AbortController();
    const queue = [...missing];
    const worker = async () => {
      for (let one = queue.shift(); one && !given.signal.aborted; one = queue.shift()) {
        try {
          const {data} = await read(`/api/profiles/${encodeURIComponent(one)}`, {}, {signal: given.signal});
          known.set(one, {name: data.name, email: data.email});
        } catch (problem) {
          if (problem.status !== 404) continue;
          known.set(one, null);
        }
        again((n) => n + 1);
      }
    };
    for (let i = 0; i < 4; i++) worker();
    return () => given.abort();
  }, [missing.join(" ")]);

  const add = (hit) => {
    known.set(hit.id, {name: hit.name, email: hit.email});
    if (ids.includes(hit.id)) say(words.alreadyListed(hit.name));
    else if (ids.length >= most) say(words.listFull);
    else {
      say(words.added(hit.name));
      onChange([hit.id, ...ids]);
    }
  };
  const remove = (event, one) => {
    const buttons = [...event.currentTarget.closest("ul").querySelectorAll("button")];
    const at = buttons.indexOf(event.currentTarget);
    (buttons[at + 1] ?? buttons[at - 1] ?? document.querySelector(".by-hand input"))?.focus();
    say(words.removed1(known.get(one)?.name ?? one));
    onChange(ids.filter((other) => other !== one));
  };
  return html`
    <div class="by-hand">
      <${Picker} label=${words.add} hint=${words.addHint} onPick=${add} />
      ${ids.length > 0 && html`<p class="small soft">${words.pickedCount(ids.length)}</p>`}
      <ul class="picked">${some.map((one) => {
        const person = known.get(one);
        return html`
          <li key=${one}>
            <span><a href=${address(["profiles", one])}>${person?.name ?? one}</a>${" "}
              <span class="small soft">${person === null ? words.unknownProfile : [one, person && (person.email || words.noEmail)].filter(Boolean).join(" · ")}</span></span>
            <button type="button" class="button quiet" aria-label=${words.removeNamed(person?.name ?? one)} onClick=${(event) => remove(event, one)}>${words.remove}</button>
          </li>`;
      })}</ul>
      ${ids.length > shown && html`<p><button type="button" class="button" onClick=${() => setShown(shown + atOnce)}>${words.showMore(Math.min(atOnce, ids.length - shown))}</button></p>`}
    </div>`;
}
