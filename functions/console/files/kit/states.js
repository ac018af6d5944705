// What a view shows while it has nothing to show.
import {html} from "./view.js";
import {words} from "./words.js";

export const Loading = ({what = words.loading}) => html`<p class="loading" role="status">${what}</p>`;

// Empty says why there is nothing, and (children) what can be done about it.
export const Empty = ({title, children}) => html`
  <div class="empty"><p class="empty-title">${title}</p>${children}</div>`;

// Failed shows a problem; retry, if there is one, is what its button does.
export const Failed = ({problem, retry, children}) => html`
  <div class="notice bad" role="alert">
    <p>${problem.detail ?? problem.message}</p>
    ${problem.problems?.length > 1 && html`<ul>${problem.problems.map((one) => html`<li>${one.detail}</li>`)}</ul>`}
    ${problem.requestId && html`<p class="small">${words.tellUs(problem.requestId)}</p>`}
    ${retry && html`<p><button type="button" class="button" onClick=${retry}>${words.tryAgain}</button></p>`}
    ${children}
  </div>`;

// Loaded shows what useLoad read: children is a function of the data.
export function Loaded({of, what, children}) {
  if (of.data !== undefined) {
    return html`${of.problem && html`<${Failed} problem=${of.problem} retry=${of.reload} />`}${children(of.data)}`;
  }
  if (of.problem) return html`<${Failed} problem=${of.problem} retry=${of.reload} />`;
  return html`<${Loading} what=${what} />`;
}

// Notice is a box that explains: kind is info, good, warn or bad.
export const Notice = ({kind = "info", title, live = false, children}) => html`
  <div class="notice ${kind}" role=${live ? (kind === "bad" ? "alert" : "status") : undefined}>
    ${title && html`<p class="notice-title">${title}</p>`}${children}
  </div>`;

// Badge is a word in a coloured pill; the colour never says it alone.
export const Badge = ({kind = "plain", children}) => html`<span class="badge ${kind}">${children}</span>`;
