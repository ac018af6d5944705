// Which view an address shows, and which permission it needs. A view's code is
// loaded when it is first opened.
const views = [
  {at: [], permission: "view_profiles", load: () => import("../find/selector.js")},
  {at: ["profiles"], permission: "view_profiles", load: () => import("../find/selector.js")},
  {at: ["profiles", "new"], permission: "edit_profiles", load: () => import("../find/new.js")},
  {at: ["profiles", "*", "**"], permission: "view_profiles", load: () => import("../profile/page.js")},
  {at: ["imports"], permission: "edit_profiles", load: () => import("../imports/page.js")},
  {at: ["mailings"], permission: "compose_mailings", load: () => import("../mailings/list.js")},
  {at: ["mailings", "*", "**"], permission: "compose_mailings", load: () => import("../mailings/page.js")},
  {at: ["activity"], permission: "view_profiles", load: () => import("../activity/page.js")},
  {at: ["settings"], permission: "view_profiles", load: () => import("../settings/page.js")},
  {at: ["me"], load: () => import("../settings/me.js")},
];

// viewOf finds the view of an address: "*" stands for one part, "**" for any
// that follow. Each module's default export is the view; it gets {route}.
export const viewOf = (parts) => views.find(({at}) =>
  (at.at(-1) === "**" ? parts.length >= at.length - 1 : parts.length === at.length)
  && at.every((part, i) => part === "*" || part === "**" || part === parts[i]));
