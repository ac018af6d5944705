// Save Profile: the profile first, then the credentials.
import {call, read} from "../api/client.js";
import {say} from "../kit/say.js";
import {useEffect, useRef, useState} from "../kit/view.js";
import {bodyOf, holds, open} from "./draft.js";
import {words} from "./words.js";

// Changes of these are told before they are saved: they reach into logins.
const weighty = ["email", "status", "relations"];

const rounds = 3; // others may edit faster than we save, but not for ever
const looks = [0, 1500]; // ms until it is looked whether a lost write was done; it may still be under way

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// A render has to pass before another hook's function knows what was stored.
const rendered = () => pause(0);

// useSave returns {busy, message, asking, save, look}.
//
// save() resolves to true when everything is stored. message is why not:
// {kind: "refused" | "failed" | "choose" | "uncertain" | "unsent" | "half" |
// "credentials", problem, reasons}. asking is the window that is open before
// something weighty is saved: {effects, changes, answer}.
export function useSave(path, draft, credentials) {
  const [busy, setBusy] = useState(false);
  const [message, tell] = useState();
  const [asking, setAsking] = useState();
  const running = useRef(false);
  const logins = useRef();
  logins.current = credentials;

  const once = (work) => async () => {
    if (running.current) return false;
    running.current = true;
    setBusy(true);
    try {
      return await work();
    } catch (problem) {
      if (!problem.code) throw problem; // a fault of this page
      tell({kind: "failed", problem});
      return false;
    } finally {
      running.current = false;
      setBusy(false);
    }
  };

  const stored = async () => (await read(path)).data;

  const confirmed = (effects, changes) => new Promise((resolve) => {
    setAsking({effects, changes, answer: (given) => { setAsking(undefined); resolve(given); }});
  });

  // "saved", "late" (its answer was lost), "none" (there was nothing) or "stopped".
  async function saveProfile() {
    let refusal;
    for (let round = 0; round < rounds; round++) {
      const {base, changes} = draft.latest();
      if (Object.keys(changes).length === 0) return round > 0 ? "saved" : "none";
      const body = bodyOf(changes);
      let writing = false;
      try {
        if (weighty.some((name) => name in changes)) {
          const {data: effects} = await call("PATCH", path, {query: {check: true}, body, version: base.version});
          const answer = await confirmed(effects, changes);
          if (!answer) return "stopped";
          if (answer.usernameToo) body.usernameToo = true;
        }
        writing = true;
        const {data} = await call("PATCH", path, {body, version: base.version});
        draft.adopt(data, changes);
        return "saved";
      } catch (problem) {
        refusal = problem;
        if (problem.stale) {
          if (draft.merge(await stored())) {
            tell({kind: "choose"});
            return "stopped";
          }
        } else if (writing && problem.unsure) {
          return lost(changes, problem);
        } else if (problem.offline) {
          tell({kind: "unsent", problem});
          return "stopped";
        } else {
          tell({kind: "refused", reasons: draft.refuse(problem), problem});
          return "stopped";
        }
      }
    }
    tell({kind: "failed", problem: refusal});
    return "stopped";
  }

  // lost looks what became of changes whose answer was lost: "late" or "stopped".
  async function lost(changes, problem) {
    tell({kind: "uncertain", changes, problem});
    for (const wait of looks) {
      await pause(wait);
      let profile;
      try {
        profile = await stored();
      } catch (again) {
        if (!again.code) throw again;
        return "stopped"; // and look is offered
      }
      if (holds(profile, changes)) {
        draft.adopt(profile, changes);
        tell();
        return "late";
      }
      if (draft.merge(profile)) {
        tell({kind: "choose"});
        return "stopped";
      }
    }
    tell({kind: "lost", problem});
    return "stopped";
  }

  const save = once(async () => {
    if (open(draft.latest().clashes).length > 0) {
      tell({kind: "choose", pressed: true});
      return false;
    }
    tell();
    const chosen = Object.keys(draft.latest().clashes).length > 0;
    const profile = await saveProfile();
    if (profile === "stopped") return false;
    draft.settle();
    await rendered();
    const changing = logins.current.unsaved;
    if (profile !== "none") {
      // The username may have moved with the email, and with it the version
      // that a change of the credentials has to name.
      const reading = logins.current.reload();
      if (changing) {
        await reading;
        await rendered();
      }
    }
    if (changing && !await logins.current.save()) {
      await rendered();
      tell({kind: profile === "none" ? "credentials" : "half", unsure: logins.current.unsure});
      return false;
    }
    if (profile === "late") say(words.savedLater);
    else if (profile === "saved" || changing) say(words.saved);
    else say(chosen ? words.theirsKept : words.nothing);
    return true;
  });

  // look asks again after an answer that was lost.
  const look = once(async () => {
    if (await lost(message.changes, message.problem) === "stopped") return false;
    say(words.savedLater);
    logins.current.reload();
    return true;
  });
  const latest = useRef();
  latest.current = look;
  const waiting = message?.kind === "uncertain";
  useEffect(() => {
    if (!waiting) return undefined;
    const back = () => latest.current();
    addEventListener("online", back);
    return () => removeEventListener("online", back);
  }, [waiting]);

  return {busy, message, asking, save, look, clear: () => tell()};
}
