// Walking through the profiles that a query finds, page by page.
import {read} from "../api/client.js";

const mostSearch = 100; // profiles of one answer to a search
const mostPage = 1000;
const mostAddress = 3000; // characters of IDs in one address

// filterOf is the part of a query that can narrow.
const filterOf = ({search, profiles, ...filter}) => ({...filter, status: filter.status?.join(",")});

// walk begins a walk. next(limit, signal) resolves to the next profiles, at
// most limit, perhaps none; after a Problem it may be called again and goes on
// where it was, and of calls at the same time each waits for the one before.
// ended says that there are no more; looked, at how many profiles
// the walk has looked.
export function walk(query) {
  const filter = filterOf(query);
  const narrows = Object.values(filter).some((value) => value !== undefined);
  const picked = query.profiles && new Set(query.profiles);
  const parts = !query.search && query.profiles ? inParts(query.profiles) : [undefined];
  const walk = {ended: parts.length === 0, looked: 0, next, rest};
  const found = new Set(); // who is renamed meanwhile may come twice
  let cursor;
  let last = Promise.resolve();
  return walk;

  function next(limit, signal) {
    last = last.catch(() => {}).then(() => (walk.ended ? [] : step(limit, signal)));
    return last;
  }

  async function step(limit, signal) {
    const page = query.search ? await searched(limit, signal) : await listed(limit, signal);
    walk.looked += page.read ?? page.profiles.length;
    cursor = page.cursor;
    if (!cursor) parts.shift();
    walk.ended = parts.length === 0;
    return page.profiles.filter(({id}) => !found.has(id) && found.add(id));
  }

  async function listed(limit, signal) {
    return (await read("/api/profiles", {...filter, profiles: parts[0], cursor, limit: Math.min(limit, mostPage)}, {signal})).data;
  }

  // A search cannot be narrowed; so whom it finds is narrowed as a list.
  async function searched(limit, signal) {
    const {data} = await read("/api/profiles", {search: query.search, cursor, limit: Math.min(limit, mostSearch)}, {signal});
    let {profiles} = data;
    if (picked) profiles = profiles.filter(({id}) => picked.has(id));
    if (narrows) profiles = await narrowed(query, profiles.map(({id}) => id), signal);
    return {...data, profiles, read: data.profiles.length};
  }

  // rest counts those who are still to come, without reading them; undefined
  // where only reading tells. tell({found, looked}) is called on the way.
  async function rest(signal, tell) {
    if (query.search || query.profiles) return undefined;
    const counted = {found: 0, looked: 0};
    for (let at = cursor, ended = walk.ended; !ended; ended = !at) {
      const {data} = await read("/api/profiles", {...filter, count: true, cursor: at}, {signal});
      counted.found += data.found;
      counted.looked += data.read;
      at = data.cursor;
      tell(counted);
    }
    return counted.found;
  }
}

// narrowed are those of the profiles with these IDs who fit the query's filters,
// as they are now, in the order of ids.
export async function narrowed(query, ids, signal) {
  const fits = new Map();
  for (const part of inParts(ids)) {
    for (let cursor, more = true; more; more = Boolean(cursor)) {
      const {data} = await read("/api/profiles", {...filterOf(query), profiles: part, cursor, limit: mostPage}, {signal});
      for (const hit of data.profiles) fits.set(hit.id, hit);
      cursor = data.cursor;
    }
  }
  return ids.filter((id) => fits.has(id)).map((id) => fits.get(id));
}

// inParts joins IDs so that each part has room in an address.
function inParts(ids) {
  const parts = [];
  for (const id of ids) {
    if (parts.length > 0 && parts.at(-1).length + id.length < mostAddress) parts[parts.length - 1] += `,${id}`;
    else parts.push(id);
  }
  return parts;
}
