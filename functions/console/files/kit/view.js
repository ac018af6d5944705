// What every view is written with: Preact, its hooks, and htm instead of JSX,
// so that no build step is needed.
import {Fragment, h, render} from "preact";
import htm from "htm";

export const html = htm.bind(h);
export {Fragment, render};
export * from "preact/hooks";
