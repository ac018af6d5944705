// A table of any length: only the rows that can be seen are in the page.
import {html, useEffect, useRef, useState} from "./view.js";

const spare = 12; // rows above and below what is seen

// Rows scrolls with the page. columns is [{key, label, cell(row), class}], cell
// gives what stands in it; rowKey(row) names a row. All rows have the same
// height, which is measured. onNearEnd is called when the last rows come into
// sight. total is the number of all rows where it is known.
export function Rows({caption, columns, rows, rowKey, total, onNearEnd, rowClass}) {
  const table = useRef();
  const [range, setRange] = useState({from: 0, to: 40});
  const [height, setHeight] = useState(44);
  const near = useRef(onNearEnd);
  near.current = onNearEnd;

  useEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      const body = table.current?.tBodies[0];
      if (!body) return;
      const sample = body.querySelector("tr[data-row]");
      const tall = sample?.getBoundingClientRect().height || height;
      if (Math.abs(tall - height) > 0.5) setHeight(tall);
      const top = body.getBoundingClientRect().top;
      const from = Math.min(rows.length, Math.max(0, Math.floor(-top / tall) - spare));
      const to = Math.min(rows.length, Math.max(0, Math.ceil((innerHeight - top) / tall)) + spare); // some also while the table is below what is seen
      setRange((before) => (before.from === from && before.to === to ? before : {from, to}));
      if (to >= rows.length - spare) near.current?.();
    };
    const soon = () => { frame ||= requestAnimationFrame(look); };
    look();
    addEventListener("scroll", soon, {passive: true});
    addEventListener("resize", soon);
    return () => { cancelAnimationFrame(frame); removeEventListener("scroll", soon); removeEventListener("resize", soon); };
  }, [rows, height]);

  const {from} = range;
  const seen = rows.slice(from, Math.max(range.to, from));
  const after = rows.length - from - seen.length;
  return html`
    <table class="rows" ref=${table} aria-rowcount=${total ?? -1}>
      <caption class="hidden">${caption}</caption>
      <thead><tr aria-rowindex="1">${columns.map((column) => html`<th scope="col" class=${column.class}>${column.label}</th>`)}</tr></thead>
      <tbody>
        ${from > 0 && html`<tr key="above" aria-hidden="true"><td colspan=${columns.length} style=${{height: `${from * height}px`, padding: 0, border: 0}}></td></tr>`}
        ${seen.map((row, i) => html`
          <tr key=${rowKey(row)} data-row=${rowKey(row)} aria-rowindex=${from + i + 2} class=${rowClass?.(row)}>
            ${columns.map((column) => html`<td class=${column.class} data-label=${column.text ?? ""}>${column.cell(row)}</td>`)}
          </tr>`)}
        ${after > 0 && html`<tr key="below" aria-hidden="true"><td colspan=${columns.length} style=${{height: `${after * height}px`, padding: 0, border: 0}}></td></tr>`}
      </tbody>
    </table>`;
}
