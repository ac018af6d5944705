// What can be done with the profiles that are ticked, or with all that match.
import {pages} from "../api/client.js";
import {say} from "../kit/say.js";
import {Notice} from "../kit/states.js";
import {html, useReducer, useState} from "../kit/view.js";
import {useMay} from "../shell/me.js";
import {go} from "../shell/route.js";
import {saveProfiles} from "./export.js";
import {paramsOf} from "./filter.js";
import {useJob} from "./job.js";
import {walk} from "./walk.js";
import {words} from "./words.js";

const mostMailed = 1000; // profiles that a mailing takes as a list
const mostAsked = 200; // ticked profiles whose related ones are looked for
const atOnce = 4; // requests

// Who is ticked stays so while the console is open, whatever is looked for in
// between: a list may be gathered from several searches.
const ticked = new Map(); // of profiles by ID

export function useTicks() {
  const [, redraw] = useReducer((n) => n + 1, 0);
  const change = (one) => (hits) => {
    hits.forEach(one);
    redraw();
  };
  return {
    has: (id) => ticked.has(id),
    all: () => [...ticked.values()],
    size: () => ticked.size,
    put: change((hit) => ticked.set(hit.id, hit)),
    drop: change(({id}) => ticked.delete(id)),
    clear: () => { ticked.clear(); redraw(); },
  };
}

// here is how many of those ticked are in the list, all says that everybody who
// matches the query is meant instead.
export function Selected({query, ticks, here, all, onSingle}) {
  const may = useMay();
  const {run, job} = useJob();
  const [note, setNote] = useState();
  const size = ticks.size();

  const mail = () => {
    setNote(undefined);
    if (!all) {
      if (size > mostMailed) setNote(words.tooManyTicked(size, mostMailed));
      else go(["mailings", "new"], {profiles: ticks.all().map(({id}) => id).join(",")});
      return;
    }
    const {search, ...filter} = query;
    if (!search) {
      go(["mailings", "new"], {...paramsOf(filter), from: "selector"});
      return;
    }
    gather(words.gatherTitle, mostMailed, (hits) => {
      if (hits.length > mostMailed) setNote(words.tooManyFound(mostMailed));
      else go(["mailings", "new"], {profiles: hits.map(({id}) => id).join(",")});
    });
  };
  const keepThem = () => {
    setNote(undefined);
    const done = (hits) => {
      saveProfiles(hits);
      say(words.exported(hits.length));
    };
    if (all) gather(words.exportTitle, Infinity, done);
    else done(ticks.all());
  };
  // gather walks through all that match, and a little beyond most.
  const gather = (title, most, done) => {
    const from = walk(query);
    const hits = [];
    run(title, async (signal, tell) => {
      while (!from.ended && hits.length <= most) {
        hits.push(...await from.next(1000, signal));
        tell(words.soFar(hits.length));
      }
      done(hits);
    });
  };
  const findRelated = () => {
    setNote(undefined);
    if (size > mostAsked) {
      setNote(words.tooManyAsked(size, mostAsked));
      return;
    }
    const left = ticks.all();
    const found = new Set();
    run(words.relatedTitle, async (signal, tell) => {
      const ask = async () => {
        while (left.length > 0 && found.size <= mostMailed) {
          const hit = left.pop();
          try {
            for await (const {profiles} of pages(`/api/profiles/${encodeURIComponent(hit.id)}/related`, {limit: 100}, {signal})) {
              for (const {id, former} of profiles) if (!former) found.add(id);
            }
          } catch (problem) {
            if (problem.status === 404) continue; // gone since it was ticked
            left.push(hit);
            throw problem;
          }
          tell(words.soFar(found.size));
        }
      };
      await Promise.all(Array.from({length: atOnce}, ask));
      if (found.size > mostMailed) setNote(words.tooManyRelated(mostMailed));
      else if (found.size === 0) setNote(words.noneRelated);
      else {
        ticks.clear();
        go(["profiles"], {profiles: [...found].join(",")});
        say(words.relatedFound(found.size));
      }
    });
  };

  if (!all && size === 0) return null;
  return html`
    <section class="card find-selected" aria-label=${words.actions}>
      <p role="status"><strong>${all ? words.allSelected : words.ticked(size)}</strong> <span class="soft">${!all && words.elsewhere(size - here)}</span></p>
      <div class="find-actions">
        ${may("compose_mailings") && html`<button type="button" class="button primary" onClick=${mail}>${words.sendEmail}</button>`}
        ${!all && html`<button type="button" class="button" onClick=${findRelated}>${words.relatedOf}</button>`}
        <button type="button" class="button" onClick=${keepThem}>${words.export}</button>
        <button type="button" class="button quiet" onClick=${() => { setNote(undefined); if (all) onSingle(); else ticks.clear(); }}>${all ? words.selectSingle : words.untick}</button>
      </div>
      ${note && html`<${Notice} kind="warn" live><p>${note}</p></${Notice}>`}
      ${job}
    </section>`;
}
