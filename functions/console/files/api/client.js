// The way to the API: JSON with the access token, problems as exceptions.
// Nothing else in the console calls fetch.
import {offline, problemOf} from "./problem.js";
import {accessToken, renewed} from "./session.js";

export {Problem} from "./problem.js";

const waits = [300, 1200]; // ms before a reading is tried again

// call sends one request. Of options: query (empty values are left out, lists
// repeat), body (JSON, or a string with type), version (If-Match), key
// (Idempotency-Key), signal (to give up).
//
// It returns {data, version, response}: version is what the next edit sends
// back. It throws a Problem, or the signal's AbortError.
export async function call(method, path, options = {}) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await once(method, path, options);
    } catch (problem) {
      // Reading twice harms nobody; a write whose answer was lost may have been done.
      const passing = problem.offline ? navigator.onLine : problem.status === 503 || problem.status === 429;
      if (method !== "GET" || !passing || attempt >= waits.length) throw problem;
      await new Promise((done) => setTimeout(done, waits[attempt]));
      options.signal?.throwIfAborted();
    }
  }
}

export const read = (path, query, options) => call("GET", path, {query, ...options});

// newKey names one intention, so that sending it twice does it once.
export const newKey = () => crypto.randomUUID();

async function once(method, path, {query, body, type, version, key, signal}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") url.searchParams.append(name, one);
  }
  const send = (token) => {
    const headers = {Authorization: `Bearer ${token}`};
    if (body !== undefined) headers["Content-Type"] = type ?? "application/json";
    if (version !== undefined) headers["If-Match"] = `"${version}"`;
    if (key) headers["Idempotency-Key"] = key;
    return fetch(url, {method, headers, signal, body: body === undefined || type ? body : JSON.stringify(body)});
  };
  let response;
  try {
    response = await send(await accessToken());
    if (response.status === 401) response = await send(await renewed()); // was refused before anything was done
  } catch (error) {
    if (error.name === "AbortError" || error.code) throw error;
    throw offline();
  }
  if (!response.ok) throw await problemOf(response);
  const tag = response.headers.get("ETag");
  return {response, data: await content(response), version: tag ? Number(tag.replaceAll('"', "")) : undefined};
}

async function content(response) {
  try {
    if (/json/.test(response.headers.get("Content-Type") ?? "")) return await response.json();
    return await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw offline(); // cut off in the middle
  }
}

// pages walks a list to its end, one page after the other.
export async function* pages(path, query, options) {
  let cursor;
  do {
    const {data} = await read(path, {...query, cursor}, options);
    yield data;
    cursor = data.cursor;
  } while (cursor);
}
