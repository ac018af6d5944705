// Import: five steps on one page, of which one is open. Those that were reached
// can be opened again; changing something there undoes what follows from it.
import {ask} from "../kit/dialog.js";
import {useTask} from "../kit/load.js";
import {Problem} from "../api/problem.js";
import {html, useEffect, useLayoutEffect, useRef, useState} from "../kit/view.js";
import {useGuard} from "../shell/route.js";
import {useTitle} from "../shell/shell.js";
import {Check} from "./check.js";
import {Choose} from "./choose.js";
import {recall, remember} from "./columns.js";
import {Match} from "./match.js";
import {cut} from "./parts.js";
import {Result} from "./result.js";
import {begin, ended, lost, passing, post, result} from "./run.js";
import {Running, doneOf} from "./running.js";
import {readTable} from "./read.js";
import {words} from "./words.js";

// The steps by number.
const CHOOSE = 1, MATCH = 2, CHECK = 3, IMPORT = 4, RESULT = 5;

const nothing = {open: CHOOSE, reach: CHOOSE};
const waits = [1000, 3000, 8000]; // ms before a step whose answer was lost goes again

// What was done here a moment ago, for whoever looks at a profile and comes back.
let kept;
const keepFor = 1_800_000; // ms

// The page's state: open and reach (the furthest step), and as far as reached
//   table, targets, remembered   of the file (read.js, columns.js)
//   prepared                     {table, targets, parts} that is checked and imported;
//                                this table has ids, its rows by profile ID
//   checked                      what the API says that it would do (run.js)
//   job, phase, note, problem    of the import: phase is running, stopped, failed or ended
export default function Import() {
  useTitle(words.title);
  const [state, setState] = useState(() => (kept && Date.now() - kept.at < keepFor ? kept.state : nothing));
  const latest = useRef(state);
  const put = (change) => setState((latest.current = {...latest.current, ...change}));
  const control = useRef({}); // of the import that is running
  const running = state.phase === "running";
  const box = useRef();

  useGuard(running, () => ask({title: words.leaveTitle, text: words.leaveText, cancel: words.stay, answers: [{value: true, label: words.leave, kind: "danger"}]}));
  useLayoutEffect(() => () => { // at once: whoever comes back quickly finds it
    control.current.gone = control.current.stop = true;
    const {job, phase} = latest.current;
    const left = phase === "running" ? {phase: "stopped", note: undefined, job: {...job, lost: job.lost + 1}} : {};
    kept = {at: Date.now(), state: {...latest.current, ...left}};
  }, []);

  // The keyboard goes to the step that has opened.
  const before = useRef(state.open);
  useEffect(() => {
    if (before.current === state.open) return;
    before.current = state.open;
    box.current.querySelector(`#import-${state.open}`)?.focus();
  }, [state.open]);

  const reading = useTask(async (files) => {
    put({open: CHOOSE});
    if (files.length !== 1) throw new Problem({code: "file", detail: words.oneFile});
    const table = await readTable(files[0]);
    setState(latest.current = {...nothing, table, ...recall(table.header), open: MATCH, reach: MATCH});
  });
  useDrop(!running, reading.run);

  const match = (targets) => put({targets, remembered: false, prepared: undefined, checked: undefined, job: undefined, phase: undefined, reach: MATCH});

  const preparing = useTask(async () => {
    const {table, targets} = latest.current;
    const at = targets.indexOf("Profile ID");
    const ids = new Map(table.rows.toReversed().map((row) => [row.cells[at].trim(), row])); // of two rows the first, as the API has it
    const whole = {...table, ids};
    const prepared = {table: whole, targets, parts: cut(whole, targets)};
    remember(table.header, targets);
    put({prepared, checked: undefined, job: undefined, phase: undefined, open: CHECK, reach: CHECK});
  });

  const run = async () => {
    const mine = control.current = {stop: false};
    const {prepared: {parts}} = latest.current;
    let {job = begin()} = latest.current;
    const tell = (change) => { if (!mine.gone) put({job, ...change}); };
    tell({open: IMPORT, reach: IMPORT, phase: "running", problem: undefined, note: undefined});
    for (let tries = 0; !ended(job, parts);) {
      if (mine.stop) { tell({phase: "stopped", note: undefined}); return; }
      try {
        job = await post(job, parts);
        tries = 0;
        tell({});
      } catch (problem) {
        if (lost(problem)) job = {...job, lost: job.lost + 1};
        if (!passing(problem) || tries === waits.length) { tell({phase: "failed", note: undefined, problem}); return; }
        tell({note: navigator.onLine ? "lost" : "down"});
        await pause(waits[tries++], mine);
        tell({note: "lost"});
      }
    }
    tell({phase: "ended", note: undefined, open: RESULT, reach: RESULT});
  };
  const stop = () => {
    control.current.stop = true;
    control.current.wake?.();
    put({phase: "running"}); // shows that it is stopping
  };

  const {open, reach, table, targets, prepared, checked, job, phase} = state;
  const restart = () => { reading.clear(); setState(latest.current = nothing); };
  const steps = {
    [CHOOSE]: {
      summary: () => words.chosen(table),
      body: () => html`<${Choose} table=${table} reading=${reading} />`,
    },
    [MATCH]: {
      summary: () => words.matched(targets.filter(Boolean).length, targets.length),
      body: () => html`<${Match} table=${table} targets=${targets} remembered=${state.remembered} onChange=${match} preparing=${preparing} />`,
    },
    [CHECK]: {
      summary: () => checked && words.summary(checked),
      body: () => html`<${Check} key=${prepared} prepared=${prepared} checked=${checked} onChecked=${(answer) => put({checked: answer})}
        onImport=${!phase && (() => { put({job: begin()}); run(); })} onRestart=${restart} />`,
    },
    [IMPORT]: {
      summary: () => (phase === "ended" ? words.ended : doneOf(job, prepared)),
      body: () => html`<${Running} job=${job} prepared=${prepared} phase=${phase} note=${state.note} problem=${state.problem}
        stopping=${control.current.stop} onStop=${stop} onGoOn=${run} onRestart=${restart} />`,
    },
    [RESULT]: {
      body: () => html`<${Result} prepared=${prepared} done=${result(job, checked, prepared.table, prepared.parts)} onRestart=${restart} />`,
    },
  };
  return html`
    <div ref=${box}>
      <h1>${words.title}</h1>
      <p>${words.lead}</p>
      ${words.steps.map((title, i) => html`
        <${Step} key=${i} n=${i + 1} title=${title} open=${open === i + 1} reached=${i + 1 <= reach} locked=${running}
          onOpen=${() => put({open: i + 1})} ...${steps[i + 1]} />`)}
    </div>`;
}

