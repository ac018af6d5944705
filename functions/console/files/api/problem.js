// Problem is why a request did not do what it was asked for: the API's problem
// JSON (RFC 9457), an answer of API Gateway itself, or no answer at all.
import {words} from "./words.js";

export class Problem extends Error {
  // members: code (stable), detail (for people), status, field, problems, and
  // whatever else the code brings (openapi.yaml, components/schemas/Problem).
  constructor(members) {
    super(members.detail);
    Object.assign(this, members);
  }

  // Nobody answered: the line is down, or the answer was lost on its way. What
  // was asked for may have been done.
  get offline() { return this.code === "offline"; }

  // Nobody can say whether a write was done: its answer was lost, or it ended in
  // a fault after which it may be stored all the same.
  get unsure() { return this.offline || (this.status >= 500 && this.code !== "busy"); }

  // Somebody else has changed the thing since it was read (H3).
  get stale() { return this.code === "version_stale"; }

  // The reasons by field; those of no field stand under "".
  get byField() {
    const fields = {};
    for (const {field = "", detail} of this.problems ?? [this]) (fields[field] ??= []).push(detail);
    return fields;
  }
}

export const offline = () => new Problem({code: "offline", status: 0, detail: words.offline});

// problemOf reads an answer that is no success.
export async function problemOf(response) {
  let members = {};
  try { members = await response.json(); } catch { /* not JSON: the status has to do */ }
  if (members.code) return new Problem({status: response.status, ...members});
  return new Problem({
    code: "gateway", status: response.status,
    detail: words.gateway[response.status] ?? words.gatewayOther(response.status),
  });
}
