// say() tells what was done, in a corner and to screen readers, and goes away.
import {html, useEffect, useState} from "./view.js";

let show = () => {};

export const say = (text) => show(text);

export function Said() {
  const [said, set] = useState({text: "", n: 0});
  useEffect(() => {
    show = (text) => set(({n}) => ({text, n: n + 1}));
    return () => { show = () => {}; };
  }, []);
  useEffect(() => {
    if (!said.text) return undefined;
    const timer = setTimeout(() => set(({n}) => ({text: "", n})), 6000);
    return () => clearTimeout(timer);
  }, [said.n]);
  return html`<div class="said" role="status" aria-live="polite">${said.text && html`<p key=${said.n}>${said.text}</p>`}</div>`;
}
