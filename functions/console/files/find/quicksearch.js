// Quick Search: at the top of every page, by keyboard alone if one likes. "/"
// or Ctrl+K from anywhere outside a field, type, Enter.
//
// How quick it is stands in the browser's performance timeline, for each answer
// that was shown (performance.getEntriesByName, in ms):
//
//   quick-search      from the last key to the painted answer, less the API's time
//   quick-search-api  the API's time, from asking to having read the answer
import {html, useEffect, useId, useLayoutEffect, useRef, useState} from "../kit/view.js";
import {useMay} from "../shell/me.js";
import {address, go} from "../shell/route.js";
import {Email, Login, Status, where} from "./hit.js";
import {known, longEnough, mailboxOf, search} from "./search.js";
import {words} from "./words.js";

export {search};

const shown = 8; // profiles at once
const pause = 60; // ms without a key before it is asked
const patience = 300; // ms before it says that it is searching

export function QuickSearch() {
  const [text, setText] = useState("");
  const [answer, setAnswer] = useState({}); // of: the text that it answers; profiles, more; or problem
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const id = useId();
  const input = useRef();
  const asking = useRef({}); // {timer, giveUp}
  const wanted = useRef(false); // Enter was pressed before the answer came
  const timing = useRef();

  const query = text.trim();
  const current = answer.of === query;
  const profiles = (query && answer.profiles) || [];
  const options = answer.more && profiles.length > 0 ? profiles.length + 1 : profiles.length;
  const expanded = open && options > 0;

  const ask = (typed, key, wait = pause) => {
    clearTimeout(asking.current.timer);
    asking.current.giveUp?.abort();
    const of = typed.trim();
    if (!longEnough(of)) {
      setAnswer({});
      return;
    }
    const giveUp = new AbortController();
    const timer = setTimeout(async () => {
      const begun = performance.now();
      let found;
      try {
        found = await search(of, {limit: shown, signal: giveUp.signal});
      } catch (problem) {
        found = {problem};
      }
      if (giveUp.signal.aborted) return;
      timing.current = {key, api: {start: begun, duration: performance.now() - begun}};
      setActive(0);
      setAnswer({...found, of});
    }, known(of, shown) ? 0 : wait);
    asking.current = {timer, giveUp};
  };
  useEffect(() => () => { clearTimeout(asking.current.timer); asking.current.giveUp?.abort(); }, []);

  // Painted is what comes after the next frame.
  useLayoutEffect(() => {
    if (!timing.current) return;
    const {key, api} = timing.current;
    timing.current = undefined;
    requestAnimationFrame(() => setTimeout(() => {
      performance.measure("quick-search-api", api);
      performance.measure("quick-search", {start: key, duration: performance.now() - key - api.duration});
    }));
  }, [answer]);

  useEffect(() => {
    const shortcut = (event) => {
      const typing = event.target.closest?.("input, select, textarea, [contenteditable], trix-editor");
      const wish = event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey
        || event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
      if (!wish || typing || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      input.current.focus();
    };
    addEventListener("keydown", shortcut);
    return () => removeEventListener("keydown", shortcut);
  }, []);

  const leave = () => {
    clearTimeout(asking.current.timer);
    asking.current.giveUp?.abort();
    setOpen(false);
    setText("");
    setAnswer({});
    input.current.blur();
  };
  const target = (i) => (i < profiles.length ? [["profiles", profiles[i].id]] : [["profiles"], {search: query}]);
  const choose = (i, aside) => {
    if (aside) {
      window.open(address(...target(i)), "_blank", "noopener");
      return;
    }
    go(...target(i));
    leave();
  };
  useEffect(() => {
    if (!current || !wanted.current) return;
    wanted.current = false;
    // Somebody who does not wait to look means the one and only, or an ID.
    if (profiles.length === 1 || profiles[0]?.id.toLowerCase() === query.toLowerCase()) choose(0);
  });

  const keys = {
    ArrowDown: () => (active + 1) % options,
    ArrowUp: () => (active + options - 1) % options,
    Home: () => 0,
    End: () => options - 1,
  };
  const press = (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      if (expanded && current) choose(active, event.ctrlKey || event.metaKey);
      else {
        wanted.current = longEnough(query);
        setOpen(true);
      }
    } else if (event.key === "Escape") {
      event.preventDefault(); // a search field would empty itself
      if (open) setOpen(false);
      else { setText(""); setAnswer({}); }
    } else if (keys[event.key] && options > 0 && !event.shiftKey && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      if (open) setActive(keys[event.key]());
      else setOpen(true);
    }
  };
  const type = (event) => {
    wanted.current = false;
    setText(event.target.value);
    setOpen(true);
    ask(event.target.value, event.timeStamp);
  };
  const again = () => {
    input.current.focus(); // the button goes with the problem
    ask(text, performance.now(), 0);
  };
  const left = (event) => { if (!event.currentTarget.contains(event.relatedTarget)) setOpen(false); };
  useEffect(() => {
    if (expanded) document.getElementById(`${id}-${active}`)?.scrollIntoView({block: "nearest"});
  }, [active, expanded]);

  return html`
    <div class="quick" onFocusOut=${left}>
      <input ref=${input} type="search" role="combobox" aria-label=${words.quick} placeholder="${words.quick}: ${words.quickHint}" maxlength="200"
        autocomplete="off" autocapitalize="none" spellcheck=${false} enterkeyhint="go" aria-autocomplete="list" aria-expanded=${expanded ? "true" : "false"} aria-haspopup="listbox"
        aria-controls=${expanded ? id : undefined} aria-activedescendant=${expanded ? `${id}-${active}` : undefined} aria-keyshortcuts="/ Control+K"
        value=${text} onInput=${type} onKeyDown=${press} onFocus=${(event) => { event.target.select(); setOpen(true); }} onClick=${() => setOpen(true)} />
      ${open && query && html`
        <div class="quick-list">
          ${options > 0 && html`
            <ul id=${id} role="listbox" aria-label=${words.results} class=${current ? "" : "old"}>
              ${profiles.map((hit, i) => html`
                <li key=${hit.id} id="${id}-${i}" role="option" aria-selected=${i === active ? "true" : "false"} ...${pointing(i)}>
                  <span class="quick-who"><strong class="find-cut">${hit.name}</strong> <span class="soft">${hit.id}</span></span>
                  <span class="quick-badges"><${Status} of=${hit} /> <${Login} of=${hit} alone /></span>
                  <span class="quick-rest soft">${where(hit) && html`<span class="find-cut">${where(hit)}</span>`}<${Email} of=${hit} shared=${sharesAmong(hit, profiles)} /></span>
                </li>`)}
              ${answer.more && html`
                <li key="all" id="${id}-${profiles.length}" role="option" class="quick-all" aria-selected=${active === profiles.length ? "true" : "false"} ...${pointing(profiles.length)}>${words.all(query)}</li>`}
            </ul>`}
          <${Told} answer=${answer} query=${query} current=${current} again=${again} leave=${leave} />
        </div>`}
    </div>`;

  function pointing(i) {
    return {
      onMouseDown: (event) => event.preventDefault(), // the field keeps the keyboard
      onMouseMove: () => i !== active && setActive(i),
      onClick: (event) => choose(i, event.ctrlKey || event.metaKey),
      onAuxClick: (event) => event.button === 1 && choose(i, true),
    };
  }
}

