// A mailing as it is at this moment, as far as the line allows.
import {useEffect, useRef, useState} from "../kit/view.js";
import {read} from "../api/client.js";
import {usePoll} from "../kit/load.js";
import {settled} from "./tally.js";

const patience = 10_000; // ms until a question without an answer is given up
const window = 15_000; // ms over which the rate is measured

// useLive reads the mailing again and again: each second while it moves, seldom
// once it has ended. What was read last stays when there is no answer.
//
//   {mailing, at, problem, gone, rate, look, put}
//
// at is when the mailing was read, problem why not since then; gone says that
// there is no such mailing any more. rate is how many profiles are settled a
// second, if that can be told. look() reads it now, put(mailing) is what an
// action has answered.
export function useLive(given) {
  const [state, setState] = useState({mailing: given, at: Date.now()});
  const turn = useRef(0); // an answer that was overtaken, say by a pause, is old news
  const ended = useRef(new AbortController());
  useEffect(() => () => ended.current.abort(), []);

  const put = (mailing) => {
    turn.current++;
    setState({mailing, at: Date.now()});
  };
  useEffect(() => { if (given !== state.mailing) put(given); }, [given]);

  const look = async () => {
    const mine = ++turn.current;
    try {
      const signal = AbortSignal.any([ended.current.signal, AbortSignal.timeout(patience)]);
      const {data} = await read(`/api/mailings/${encodeURIComponent(given.id)}`, {}, {signal});
      if (turn.current === mine) setState({mailing: data, at: Date.now()});
    } catch (problem) {
      if (turn.current === mine && !ended.current.signal.aborted) setState((before) => ({...before, problem, gone: problem.status === 404}));
    }
  };
  usePoll(look, interval(state.mailing), !state.gone);
  return {...state, rate: useRate(state), look, put};
}

function interval({state, doneAt}) {
  if (state === "sending" || (state === "cancelled" && !doneAt)) return 1000;
  return doneAt ? 10_000 : 3000;
}

// useRate measures how fast it goes, evenly enough to be read.
function useRate({mailing, at}) {
  const seen = useRef([]);
  if (!mailing.report || mailing.state !== "sending") {
    seen.current = [];
    return undefined;
  }
  if (seen.current.at(-1)?.at !== at) {
    seen.current = [...seen.current.filter((one) => at - one.at <= window), {at, n: settled(mailing.report)}];
  }
  const [first] = seen.current;
  const last = seen.current.at(-1);
  return last.at - first.at >= 2000 ? Math.max(0, last.n - first.n) / ((last.at - first.at) / 1000) : undefined;
}
