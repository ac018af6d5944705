// A small field that finds a profile as you type. Arrow keys choose, Enter
// picks, Escape closes.
import {longEnough, search as find} from "../find/search.js";
import {Field} from "../kit/form.js";
import {Badge} from "../kit/states.js";
import * as terms from "../kit/terms.js";
import {html, useEffect, useId, useRef, useState} from "../kit/view.js";
import {words} from "./words.js";

const shown = 8; // profiles at once
const pause = 120; // ms without a key before it is searched

// onPick(hit) gets the profile (openapi.yaml, Hit). value, a profile or
// nothing, is what stands in the field while nothing is being looked for; where
// there is none, the field is empty again after each pick.
export function Picker({label, hint, errors, onPick, value}) {
  const [typed, setTyped] = useState();
  const [search, setSearch] = useState({});
  const [active, setActive] = useState(0);
  const list = useId();
  const query = (typed ?? "").trim();

  useEffect(() => {
    if (!longEnough(query)) {
      setSearch({});
      return undefined;
    }
    const giveUp = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const {profiles} = await find(query, {limit: shown, signal: giveUp.signal});
        if (giveUp.signal.aborted) return;
        setActive(0);
        setSearch({found: profiles, of: query});
      } catch (problem) {
        if (!giveUp.signal.aborted) setSearch({problem});
      }
    }, pause);
    return () => { clearTimeout(timer); giveUp.abort(); };
  }, [query]);

  const found = (longEnough(query) && search.found) || [];
  const current = search.of === query; // what is shown answers what is typed
  const open = typed !== undefined && query !== "";
  const close = () => setTyped(undefined);
  const pick = (hit) => {
    close();
    onPick(hit);
  };

  // Enter pressed before the answer is there picks when it is.
  const wanted = useRef(false);
  useEffect(() => {
    if (!current || !wanted.current) return;
    wanted.current = false;
    if (found.length > 0) pick(found[0]);
  });
  const press = (event) => {
    if (event.key === "Enter") {
      event.preventDefault(); // it does not save
      if (!open) return;
      if (current && found[active]) pick(found[active]);
      else wanted.current = longEnough(query) && !current && !search.problem;
    } else if (event.key === "Escape" && open) {
      event.preventDefault();
      close();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && found.length > 0) {
      event.preventDefault();
      setActive((active + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length);
    }
  };
  const said = () => {
    if (search.problem) return search.problem.detail;
    if (!longEnough(query)) return words.typeMore;
    if (!search.found) return words.searching;
    return found.length > 0 ? words.found(found.length) : words.nobody;
  };

  return html`
    <${Field} label=${label} hint=${hint} errors=${errors}>
      ${(ties) => html`
        <div class="picker">
          <input ...${ties} type="text" role="combobox" autocomplete="off" spellcheck=${false} autocapitalize="none"
            aria-autocomplete="list" aria-expanded=${open && found.length > 0 ? "true" : "false"} aria-controls=${list}
            aria-activedescendant=${open && found.length > 0 ? `${list}-${active}` : undefined}
            value=${typed ?? (value ? `${value.name} (${value.id})` : "")}
            onInput=${(event) => { wanted.current = false; setTyped(event.target.value); }}
            onFocus=${(event) => event.target.select()} onKeyDown=${press} onBlur=${close} />
          <div class="picker-list" hidden=${!open}>
            <ul id=${list} role="listbox" aria-label=${label}>${open && found.map((hit, i) => html`
              <li key=${hit.id} id="${list}-${i}" role="option" aria-selected=${i === active ? "true" : "false"}
                onMouseDown=${(event) => event.preventDefault() /* the field keeps the keyboard */} onMouseMove=${() => i !== active && setActive(i)} onClick=${() => pick(hit)}>
                <strong>${hit.name}</strong> <span class="soft">${[hit.id, hit.company ?? hit.contact, hit.email].filter(Boolean).join(" · ")}</span>
                ${hit.status !== "active" && html` <${Badge}>${terms.status[hit.status]}</${Badge}>`}
              </li>`)}
            </ul>
            <p class="hint" role="status">${open && said()}</p>
          </div>
        </div>`}
    </${Field}>`;
}
