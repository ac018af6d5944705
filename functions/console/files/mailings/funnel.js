// How many of those who were mailed have come through to a password. That is
// read off the profiles page by page, so the number is exact once all pages
// are walked, and says so until then.
import {html, useEffect, useRef, useState} from "../kit/view.js";
import {pages} from "../api/client.js";
import {number} from "../kit/format.js";
import {useTask} from "../kit/load.js";
import {Failed} from "../kit/states.js";
import {mailed, share} from "./tally.js";
import {words} from "./report.words.js";

const atOnce = 2000; // profiles that are counted unasked

export function Funnel({mailing}) {
  const {id, report, doneAt} = mailing;
  const sent = mailed(report);
  const [sum, setSum] = useState(); // {seen, mailed, set, complete}
  const walk = useRef(); // the pages, and where they were left
  const left = useRef(new AbortController());
  useEffect(() => () => left.current.abort(), []);

  const count = useTask(async (upTo) => {
    if (!walk.current) {
      walk.current = {sum: {seen: 0, mailed: 0, set: 0, complete: false},
        pages: pages(`/api/mailings/${encodeURIComponent(id)}/recipients`, {limit: 1000}, {signal: left.current.signal})};
    }
    const walking = walk.current;
    try {
      while (walking.sum.seen < upTo) {
        const {value, done} = await walking.pages.next();
        const before = walking.sum;
        walking.sum = done ? {...before, complete: true}
          : {...before, seen: before.seen + value.recipients.length, mailed: before.mailed + value.mailed, set: before.set + value.passwordSet, complete: !value.cursor};
        if (walk.current === walking) setSum(walking.sum);
        if (walking.sum.complete) return;
      }
    } catch (problem) {
      walk.current = undefined; // a walk that has failed cannot go on: from the beginning
      if (!left.current.signal.aborted) throw problem;
    }
  });
  const again = (upTo) => {
    walk.current = undefined;
    setSum(undefined);
    count.run(upTo);
  };
  useEffect(() => { if (doneAt) again(atOnce); }, [doneAt]);

  const rows = [
    {label: words.funnelMailed, n: sent, of: sent},
    {label: words.funnelDelivered, n: report.outcomes.delivered + report.outcomes.complained, of: sent},
    {label: words.funnelSet, n: sum?.set, of: sum?.mailed},
  ];
  return html`
    <section class="card" aria-labelledby="funnel">
      <h2 id="funnel">${words.funnel}</h2>
      <table class="funnel">
        <caption class="hidden">${words.funnel}</caption>
        <tbody>${rows.map(({label, n, of}) => html`
          <tr key=${label}>
            <th scope="row">${label}</th>
            <td class="bar" aria-hidden="true"><div style=${{width: `${n === undefined ? 0 : (of ? (100 * n) / of : 0)}%`}}></div></td>
            <td class="number">${n === undefined ? words.none : number(n)}</td>
            <td class="number soft">${n === undefined || of === 0 ? "" : words.percent(share(n, of))}</td>
          </tr>`)}
        </tbody>
      </table>
      <p class="small soft" role="status">
        ${!doneAt ? words.funnelWaits : sum && (sum.complete ? words.funnelExact : words.funnelSoFar(sum.seen, report.profiles))}
      </p>
      ${count.problem && html`<${Failed} problem=${count.problem} retry=${() => again(Infinity)} />`}
      ${doneAt && sum && !count.busy && !count.problem && html`<p>${sum.complete
        ? html`<button type="button" class="button" onClick=${() => again(Infinity)}>${words.funnelAgain}</button>`
        : html`<button type="button" class="button" onClick=${() => count.run(Infinity)}>${words.funnelGoOn}</button>`}</p>`}
    </section>`;
}
