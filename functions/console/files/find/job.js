// Work on a whole list that takes many requests: a window shows how far it is,
// stops it, and goes on where the connection broke.
import {Dialog} from "../kit/dialog.js";
import {Failed} from "../kit/states.js";
import {html, useEffect, useRef, useState} from "../kit/view.js";
import {words} from "./words.js";

// useJob gives {run, job}: run(title, work) calls work(signal, tell), and after a
// Problem, if asked to, once more. tell(text) says how far it is. job is to be
// rendered.
export function useJob() {
  const [state, setState] = useState();
  const running = useRef();
  useEffect(() => () => running.current?.abort(), []);

  const run = (title, work) => {
    const giveUp = running.current = new AbortController();
    const tell = (text) => setState((before) => before && {...before, text});
    const go = async () => {
      setState((before) => ({title, text: before?.text}));
      try {
        await work(giveUp.signal, tell);
        setState(undefined);
      } catch (problem) {
        if (!giveUp.signal.aborted) setState((before) => ({...before, problem, again: go}));
      }
    };
    return go();
  };
  const stop = () => {
    running.current.abort();
    setState(undefined);
  };
  const job = state && html`
    <${Dialog} title=${state.title} cancel=${words.stop} onClose=${stop} actions=${state.problem && html`
      <button type="button" class="button primary" onClick=${state.again}>${words.goOn}</button>`}>
      ${!state.problem && html`<progress aria-label=${state.title}></progress>`}
      <p role="status">${state.text ?? words.loading}</p>
      ${state.problem && html`<${Failed} problem=${state.problem} />`}
    </${Dialog}>`;
  return {run, job};
}