// Step is one of them: open, reached before, or still to come.
const Step = ({n, title, open, reached, locked, onOpen, summary, body}) => html`
  <section class="card step ${reached ? "" : "ahead"}" aria-labelledby="import-${n}">
    <div class="step-head">
      <h2 id="import-${n}" tabindex="-1" aria-current=${open ? "step" : undefined}>${words.step(n, title)}</h2>
      ${reached && !open && !locked && html`<button type="button" class="button quiet" aria-label=${words.openStep(title)} onClick=${onOpen}>${words.open}</button>`}
    </div>
    ${open ? body() : reached && html`<p class="soft">${summary?.()}</p>`}
  </section>`;

// pause waits a while, and as long as the line is down; wake() ends it.
function pause(ms, control) {
  return new Promise((resume) => {
    control.wake = resume;
    if (navigator.onLine) setTimeout(resume, ms);
    else addEventListener("online", () => setTimeout(resume, ms), {once: true});
  });
}

// useDrop takes a file that is dropped anywhere, which would make the browser
// leave the console otherwise.
function useDrop(on, take) {
  const latest = useRef();
  latest.current = on && take;
  useEffect(() => {
    const over = (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      if (!latest.current) event.dataTransfer.dropEffect = "none";
    };
    const drop = (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      if (latest.current) latest.current([...event.dataTransfer.files]);
    };
    addEventListener("dragover", over);
    addEventListener("drop", drop);
    return () => { removeEventListener("dragover", over); removeEventListener("drop", drop); };
  }, []);
}