const sharesAmong = (hit, all) => Boolean(hit.email) && all.some((other) => other.id !== hit.id && mailboxOf(other) === mailboxOf(hit));

// Told stands below the list, or in its place.
function Told({answer, query, current, again, leave}) {
  const may = useMay();
  const [late, setLate] = useState(false);
  useEffect(() => {
    setLate(false);
    const timer = setTimeout(() => setLate(true), patience);
    return () => clearTimeout(timer);
  }, [query]);
  const mine = {onClick: leave};
  let told;
  if (!longEnough(query)) told = words.looksAt;
  else if (!current) told = late && words.searching;
  else if (answer.problem) {
    const refused = answer.problem.status === 400; // such as three hyphens: trying again is of no use
    return html`<div class="quick-told" role="alert"><p>${answer.problem.detail ?? answer.problem.message}</p>
      ${!refused && html`<p><button type="button" class="button" onClick=${again}>${words.tryAgain}</button></p>`}</div>`;
  } else if (answer.profiles.length === 0) {
    const params = query.includes("@") ? {email: query} : {name: query};
    return html`<div class="quick-told">
      <div role="status"><p>${words.nobody(query)}</p><p class="small soft">${words.looksAt}</p></div>
      ${may("edit_profiles") && html`<p><a class="button" href=${address(["profiles", "new"], params)} ...${mine}>${words.newProfile}</a></p>`}</div>`;
  } else return html`<p class="hidden" role="status">${words.found(answer.profiles.length, answer.more)}</p>`;
  return html`<div class="quick-told" role="status" hidden=${!told}>${told}</div>`;
}
