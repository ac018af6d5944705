// How times, numbers and names are written. Times are in the organization's
// zone, whatever the zone of the browser, and in English, as the words are.
let zone = "UTC";

export function useZone(name) { zone = name; } // once, when /api/me is known

export const zoneName = () => zone;

const format = (options) => {
  let made, of;
  return (date) => {
    if (of !== zone) made = new Intl.DateTimeFormat("en-GB", {timeZone: (of = zone), ...options});
    return made.format(date);
  };
};
const dayAndTime = format({day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short"});
const wholeTime = format({weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short"});
const dayOnly = format({day: "numeric", month: "short", year: "numeric"});
const clockOnly = format({hour: "2-digit", minute: "2-digit"});

// time of an RFC 3339 text: "23 Nov 2026, 15:04 GMT".
export const time = (at) => (at ? dayAndTime(new Date(at)) : "");
export const exactTime = (at) => (at ? wholeTime(new Date(at)) : "");

// clock is the time of the same day: "15:04".
export const clock = (at) => clockOnly(new Date(at));

// day of "2006-01-02", which has no zone, or of a time.
export function day(text) {
  if (!text) return "";
  if (text.length > 10) return dayOnly(new Date(text));
  return new Intl.DateTimeFormat("en-GB", {timeZone: "UTC", day: "numeric", month: "short", year: "numeric"}).format(new Date(`${text}T00:00:00Z`));
}

const steps = [["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en", {numeric: "always"});

// ago is "2 hours ago" or "in 5 minutes".
export function ago(at, now = Date.now()) {
  const seconds = (new Date(at) - now) / 1000;
  for (const [unit, length] of steps) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return seconds > 5 ? "in less than a minute" : "just now";
}

// duration of seconds: "2 h 5 min", "40 s".
export function duration(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

const numbers = new Intl.NumberFormat("en");
export const number = (n) => numbers.format(n);

// count is "1 profile" or "5,000 profiles".
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

const lists = new Intl.ListFormat("en", {type: "conjunction"});
export const list = (items) => lists.format(items);

// instant turns "2026-12-01T08:00", a time of the organization's zone as a
// datetime-local field has it, into RFC 3339. A time that the zone leaves out
// (the hour that summer time skips) becomes the one an hour later.
export function instant(text) {
  const wanted = Date.parse(`${text}Z`);
  if (Number.isNaN(wanted)) return undefined;
  let at = wanted;
  for (let i = 0; i < 2; i++) at += wanted - Date.parse(`${local(at)}Z`);
  return new Date(at).toISOString();
}

// local is the reverse: what a datetime-local field shows for a time.
export function local(at) {
  const parts = Object.fromEntries(new Intl.DateTimeFormat("en-CA", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
  }).formatToParts(new Date(at)).map(({type, value}) => [type, value]));
  return `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`;
}
