// A list that is read page by page.
import {read} from "../api/client.js";
import {html, useEffect, useRef, useState} from "../kit/view.js";
import {Failed} from "../kit/states.js";
import {words} from "./words.js";

// usePages reads the first page at once, and again when reads changes; the
// others by more(). name is the member of an answer that holds its rows, first
// the first page's answer.
//
//   {rows, first, cursor, busy, problem, more, reload}
export function usePages(path, name, reads) {
  const [state, set] = useState({rows: [], busy: true});
  const running = useRef();
  const next = async (from) => {
    running.current?.abort();
    const {signal} = running.current = new AbortController();
    set((before) => ({...before, busy: true, problem: undefined}));
    try {
      const {data} = await read(path, {cursor: from?.cursor}, {signal});
      if (!signal.aborted) set({first: from?.first ?? data, rows: [...(from?.rows ?? []), ...data[name]], cursor: data.cursor, busy: false});
    } catch (problem) {
      if (!signal.aborted) set((before) => ({...before, busy: false, problem}));
    }
  };
  useEffect(() => {
    next();
    return () => running.current.abort();
  }, [path, reads]);
  return {...state, more: () => state.busy || next(state), reload: () => next()};
}

// More stands below the rows that have been read. The keyboard stays there when
// the button goes.
export function More({of}) {
  const all = useRef();
  const pressed = useRef(false);
  useEffect(() => { if (pressed.current && !of.cursor) all.current?.focus(); }, [of.cursor]);
  const more = () => {
    pressed.current = true;
    of.more();
  };
  return html`
    ${of.problem && html`<${Failed} problem=${of.problem} retry=${of.rows.length > 0 && of.cursor ? of.more : of.reload} />`}
    ${of.cursor && !of.problem && html`
      <p><button type="button" class="button" aria-disabled=${of.busy ? "true" : undefined} onClick=${more}>${of.busy ? words.loadingMore : words.more}</button></p>`}
    ${!of.cursor && pressed.current && html`<p class="small soft" tabindex="-1" ref=${all}>${words.all(of.rows.length)}</p>`}`;
}
