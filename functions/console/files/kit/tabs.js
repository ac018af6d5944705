// Tabs, each with an address of its own: they are links, so that they can be
// sent to a colleague and opened in a new window.
import {html} from "./view.js";

// tabs is [{id, label, href, mark}]; mark is a word such as "unsaved" that is
// shown beside the label.
export const Tabs = ({label, tabs, current, vertical = false}) => html`
  <nav class="tabs ${vertical ? "vertical" : ""}" aria-label=${label}>
    <ul>${tabs.map((tab) => html`
      <li><a href=${tab.href} aria-current=${tab.id === current ? "page" : undefined} class=${tab.bad ? "bad" : ""}>
        ${tab.label}${tab.mark && html` <span class="mark">${tab.mark}</span>`}</a></li>`)}
    </ul>
  </nav>`;
