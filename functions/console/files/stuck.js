// A classic script, for when the modules do not come or do not fit together:
// then nothing of app.js runs that could say so.
addEventListener("error", (event) => {
  if (event.target?.matches?.('script[type="module"]') || (event.error instanceof SyntaxError)) {
    document.getElementById("app").hidden = true;
    document.getElementById("stuck").hidden = false;
  }
}, true);
