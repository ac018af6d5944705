// A draft as somebody is writing it: what is stored, what was typed since, and
// the way from one to the other. It saves by itself, one save at a time, and
// loses nothing: not when the line is down, not when an answer is lost, not when
// somebody else writes on the same draft.
import {useEffect, useRef, useState} from "../kit/view.js";
import {call, read} from "../api/client.js";
import {canonical} from "./filter.js";

const pause = 900; // ms without typing before it is saved
const again = [3000, 8000, 20000]; // ms before a save that got no answer is tried again
const parts = ["subject", "html", "audience"];

const pick = (from) => ({subject: from.subject, html: from.html, audience: canonical(from.audience)});
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

export class Draft {
  // changed() is called after every change of what can be seen; moved(mailing)
  // when the mailing is no draft any more.
  constructor(mailing, {changed, moved}) {
    Object.assign(this, {mailing, changed, moved, base: pick(mailing), mine: pick(mailing), version: mailing.version});
    this.state = "saved"; // saved, typed, saving, failed, conflict
    this.savedAt = undefined; // when this page last saved
    this.given = 0; // counts how often the html came from elsewhere: the editor loads it then
    this.lost = {}; // what was sent without an answer, and may have been stored
    this.tries = 0;
    this.typing = undefined; // of the editor: hands over what was typed this moment
  }

  get unsaved() { return this.state !== "saved"; }
  get complete() { return !this.unsaved && this.mailing.complete; }

  // change takes what was typed or chosen.
  change(part) {
    if (this.closed) return;
    if (part.audience) part = {...part, audience: canonical(part.audience)};
    Object.assign(this.mine, part);
    if (this.state !== "conflict" && this.state !== "saving") {
      this.state = same(this.mine, this.base) ? "saved" : "typed";
      this.problem = undefined;
    }
    this.later(pause);
    this.changed();
  }

  // put is change by the page itself, such as a template: the editor has to show it.
  put(part) {
    if ("html" in part) this.given++;
    this.change(part);
  }

  later(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), ms);
  }

  // flush saves now what is not saved yet; it resolves to whether all of it is.
  async flush() {
    this.typing?.(); // whatever the editor still holds
    clearTimeout(this.timer);
    for (;;) {
      if (this.closed || this.state === "conflict") return false;
      if (this.running) { await this.running; continue; }
      if (same(this.mine, this.base)) return this.settle();
      this.running = this.save();
      const done = await this.running;
      this.running = undefined;
      if (!done) return false;
    }
  }

  settle() {
    if (this.state !== "saved") {
      this.state = "saved";
      this.problem = undefined;
      this.changed();
    }
    return true;
  }

  async save() {
    const edit = Object.fromEntries(parts.filter((part) => !same(this.mine[part], this.base[part])).map((part) => [part, this.mine[part]]));
    this.state = "saving";
    this.changed();
    try {
      const {data} = await call("PUT", `/api/mailings/${encodeURIComponent(this.mailing.id)}`, {body: edit, version: this.version});
      Object.assign(this, {mailing: data, version: data.version, lost: {}, tries: 0, problem: undefined, savedAt: new Date().toISOString()});
      this.removed = data.removed;
      Object.assign(this.base, edit);
      this.state = same(this.mine, this.base) ? "saved" : "typed";
      this.changed();
      return true;
    } catch (problem) {
      if (problem.stale) return this.compare();
      if (problem.offline || problem.status >= 500) {
        Object.assign(this.lost, edit);
        this.later(again[Math.min(this.tries++, again.length - 1)]);
      }
      return this.fail(problem);
    }
  }

  fail(problem) {
    this.state = "failed";
    this.problem = problem;
    this.changed();
    if (problem.code === "mailing_state" || problem.status === 404) setTimeout(() => this.refresh());
    return false;
  }

  // compare reads what somebody else has stored, or what this page did when it
  // got no answer, and puts the two together. Resolves to whether saving can go on.
  async compare() {
    try {
      const {data} = await read(`/api/mailings/${encodeURIComponent(this.mailing.id)}`);
      return this.take(data);
    } catch (problem) {
      if (problem.offline || problem.status >= 500) this.later(again[0]);
      return this.fail(problem);
    }
  }

  take(theirs) {
    if (theirs.version < this.version) return true; // an answer that was overtaken
    if (theirs.state !== "draft") {
      this.leave(theirs);
      return false;
    }
    const stored = pick(theirs);
    const before = this.base;
    const open = [];
    for (const part of parts) {
      const ours = part in this.lost && same(stored[part], this.lost[part]);
      if (same(this.mine[part], stored[part]) || same(stored[part], before[part]) || ours) continue;
      if (!same(this.mine[part], before[part])) { open.push(part); continue; }
      this.mine[part] = stored[part];
      this.adopted = true;
      if (part === "html") this.given++;
    }
    Object.assign(this, {mailing: theirs, version: theirs.version, base: stored, lost: {}});
    if (open.length > 0) {
      this.state = "conflict";
      this.theirs = stored;
      this.open = open;
    }
    this.changed();
    return open.length === 0;
  }

  // leave is what happens when somebody else has sent the draft, or (nothing
  // given) deleted it: what was typed and not saved is kept until it is settled.
  leave(theirs) {
    clearTimeout(this.timer);
    this.state = same(this.mine, this.base) ? "saved" : "conflict";
    if (theirs && this.state === "saved") {
      this.close();
      this.moved(theirs);
      return;
    }
    Object.assign(this, {left: theirs, gone: !theirs, open: [], theirs: undefined, problem: undefined});
    this.changed();
  }

  // choose settles one part of a conflict; the last one lets saving go on.
  choose(part, whose) {
    if (whose === "theirs") {
      this.mine[part] = this.theirs[part];
      if (part === "html") this.given++;
    }
    this.open = this.open.filter((one) => one !== part);
    if (this.open.length === 0) {
      this.state = same(this.mine, this.base) ? "saved" : "typed";
      this.theirs = undefined;
      this.problem = undefined;
      this.later(0);
    }
    this.changed();
  }

  // refresh looks whether somebody else has changed the draft meanwhile.
  async refresh() {
    if (this.closed || this.running || this.gone || this.state === "conflict" || this.looking) return;
    this.looking = true;
    try {
      const {data} = await read(`/api/mailings/${encodeURIComponent(this.mailing.id)}`);
      if (this.closed || this.running || this.state === "conflict") return;
      if (data.version !== this.version || data.state !== this.mailing.state) this.take(data);
    } catch (problem) {
      if (problem.code === "mailing_not_found") this.leave();
    } finally { this.looking = false; }
  }

  // close ends it: nothing is saved any more.
  close() {
    this.closed = true;
    clearTimeout(this.timer);
  }
}

// useDraft is the draft of a mailing for as long as a view shows it.
export function useDraft(mailing, moved) {
  const [, show] = useState(0);
  const latest = useRef(moved);
  latest.current = moved;
  const ref = useRef();
  ref.current ??= new Draft(mailing, {changed: () => show((n) => n + 1), moved: (now) => latest.current(now)});
  const draft = ref.current;
  useEffect(() => {
    const soon = () => { if (draft.unsaved) draft.flush(); };
    const hidden = () => { if (document.hidden) soon(); };
    addEventListener("online", soon);
    document.addEventListener("visibilitychange", hidden);
    return () => {
      removeEventListener("online", soon);
      document.removeEventListener("visibilitychange", hidden);
      draft.flush().finally(() => draft.close()); // typed in the very moment of leaving
    };
  }, []);
  return draft;
}
