// Reading from the API for a view.
import {useCallback, useEffect, useRef, useState} from "./view.js";

// useLoad calls load(signal) at first and whenever one of the inputs changes; a
// call that is overtaken is given up. What was read before stays to be seen
// while it is read anew by reload().
//
//   {data, problem, loading, reload, set}
export function useLoad(load, inputs) {
  const [state, setState] = useState({loading: true});
  const running = useRef();
  const latest = useRef(load);
  latest.current = load;

  const start = useCallback(async (keep) => {
    running.current?.abort();
    const mine = running.current = new AbortController();
    setState((before) => ({data: keep ? before.data : undefined, loading: true}));
    try {
      const data = await latest.current(mine.signal);
      if (!mine.signal.aborted) setState({data, loading: false});
    } catch (problem) {
      if (mine.signal.aborted) return;
      setState((before) => ({data: before.data, problem, loading: false}));
    }
  }, []);

  useEffect(() => {
    start(false);
    return () => running.current?.abort();
  }, inputs);

  const reload = useCallback(() => start(true), []);
  const set = useCallback((data) => setState({data, loading: false}), []);
  return {...state, reload, set};
}

// useTask is for what a button does: run() sends it once however often it is
// pressed, busy says that it is under way, problem why it failed.
export function useTask(work) {
  const [state, setState] = useState({busy: false});
  const busy = useRef(false);
  const run = async (...given) => {
    if (busy.current) return undefined;
    busy.current = true;
    setState({busy: true});
    try {
      const result = await work(...given);
      setState({busy: false});
      return result;
    } catch (problem) {
      setState({busy: false, problem});
      return undefined;
    } finally {
      busy.current = false;
    }
  };
  const clear = () => setState({busy: false});
  return {...state, run, clear};
}

// usePoll calls tick every so many ms while on, and at once when the page is
// seen again. A call begins only after the last one has ended.
export function usePoll(tick, ms, on = true) {
  const latest = useRef(tick);
  latest.current = tick;
  useEffect(() => {
    if (!on) return undefined;
    let timer;
    let ended = false;
    const next = async () => {
      clearTimeout(timer);
      if (!document.hidden) {
        try { await latest.current(); } catch { /* the view shows its own problems */ }
      }
      if (!ended) { clearTimeout(timer); timer = setTimeout(next, ms); }
    };
    const seen = () => { if (!document.hidden) next(); };
    timer = setTimeout(next, ms);
    document.addEventListener("visibilitychange", seen);
    return () => { ended = true; clearTimeout(timer); document.removeEventListener("visibilitychange", seen); };
  }, [on, ms]);
}
