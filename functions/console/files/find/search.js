// The quick search, for the header and for whoever lets staff pick a profile.
import {read} from "../api/client.js";

const fresh = 15_000; // ms for which an answer is given once more without asking
const most = 40; // answers kept
const answers = new Map(); // by what was asked, the oldest first

// longEnough is what the API takes: two characters, or one that is a word by itself.
export const longEnough = (text) => [...text.trim()].length > 1 || /\p{Ideographic}/u.test(text);

const nameOf = (text, limit) => `${limit} ${text.trim().toLowerCase()}`;

// known is the recent answer to a search, if there is one.
export function known(text, limit) {
  const answer = answers.get(nameOf(text, limit));
  return answer && performance.now() - answer.at < fresh ? answer : undefined;
}

// forget is called when a profile was made that a kept answer lacks.
export const forget = () => answers.clear();

// search finds profiles by name, company, email, username or ID, whoever has
// exactly this ID first. It resolves to {profiles, more}: profiles as in
// openapi.yaml (Hit), more says that there are others. It throws a Problem, or
// the signal's AbortError.
export async function search(text, {limit = 10, signal} = {}) {
  const before = known(text, limit);
  if (before) return before;
  const asked = text.trim();
  const [{data}, exact] = await Promise.all([read("/api/profiles", {search: asked, limit}, {signal}), byID(asked, signal)]);
  const same = ({id}) => id.toLowerCase() === asked.toLowerCase();
  const first = [...data.profiles.filter(same), ...exact.filter((hit) => !data.profiles.some(({id}) => id === hit.id))];
  const profiles = [...first, ...data.profiles.filter((hit) => !same(hit))];
  const answer = {profiles: profiles.slice(0, limit), more: Boolean(data.cursor) || profiles.length > limit, at: performance.now()};
  answers.delete(nameOf(asked, limit));
  answers.set(nameOf(asked, limit), answer);
  if (answers.size > most) answers.delete(answers.keys().next().value);
  return answer;
}

// An ID that begins with a letter may stand behind many names that begin so;
// the API looks for one that begins with a digit first.
async function byID(text, signal) {
  if (!/^(?=.*\d)[A-Za-z._-][\w.-]{1,39}$/.test(text)) return [];
  return (await read("/api/profiles", {profiles: text, limit: 1}, {signal})).data.profiles;
}

// mailboxOf names the mailbox of a profile in a list.
export const mailboxOf = (hit) => hit.mailbox ?? (hit.email ?? "").toLowerCase();
