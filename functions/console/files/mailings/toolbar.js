// The editor's toolbar.
import {html, useRef, useState} from "../kit/view.js";
import {words} from "./words.js";

// Toolbar is one stop of the Tab key; arrow keys move within it. tools is
// [{name, title, sign, run, pressed, off}]: pressed is undefined for what is no
// switch, off for what does nothing at present.
export function Toolbar({id, tools, disabled}) {
  const [at, setAt] = useState(0);
  const bar = useRef();
  const keys = (event) => {
    const to = {ArrowRight: (at + 1) % tools.length, ArrowLeft: (at - 1 + tools.length) % tools.length, Home: 0, End: tools.length - 1}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    setAt(to);
    bar.current.querySelectorAll("button")[to].focus();
  };
  return html`
    <div role="toolbar" id=${id} class="toolbar" aria-label=${words.toolbar} ref=${bar} onKeyDown=${keys}>
      ${tools.map(({name, title, sign, run, pressed, off}, i) => html`
        <button type="button" key=${name} class="tool" title=${title} aria-label=${title} aria-pressed=${pressed === undefined ? undefined : String(pressed)}
          aria-disabled=${off ? "true" : undefined} disabled=${disabled} tabindex=${i === at ? "0" : "-1"}
          onMouseDown=${(event) => event.preventDefault()} onFocus=${() => setAt(i)} onClick=${run}>${sign}</button>`)}
    </div>`;
}

const icon = (path) => html`<svg viewBox="0 0 20 20" width="18" height="18" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${path} /></svg>`;
export const icons = {
  link: icon("M8 12l4-4M9 6l1.500-1.500a3.200 3.200 0 0 1 4.500 4.500L13.500 10.500M11 14l-1.500 1.500a3.200 3.200 0 0 1-4.500-4.500L6.500 9.500"),
  quote: icon("M4 4v12M8 6h9M8 10h9M8 14h5"),
  bullets: icon("M3.500 5h.01M3.500 10h.01M3.500 15h.01M8 5h9M8 10h9M8 15h9"),
  numbers: icon("M3 3.500h1.200V7M2.800 12.500h1.900l-1.900 3.500h2M8 5h9M8 10h9M8 15h9"),
  undo: icon("M4 8h8a4 4 0 0 1 0 8H8M7 4.500L3.500 8 7 11.500"),
  redo: icon("M16 8H8a4 4 0 0 0 0 8h4M13 4.500L16.500 8 13 11.500"),
};
