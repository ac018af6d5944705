// Checking and importing: the parts of a file go to the API one after the other.
import {call} from "../api/client.js";
import {Problem} from "../api/problem.js";
import {walk} from "../find/walk.js";
import {words} from "./words.js";

const path = "/api/profile-imports";
const send = async (part, query, signal) => (await call("POST", path, {query, body: part.body, type: "text/csv", signal})).data;

// check asks what the parts would do and writes nothing. It resolves to one
// answer for all, shaped as Imported (openapi.yaml) and with rows. Faults of the
// table itself count as refused rows.
export async function check(table, parts, signal, tell) {
  const answers = [];
  for (const part of parts) {
    tell(answers.length);
    answers.push(await send(part, {check: true}, signal));
  }
  return {...summed(answers, table), ...await missingOf(table, answers, signal)};
}

const sum = (answers, name) => answers.reduce((n, answer) => n + answer[name], 0);
const lists = {errors: "errorsTotal", warnings: "warningsTotal", usernameStays: "usernameStaysTotal"};
const effects = {addresses: "addressesTotal", linksEnd: "linksEndTotal", gain: "gainTotal", lose: "loseTotal"};

function joined(answers, names) {
  const all = {};
  for (const [name, total] of Object.entries(names)) {
    all[name] = answers.flatMap((answer) => answer[name] ?? []);
    all[total] = sum(answers, total);
  }
  return all;
}

const byRow = (a, b) => a.row - b.row;

function summed(answers, table) {
  const all = joined(answers, lists);
  for (const name of ["created", "updated", "accepted", "unchanged"]) all[name] = sum(answers, name);
  all.refused = sum(answers, "refused") + table.faults.length;
  all.errors = [...table.faults, ...all.errors].sort(byRow);
  all.errorsTotal += table.faults.length;
  all.warnings.sort(byRow);
  if (answers.every((answer) => answer.effects)) all.effects = joined(answers.map((answer) => answer.effects), effects);
  return all;
}

// missingOf is who is stored and not in the file: {missing: [id], missingTotal,
// missingSoFar}. The API tells it of one request; where there were several,
// everybody stored is held against the file here.
async function missingOf(table, answers, signal) {
  if (table.mended) return {missing: [], missingTotal: 0};
  if (answers.length === 1) {
    const [{missing, missingTotal, missingSoFar}] = answers;
    return {missing, missingTotal, missingSoFar};
  }
  const missing = [];
  const everybody = walk({});
  while (!everybody.ended) {
    for (const {id} of await everybody.next(1000, signal)) if (!table.ids.has(id)) missing.push(id);
  }
  return {missing, missingTotal: missing.length};
}

// A job is an import under way. It is never changed; post makes the next one.
//
//   at        how many parts are done
//   answers   the latest of each part
//   created, updated
//             rows, by the answers that arrived
//   lost      how many answers did not
export const begin = () => ({at: 0, answers: [], created: 0, updated: 0, lost: 0, still: 0});

export const ended = (job, parts) => job.at === parts.length;

// done is how many rows have been settled: what was stored by one request is
// unchanged in the next.
export const done = ({answers}) => sum(answers, "accepted") + sum(answers, "unchanged") + sum(answers, "refused");

// post sends the part that is at turn. Where an answer says that time ran out,
// the same part goes again.
export async function post(job, parts, signal) {
  const answer = await send(parts[job.at], {}, signal);
  const answers = [...job.answers];
  answers[job.at] = answer;
  const still = answer.complete || answer.accepted > 0 ? 0 : job.still + 1;
  if (still > 1) throw new Problem({code: "stuck", status: 0, detail: words.stuck});
  return {...job, answers, still, at: job.at + (answer.complete ? 1 : 0), created: job.created + answer.created, updated: job.updated + answer.updated};
}

// lost says that a request may have done its work though no answer told so.
export const lost = (problem) => problem.offline || problem.status === 503;

// passing says that the same request may well succeed a little later.
export const passing = (problem) => lost(problem) || problem.status === 429;

// result is what an ended job has done, in the shape of check. unseen are rows
// whose saving no answer told, because it was lost.
export function result(job, checked, table, parts) {
  const all = summed(job.answers, table);
  const saved = sum(parts, "rows") - sum(job.answers, "refused") - checked.unchanged;
  const unseen = job.lost > 0 ? Math.max(0, saved - job.created - job.updated) : 0;
  // A warning about what a row changed is told only by the answer that did it.
  const warnings = new Map([...checked.warnings, ...all.warnings].map((one) => [`${one.row} ${one.column} ${one.code}`, one]));
  const missing = parts.length === 1 ? job.answers[0] : checked;
  return {
    ...all, created: job.created, updated: job.updated, unseen,
    unchanged: sum(job.answers, "unchanged") + sum(job.answers, "accepted") - job.created - job.updated - unseen,
    warnings: [...warnings.values()].sort(byRow), warningsTotal: Math.max(checked.warningsTotal, warnings.size),
    ...(table.mended ? {missing: [], missingTotal: 0} : {missing: missing.missing, missingTotal: missing.missingTotal, missingSoFar: missing.missingSoFar}),
  };
}
