export const words = {
  loading: "Loading…",
  tryAgain: "Try again",
  tellUs: (id) => `If you ask for help, tell this number: ${id}`,
  close: "Close",
  cancel: "Cancel",
  required: "required",
  show: "Show",
  hide: "Hide",
  copied: "Copied.",
  more: "Show more",
  row: (from, total) => `row ${from} of ${total}`,
};
