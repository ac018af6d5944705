export const words = {
  offline: "There was no answer. Please check the connection, then try again.",
  gateway: {
    401: "Your sign-in has ended. Please sign in again.",
    404: "There is nothing at this address.",
    413: "This is too large to be sent.",
    429: "Too many requests at once. Please wait a moment, then try again.",
    503: "This took too long. Please look whether it was done, then try again.",
  },
  issuerRefused: (why) => `The sign-in service says: ${why}. Please try again, or ask your administrator.`,
  somebodyElse: "You signed in as somebody else. Sign in as before to go on, or reload the page to work as that person.",
  gatewayOther: (status) => `The request was not answered (${status}). Please try again.`,
};
