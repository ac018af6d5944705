// How the content of a profile's fields is told in words.
import {day} from "../kit/format.js";
import * as terms from "../kit/terms.js";
import {words} from "./words.js";

export const labelOf = (field) => words.field[field] ?? field;

// told is the content of a field as one text.
export function told(field, value) {
  if (field === "relations") return value.length > 0 ? value.map(words.relation).join("; ") : words.none;
  if (field === "doNotEmail") return value ? words.yes : words.no;
  if (!value) return words.none;
  if (field === "type") return terms.profileType[value] ?? value;
  if (field === "status") return terms.status[value] ?? value;
  if (field === "memberSince") return day(value);
  return value;
}

// mayEnter tells a right (openapi.yaml, Right) in words.
export const mayEnter = ({allowed, reason}) => (allowed ? words.may : words.mayNot)(terms.right[reason] ?? reason);
